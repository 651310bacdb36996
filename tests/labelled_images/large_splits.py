"""Splits that are so large that only parts of them are read, made small: there the limits are lowered."""

import os
from pathlib import Path
from typing import Any

import pyarrow.parquet
from datasets import ClassLabel

from lead_hub.access import Access
from lead_hub.labelled_images.loading import LabelledImages, load_labelled_images
from lead_hub.labelled_images.query import DatasetQuery
from tests.labelled_images.small_datasets import dataset_of, png

CLASSES = ClassLabel(names=["cat", "dog", "hen", "owl"])
SHUFFLED = [(7 * row) % 4 for row in range(100)]  # 7 and 4 have no common factor: 0 3 2 1 0 3 2 1 ...


def load(dataset: str, cache: Path, **query: str | int) -> LabelledImages:
    return load_labelled_images(DatasetQuery(dataset, **query), Access(cache, progress=False))


def large_split(folder: Path, labels: Any, *, kind: Any = CLASSES, image_bytes: int = 3000, **columns: Any) -> Path:
    """Parquet files with four groups of five rows each; row r is of the colour (r, 0, 0)."""
    images = [{"bytes": png((row, 0, 0)) + os.urandom(image_bytes), "path": None} for row in range(len(labels))]
    rows = dataset_of(labels, kind, images, **columns)
    table = rows.data.table.combine_chunks().replace_schema_metadata(rows.features.arrow_schema.metadata)
    folder.mkdir(parents=True)
    for first in range(0, len(labels), 20):
        part = table.slice(first, 20)
        pyarrow.parquet.write_table(part, folder / f"train-{first:05}.parquet", row_group_size=5)
    return folder


def fetched_groups(cache: Path) -> int:
    kept = [file for file in cache.rglob("lead-hub-row-groups/*/*.parquet") if not file.name.startswith("labels")]
    return len(kept)

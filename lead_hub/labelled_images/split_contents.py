"""A dataset's builder -> the columns and row counts of its splits, from what is small: card, footers, file names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import pyarrow.parquet
from datasets import DatasetBuilder, Features
from huggingface_hub import HfFileSystem

from lead_hub.errors import DatasetError
from lead_hub.labelled_images.dataset_builder import LOADING_ERRORS, Source, files_by_split
from lead_hub.labelled_images.hub_dataset import hub_error

MOST_FOOTERS = 16  # each takes one or two requests


@dataclass(frozen=True)
class SplitContents:
    """What splits hold.

    Attributes:
        n_rows: rows of each split, None where nothing small tells.
        features: the columns, which all splits share.
    """

    n_rows: Mapping[str, int | None]
    features: Features


def contents_of_builder(builder: DatasetBuilder, source: Source) -> SplitContents:
    """Columns and row counts of a builder's splits.

    Raises:
        DatasetError: its first file cannot be read.
        HubError: the Hub refused or could not be reached.
    """
    files = files_by_split(builder)
    from_card = {str(name): split.num_examples for name, split in (builder.info.splits or {}).items()}
    n_rows: dict[str, int | None] = {name: from_card.get(name) for name in files or from_card}
    features: Features | None = builder.info.features
    try:
        if builder.name == "parquet" and (features is None or None in n_rows.values()):
            footers = _read_footers(builder, [name for name, count in n_rows.items() if count is None], source)
            n_rows |= footers.n_rows
            features = features or footers.features
        elif builder.name == "imagefolder":
            counted = _count_images(files, builder.EXTENSIONS)
            n_rows = {name: counted.get(name) if count is None else count for name, count in n_rows.items()}
        if features is None:
            features = _features_of_first_row(builder, next(iter(n_rows)))
    except LOADING_ERRORS as error:
        raise hub_error(source.query.dataset, error) or DatasetError(
            f"the columns of {source.query.dataset} cannot be read: {type(error).__name__}: {error}"
        ) from error
    return SplitContents(n_rows, features)


def _read_footers(builder: DatasetBuilder, splits: Sequence[str], source: Source) -> SplitContents:
    """Rows of the splits whose files are few enough, and the columns, from the ends of parquet files."""
    # Not through the datasets library's own opener: that one asks as whoever last opened a dataset in this process.
    hub = HfFileSystem(token=source.token, skip_instance_cache=True)
    features: Features | None = None
    n_rows: dict[str, int | None] = {}
    left = MOST_FOOTERS
    for split in splits or list(builder.config.data_files)[:1]:
        files = [str(file) for file in builder.config.data_files[split]]
        read = files if len(files) <= left else files[:1] if features is None else []
        left -= len(read)
        total = 0
        for file in read:
            with hub.open(file) if file.startswith("hf://") else open(file, "rb") as opened:  # noqa: PTH123
                footer = pyarrow.parquet.ParquetFile(opened)
                total += footer.metadata.num_rows
                features = features or Features.from_arrow_schema(footer.schema_arrow)
        if splits:
            n_rows[split] = total if read == files else None
    assert features is not None  # every split of a builder has a file
    return SplitContents(n_rows, features)


def _count_images(files: Mapping[str, Sequence[str]], endings: Sequence[str]) -> dict[str, int | None]:
    """Images of each split, where its images are files and no table says which of them count."""
    are_plain = all(PurePosixPath(file).suffix.lower() in endings for names in files.values() for file in names)
    return {split: len(names) if are_plain else None for split, names in files.items()}


def _features_of_first_row(builder: DatasetBuilder, split: str) -> Features:
    rows = builder.as_streaming_dataset(split=split)
    if rows.features is not None:
        return rows.features
    table = next(iter(rows.with_format("arrow").iter(batch_size=1)), None)
    if table is None:
        raise ValueError(f"split {split!r} has no rows")
    return Features.from_arrow_schema(table.schema)

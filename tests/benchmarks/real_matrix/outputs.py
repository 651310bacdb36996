"""What the frozen checkpoints say of each target's train pictures, and the tables of checkpoints and targets."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from lead_hub.bench.stored_outputs import packed
from lead_hub.checkpoint_outputs import ExtractionSettings, LoadedCheckpoint, extract, load_checkpoint
from lead_hub.processes import running_processes
from tests.benchmarks.ground_truth.outputs import stored_rows, write_table

from .checkpoints import POOL, SOURCES, Checkpoint
from .targets import HALF, TARGETS, LabelledPictures, Target, load_target

MOST_STORED = 120  # train pictures of a target, the same ones for every checkpoint; keeps all at 17 MB


def write_outputs(work: Path, matrix: Path) -> None:
    """Features and logits as `recommend` would see them, those that are not there yet; then the two tables."""
    pool = {checkpoint: load_checkpoint(work / "pool" / checkpoint.name) for checkpoint in POOL}
    (matrix / "outputs").mkdir(parents=True, exist_ok=True)
    rows = []
    for target in TARGETS:
        pictures = load_target(work / "targets" / target.name)
        path = matrix / "outputs" / f"{target.name}.safetensors"
        there = load_file(path) if path.exists() else {}
        missing = {one: loaded for one, loaded in pool.items() if f"{one.name}.features" not in there}
        if missing:
            save_file({**there, **target_outputs(pictures, missing)}, path)
            path.chmod(0o644)
        rows.append(target_row(target, pictures))
        print(target.name, flush=True)
    write_table(matrix / "targets.csv", rows)
    write_table(matrix / "checkpoints.csv", [checkpoint_row(one, loaded) for one, loaded in pool.items()])


def target_outputs(
    pictures: LabelledPictures, pool: Mapping[Checkpoint, LoadedCheckpoint]
) -> dict[str, NDArray[np.generic]]:
    """`labels` int16, and per checkpoint its features and, with a trained head, logits, packed into bytes."""
    rows = stored_rows(pictures.train_labels, MOST_STORED)
    tensors: dict[str, NDArray[np.generic]] = {"labels": pictures.train_labels[rows].astype(np.int16)}
    for checkpoint, loaded in pool.items():
        outputs = extract(
            loaded,
            pictures.train[rows],
            processes=running_processes(),
            settings=ExtractionSettings(),
            advance=lambda _images: None,
        )
        for name, values in (("features", outputs.features), ("logits", outputs.logits)):
            if values is not None:
                key = f"{checkpoint.name}.{name}"
                tensors[key], tensors[f"{key}.range"] = packed(values.numpy())
    return tensors


def checkpoint_row(checkpoint: Checkpoint, loaded: LoadedCheckpoint) -> dict[str, Any]:
    source = SOURCES[checkpoint.package]
    is_random = checkpoint.change == "random"
    return {
        "checkpoint": checkpoint.name,
        "family": loaded.family,
        "source": "none" if is_random else source.learnt,
        "method": {"none": "supervised"}.get(checkpoint.change, checkpoint.change),
        "kept_stages": 0 if is_random else checkpoint.kept_stages,  # of 7, or of a ResNet's 4
        "parameters": loaded.parameters,
        "source_accuracy": "",
        "weights_from": source.package,
        "licence": source.licence,
    }


def target_row(target: Target, pictures: LabelledPictures) -> dict[str, Any]:
    return {
        "target": target.name,
        "half": HALF,
        "n_classes": len(pictures.class_names),
        "n_train": len(pictures.train),
        "n_stored": len(stored_rows(pictures.train_labels, MOST_STORED)),
        "n_test": len(pictures.test),
        "images_from": target.images_from,
        "licence": target.licence,
        "note": target.note,
    }

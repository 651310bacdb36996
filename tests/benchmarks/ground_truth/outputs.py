"""What the frozen checkpoints say of each target's train pictures, and the tables of checkpoints and targets."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from lead_hub.checkpoint_outputs import LoadedCheckpoint, load_checkpoint
from tests.benchmarks.demo_pool.checkpoints import Recipe

from .checkpoints import POOL
from .pool import RECORD
from .targets import LabelledPictures, Target, load

MOST_STORED = 350  # train pictures of a target, the same ones for every checkpoint; keeps all under 30 MB
BATCH = 128


def write_outputs(output: Path, matrix: Path, targets: Sequence[Target]) -> None:
    """Features and logits as `recommend` would see them; then the tables of targets and of checkpoints."""
    pool = {recipe: load_checkpoint(output / "pool" / recipe.name) for recipe in POOL}
    pictures_of = {target: load(output / "targets" / f"{target.name}.npz") for target in targets}
    (matrix / "outputs").mkdir(parents=True, exist_ok=True)
    for target, pictures in pictures_of.items():
        tensors = target_outputs(pictures, {recipe.name: checkpoint for recipe, checkpoint in pool.items()})
        save_file(tensors, matrix / "outputs" / f"{target.name}.safetensors")
        print(target.name, {name: tuple(value.shape) for name, value in tensors.items()}["labels"], flush=True)
    write_table(matrix / "checkpoints.csv", [_checkpoint_row(recipe, pool[recipe], output) for recipe in POOL])
    write_table(matrix / "targets.csv", [_target_row(target, pictures) for target, pictures in pictures_of.items()])


def target_outputs(pictures: LabelledPictures, pool: dict[str, LoadedCheckpoint]) -> dict[str, torch.Tensor]:
    """`labels` int16, and per checkpoint `.features` and, with a trained head, `.logits`, float16, one row each."""
    rows = stored_rows(pictures.train_labels, MOST_STORED)
    tensors = {"labels": torch.from_numpy(pictures.train_labels[rows]).to(torch.int16)}
    for name, checkpoint in pool.items():
        features, logits = _frozen_outputs(checkpoint, pictures.train[rows])
        tensors[f"{name}.features"] = features.half()
        if logits is not None:
            tensors[f"{name}.logits"] = logits.half()
    return tensors


def stored_rows(labels: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """All rows, or so many of them, taken from every class in turn."""
    rank_in_class = np.zeros(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        rank_in_class[members] = np.arange(len(members))
    return np.sort(np.argsort(rank_in_class, kind="stable")[:most])


def _frozen_outputs(
    checkpoint: LoadedCheckpoint, pictures: NDArray[np.uint8]
) -> tuple[torch.Tensor, torch.Tensor | None]:
    batches = [pictures[start : start + BATCH] for start in range(0, len(pictures), BATCH)]
    outputs = [checkpoint.forward(checkpoint.prepare(list(batch))) for batch in batches]
    features = torch.cat([features for features, _ in outputs])
    logits = [logits for _, logits in outputs if logits is not None]
    return features, torch.cat(logits) if logits else None


def _checkpoint_row(recipe: Recipe, checkpoint: LoadedCheckpoint, output: Path) -> dict[str, object]:
    record = json.loads((output / "pool" / recipe.name / RECORD).read_text())
    accuracy = record["source_accuracy"]
    return {
        "checkpoint": recipe.name,
        "family": checkpoint.family,
        "source": recipe.source if recipe.steps else "none",
        "method": recipe.method,
        "steps": recipe.steps,
        "learning_rate": f"{recipe.learning_rate:g}" if recipe.steps else "",
        "parameters": checkpoint.parameters,
        "source_accuracy": "" if accuracy is None else f"{accuracy:.4f}",
    }


def _target_row(target: Target, pictures: LabelledPictures) -> dict[str, object]:
    return {
        "target": target.name,
        "half": target.half,
        "n_classes": pictures.n_classes,
        "n_train": len(pictures.train),
        "n_stored": len(stored_rows(pictures.train_labels, MOST_STORED)),
        "n_test": len(pictures.test),
        "images_from": target.images_from,
        "note": target.note,
    }


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)

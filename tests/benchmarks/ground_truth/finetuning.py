"""Fine-tunes every checkpoint on every target by the demo's protocol, all pairs once before any is repeated."""

import itertools
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoImageProcessor

from tests.benchmarks.demo_pool.families import normalisation
from tests.benchmarks.demo_pool.finetuning import Run, Split, append, finetune, finished_runs, put_in_order

from .checkpoints import POOL
from .targets import LabelledPictures, Target, load

LEARNING_RATES = (5e-4, 2e-3)
SEEDS = (0, 1, 2)
ARCHITECTURES = {recipe.name: recipe.architecture for recipe in POOL}


def planned_runs(targets: Sequence[Target]) -> list[Run]:
    """Seeds outermost: a table that stops early has every pair at both rates, with fewer seeds."""
    choices = itertools.product(SEEDS, targets, LEARNING_RATES, POOL)
    return [Run(target.name, recipe.name, rate, seed, target.epochs) for seed, target, rate, recipe in choices]


def finetune_matrix(
    output: Path, matrix: Path, targets: Sequence[Target], *, only: list[str] | None, worker: int, workers: int
) -> None:
    """Appends a row per finished run and skips the runs that are in the file: it may be killed at any time."""
    table = matrix / "finetuned_accuracy.csv"
    matrix.mkdir(parents=True, exist_ok=True)
    planned = planned_runs(targets)
    mine = [run for run in planned[worker::workers] if not only or run.checkpoint in only]
    for target, runs in itertools.groupby(mine, key=lambda run: run.target):
        _finetune_on_target(runs, load(output / "targets" / f"{target}.npz"), output / "pool", table=table)
    if set(planned) == finished_runs(table):
        put_in_order(table, planned)


def _finetune_on_target(runs: Iterable[Run], pictures: LabelledPictures, pool: Path, *, table: Path) -> None:
    splits: dict[object, tuple[Split, Split]] = {}
    done = finished_runs(table)
    for run in runs:
        if run in done:
            continue
        started = time.perf_counter()
        processor = AutoImageProcessor.from_pretrained(pool / run.checkpoint)
        # the pictures have the size that every network takes, so that nothing but the normalisation differs
        key = type(processor), normalisation(ARCHITECTURES[run.checkpoint])
        if key not in splits:
            train = _prepared(processor, pictures.train, pictures.train_labels)
            splits[key] = train, _prepared(processor, pictures.test, pictures.test_labels)
        train, test = splits[key]
        result = finetune(run, pool / run.checkpoint, train=train, test=test)
        append(table, result)
        print(result, f"{time.perf_counter() - started:.1f} s", flush=True)


def _prepared(processor, pictures: NDArray[np.uint8], labels: NDArray[np.int64]) -> Split:
    tensors = processor(list(pictures), return_tensors="pt")["pixel_values"]
    return Split(tensors.contiguous(memory_format=torch.channels_last), torch.from_numpy(labels))

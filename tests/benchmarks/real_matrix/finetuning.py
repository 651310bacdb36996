"""Fine-tunes every checkpoint on every target with `verify`'s own training, one row a fine-tuning.

All weights learn under a new linear head: AdamW, a tenth of warm-up and a cosine, batches by the number of images,
shifts and flips, and the weights of the epoch that a fifth of the train pictures likes best (`lead_hub.finetuning`).
The table is only ever added to, and a run that is in it is not done again: stop the process at any time, start it anew.
"""

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lead_hub.checkpoint_outputs import LoadedCheckpoint, load_checkpoint
from lead_hub.finetuning.model_inputs import InputsInMemory, Part, Parts
from lead_hub.finetuning.network import Backbone, Hardware, Network, count_features
from lead_hub.finetuning.parts import VALIDATION_SHARE, stratified_share
from lead_hub.finetuning.training import DivergedError, Schedule, train
from lead_hub.processes import running_processes
from tests.benchmarks.demo_pool.finetuning import Result, Run, append, finished_runs

from .checkpoints import POOL
from .targets import TARGETS, LabelledPictures, Target, load_target

# The rate that is right most often first: a table that stops early has every pair at it.
LEARNING_RATES = (1e-3, 1e-4, 1e-2)
SEEDS = (0, 1)
PREPARED_AT_ONCE = 32


def planned_runs(targets: Sequence[Target] = TARGETS) -> list[Run]:
    """Rates outermost, then seeds: what is done first is every pair at one rate."""
    choices = itertools.product(LEARNING_RATES, SEEDS, targets, POOL)
    return [Run(target.name, one.name, rate, seed, target.epochs) for rate, seed, target, one in choices]


def finetune_matrix(work: Path, table: Path, *, only: Sequence[str] | None) -> None:
    """Do the runs that the table lacks, of some targets only where `only` names them."""
    table.parent.mkdir(parents=True, exist_ok=True)
    hardware = Hardware(running_processes(), torch.device("cpu"), torch.float32)
    done = finished_runs(table)
    runs = [run for run in planned_runs() if run not in done and (not only or run.target in only)]
    for target, of_target in itertools.groupby(runs, key=lambda run: run.target):
        pictures = load_target(work / "targets" / target)
        for run, result, seconds in finetuned(of_target, pictures, work / "pool", hardware):
            append(table, result)
            print(f"{run.target} {run.checkpoint} {run.learning_rate:g} seed {run.seed}:", end=" ")
            print(f"{result.validation_accuracy:.3f} {result.test_accuracy:.3f}, {seconds:.0f} s", flush=True)


def finetuned(
    runs: Iterable[Run], pictures: LabelledPictures, pool: Path, hardware: Hardware
) -> Iterator[tuple[Run, Result, float]]:
    """Runs with their results and how many seconds each took."""
    for run in runs:
        start_s = time.perf_counter()
        result = finetune(run, load_checkpoint(pool / run.checkpoint), pictures, hardware)
        yield run, result, time.perf_counter() - start_s


def finetune(run: Run, checkpoint: LoadedCheckpoint, pictures: LabelledPictures, hardware: Hardware) -> Result:
    """One fine-tuning; one whose loss is not finite in its first epoch is right as often as one class is drawn."""
    parts = image_parts(checkpoint, pictures, seed=run.seed)
    torch.manual_seed(run.seed)
    n_features = count_features(checkpoint, next(parts.fit.inputs.batches([0], 1)))
    trunk = Backbone(checkpoint, mode="full")
    network = Network(trunk, n_features=n_features, n_classes=len(pictures.class_names))
    # Depthwise convolutions are almost twice as fast on a CPU.
    network = network.to(memory_format=torch.channels_last)
    schedule = Schedule(run.learning_rate, run.seed, epochs=run.epochs, flip=True)
    values = (run.target, run.checkpoint, run.learning_rate, run.seed, run.epochs)
    try:
        trained = train(network, parts, schedule=schedule, hardware=hardware, advance=lambda _epochs: None)
    except DivergedError:
        chance = 1 / len(pictures.class_names)
        return Result(*values, chance, chance)
    return Result(*values, trained.validation.accuracy, trained.test.accuracy)


def image_parts(checkpoint: LoadedCheckpoint, pictures: LabelledPictures, *, seed: int) -> Parts:
    """The pictures as the checkpoint's own processor gives them, in the three parts of a training."""
    train_inputs, test_inputs = (prepared(checkpoint, part) for part in (pictures.train, pictures.test))
    validation = stratified_share(pictures.train_labels, VALIDATION_SHARE, seed=seed)
    fit = np.setdiff1d(np.arange(len(pictures.train)), validation)
    labels = torch.from_numpy(pictures.train_labels)
    test = np.arange(len(pictures.test))
    return Parts(
        fit=Part(train_inputs, fit, labels[fit]),
        validation=Part(train_inputs, validation, labels[validation]),
        test=Part(test_inputs, test, torch.from_numpy(pictures.test_labels)),
    )


def prepared(checkpoint: LoadedCheckpoint, pictures: NDArray[np.uint8]) -> InputsInMemory:
    starts = range(0, len(pictures), PREPARED_AT_ONCE)
    return InputsInMemory(
        torch.cat([checkpoint.prepare(list(pictures[start : start + PREPARED_AT_ONCE])) for start in starts])
    )

"""Full fine-tuning of every checkpoint on every target: what a ranking is measured against."""

import csv
import itertools
import math
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from datasets import load_dataset
from sklearn.model_selection import train_test_split
from torch.nn import functional
from transformers import AutoImageProcessor, AutoModelForImageClassification, PreTrainedModel

from .checkpoints import POOL
from .targets import TARGETS

LEARNING_RATES = (5e-4, 2e-3)
SEEDS = (0, 1, 2)
EPOCHS = 12
BATCH = 16
WEIGHT_DECAY = 0.05
VALIDATION_SHARE = 0.2
LARGEST_SHIFT = 1 / 12  # of the picture's side
HEADS = ("classifier.", "fc.", "head.")


@dataclass(frozen=True)
class Run:
    """One fine-tuning; a row of finetuned_accuracy.csv before its accuracies are known."""

    target: str
    checkpoint: str
    learning_rate: float
    seed: int
    epochs: int = EPOCHS


@dataclass(frozen=True)
class Result(Run):
    validation_accuracy: float = float("nan")
    test_accuracy: float = float("nan")


@dataclass(frozen=True)
class Split:
    """Pictures as the checkpoint's own processor gives them, with their labels."""

    pictures: torch.Tensor
    labels: torch.Tensor

    def rows(self, chosen) -> "Split":
        return Split(self.pictures[chosen], self.labels[chosen])


def planned_runs() -> list[Run]:
    choices = itertools.product(POOL, TARGETS, LEARNING_RATES, SEEDS)
    return [Run(target, recipe.name, rate, seed) for recipe, target, rate, seed in choices]


def finetune_pool(output: Path, *, only: list[str] | None, worker: int, workers: int) -> None:
    """Appends a row per finished run and skips the runs that are in the file: it may be killed at any time."""
    table = output / "finetuned_accuracy.csv"
    runs = [run for run in planned_runs() if not only or run.checkpoint in only]
    pairs = list(dict.fromkeys((run.checkpoint, run.target) for run in runs))
    for checkpoint, target in pairs[worker::workers]:
        done = finished_runs(table)
        todo = [run for run in runs if (run.checkpoint, run.target) == (checkpoint, target) and run not in done]
        if todo:
            train, test = prepared(output, checkpoint, target)
        for run in todo:
            started = time.perf_counter()
            result = finetune(run, output / "pool" / checkpoint, train=train, test=test)
            append(table, result)
            print(result, f"{time.perf_counter() - started:.1f} s", flush=True)
    if not set(planned_runs()) - finished_runs(table):
        put_in_order(table, planned_runs())


def put_in_order(table: Path, planned: list[Run]) -> None:
    """The rows of a complete table in the order of the plan, each once, whichever process wrote them first."""
    results = {
        Run(row.target, row.checkpoint, row.learning_rate, row.seed, row.epochs): row for row in read_table(table)
    }
    ordered = table.with_suffix(".ordered")
    for run in planned:
        append(ordered, results[run])
    ordered.replace(table)


def read_table(table: Path) -> list[Result]:
    if not table.exists():
        return []
    with table.open(newline="") as stream:
        return [
            Result(
                row["target"], row["checkpoint"], float(row["learning_rate"]), int(row["seed"]), int(row["epochs"]),
                float(row["validation_accuracy"]), float(row["test_accuracy"]),
            )
            for row in csv.DictReader(stream)
        ]  # fmt: skip


def finished_runs(table: Path) -> set[Run]:
    return {Run(row.target, row.checkpoint, row.learning_rate, row.seed, row.epochs) for row in read_table(table)}


def append(table: Path, result: Result) -> None:
    """Opened for appending and written at once, so that two processes can share the file."""
    values = {**asdict(result), "learning_rate": f"{result.learning_rate:g}"}
    for name in ("validation_accuracy", "test_accuracy"):
        values[name] = f"{values[name]:.4f}"
    with table.open("a", newline="") as stream:
        header = "" if stream.tell() else ",".join(field.name for field in fields(Result)) + "\n"
        stream.write(header + ",".join(str(value) for value in values.values()) + "\n")


def prepared(output: Path, checkpoint: str, target: str) -> tuple[Split, Split]:
    processor = AutoImageProcessor.from_pretrained(output / "pool" / checkpoint)
    dataset = load_dataset(str(output / "targets" / target))
    splits = []
    for name in ("train", "test"):
        pictures = [picture.convert("RGB") for picture in dataset[name]["image"]]
        tensors = processor(pictures, return_tensors="pt")["pixel_values"]
        tensors = tensors.contiguous(memory_format=torch.channels_last)
        splits.append(Split(tensors, torch.tensor(dataset[name]["label"])))
    return splits[0], splits[1]


def fresh_classifier(folder: Path, class_count: int) -> PreTrainedModel:
    """The checkpoint's body under a new linear head of its family; torch's global seed decides the head."""
    network, report = AutoModelForImageClassification.from_pretrained(
        folder, num_labels=class_count, ignore_mismatched_sizes=True, output_loading_info=True
    )
    replaced = [*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])]
    if not all(key.removeprefix("timm_model.").startswith(HEADS) for key in replaced):
        raise ValueError(f"{folder.name}: only the head may be new, but {report} was found")
    heads = [module for name, module in network.named_modules() if _is_head(name, module)]
    if len(heads) != 1 or heads[0].out_features != class_count:
        raise ValueError(f"{folder.name}: one linear head of {class_count} classes must be there, not {heads}")
    # also where the source task has as many classes as the target: its head would be kept
    heads[0].reset_parameters()
    return network


def _is_head(name: str, module: torch.nn.Module) -> bool:
    return isinstance(module, torch.nn.Linear) and f"{name.removeprefix('timm_model.')}.".startswith(HEADS)


def finetune(run: Run, folder: Path, *, train: Split, test: Split) -> Result:
    """Trains all weights on four fifths of train; the test images are looked at once, at the end."""
    torch.manual_seed(run.seed)
    generator = torch.Generator().manual_seed(run.seed)
    fit_rows, validation_rows = train_test_split(
        range(len(train.labels)), test_size=VALIDATION_SHARE, random_state=run.seed, stratify=train.labels
    )
    fit, validation = train.rows(fit_rows), train.rows(validation_rows)
    network = fresh_classifier(folder, int(train.labels.max()) + 1)
    _train(network, fit, run=run, generator=generator)
    return Result(
        **asdict(run), validation_accuracy=accuracy(network, validation), test_accuracy=accuracy(network, test)
    )


def _train(network: PreTrainedModel, fit: Split, *, run: Run, generator: torch.Generator) -> None:
    """AdamW with a tenth of warm-up and a cosine to zero."""
    parameters = list(network.parameters())  # gathered once: walking the modules at every step takes time
    optimizer = torch.optim.AdamW(parameters, lr=run.learning_rate, weight_decay=WEIGHT_DECAY, fused=True)
    steps = run.epochs * (len(fit.labels) // BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps))
    network.train().to(memory_format=torch.channels_last)  # depthwise convolutions: almost twice as fast on a CPU
    for _ in range(run.epochs):
        order = torch.randperm(len(fit.labels), generator=generator)
        for rows in order[: len(order) // BATCH * BATCH].split(BATCH):
            logits = network(shifted(fit.pictures[rows], generator)).logits
            loss = functional.cross_entropy(logits, fit.labels[rows])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
    network.eval()


def _rate(step: int, steps: int) -> float:
    warm_up = steps // 10
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up)))


def shifted(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Each picture moved by up to a twelfth of its side; not mirrored, since letters must not be."""
    height, width = pictures.shape[-2:]
    most = int(LARGEST_SHIFT * height)
    padded = functional.pad(pictures, [most] * 4, mode="replicate")
    offsets = torch.randint(2 * most + 1, (len(pictures), 2), generator=generator).tolist()
    return torch.stack(
        [
            picture[:, top : top + height, left : left + width]
            for picture, (top, left) in zip(padded, offsets, strict=True)
        ]
    )


@torch.no_grad()
def accuracy(network: PreTrainedModel, split: Split) -> float:
    predictions = [network(chunk).logits.argmax(dim=1) for chunk in split.pictures.split(128)]
    return float((torch.cat(predictions) == split.labels).double().mean())

"""Reloads the demo as a user would, refuses what does not hold, and prints the table of accuracies."""

from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev

import torch
from datasets import ClassLabel, Image, load_dataset
from safetensors.torch import load_file
from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoModelForImageClassification

from .checkpoints import POOL, Recipe
from .drawings import PIXELS
from .finetuning import Result, finished_runs, planned_runs, read_table
from .targets import TARGETS

LARGEST_POOL_BYTES = 20_000_000
LARGEST_TARGETS_BYTES = 5_000_000
MOST_PARAMETERS = 900_000


def verify(output: Path) -> None:
    for name in TARGETS:
        check_target(output / "targets" / name)
    for recipe in POOL:
        check_checkpoint(recipe, output)
    check_size(output / "pool", LARGEST_POOL_BYTES)
    check_size(output / "targets", LARGEST_TARGETS_BYTES)
    results = read_table(output / "finetuned_accuracy.csv")
    missing = set(planned_runs()) - finished_runs(output / "finetuned_accuracy.csv")
    if missing or len(results) != len(planned_runs()):
        raise ValueError(
            f"{len(results)} rows, {len(missing)} fine-tunings missing, the first {sorted(missing, key=str)[:1]}"
        )
    print(table(results))


def check_target(folder: Path) -> None:
    dataset = load_dataset(str(folder))
    if set(dataset) != {"train", "test"}:
        raise ValueError(f"{folder.name}: splits {sorted(dataset)}")
    for split, rows in dataset.items():
        is_typed = isinstance(rows.features["image"], Image) and isinstance(rows.features["label"], ClassLabel)
        if not is_typed or {picture.size for picture in rows["image"]} != {(PIXELS, PIXELS)}:
            raise ValueError(f"{folder.name}/{split}: columns {rows.features}")
        counts = [rows["label"].count(label) for label in range(rows.features["label"].num_classes)]
        names = ", ".join(f"{name} {count}" for name, count in zip(rows.features["label"].names, counts, strict=True))
        print(f"{folder.name}/{split}: {len(rows)} images ({names})")


@torch.no_grad()
def check_checkpoint(recipe: Recipe, output: Path) -> None:
    """Every tensor of the file must be in the reloaded network unchanged, and give finite outputs on real images."""
    folder = output / "pool" / recipe.name
    auto = AutoModelForImageClassification if recipe.method == "supervised" else AutoModel
    network, report = auto.from_pretrained(folder, output_loading_info=True)
    new = [key for key in report["missing_keys"] if not key.startswith("pooler.")]
    if new or report["unexpected_keys"] or report["mismatched_keys"]:
        raise ValueError(f"{recipe.name}: {report}")
    stored = load_file(folder / "model.safetensors")
    # by value: on disk some families keep the names of older versions
    held = {tensor_bytes(value) for value in network.state_dict().values()}
    changed = [key for key, value in stored.items() if tensor_bytes(value) not in held]
    parameters = sum(parameter.numel() for parameter in network.parameters())
    if changed or parameters > MOST_PARAMETERS:
        raise ValueError(f"{recipe.name}: {parameters} parameters, changed tensors {changed}")
    image = load_dataset(str(output / "targets" / "emoji"), split="test")[0]["image"]
    pictures = AutoImageProcessor.from_pretrained(folder)(image, return_tensors="pt")["pixel_values"]
    outputs = network.eval()(pictures)[0]
    if pictures.shape != (1, 3, PIXELS, PIXELS) or not outputs.isfinite().all():
        raise ValueError(f"{recipe.name}: pictures {tuple(pictures.shape)}, outputs {outputs}")
    print(f"{recipe.name}: {AutoConfig.from_pretrained(folder).architectures[0]}, {parameters:,} parameters")


def tensor_bytes(tensor: torch.Tensor) -> tuple[torch.Size, bytes]:
    return tensor.shape, tensor.contiguous().numpy().tobytes()


def check_size(folder: Path, largest_bytes: int) -> None:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder.name}: {size:,} bytes")
    if size > largest_bytes:
        raise ValueError(f"{folder.name} holds {size:,} bytes, more than {largest_bytes:,}")


def published(results: list[Result]) -> dict[tuple[str, str], list[Result]]:
    """The runs behind the number of each (checkpoint, target): those at the best learning rate on validation."""
    runs = defaultdict(lambda: defaultdict(list))
    for result in results:
        runs[result.checkpoint, result.target][result.learning_rate].append(result)
    return {
        pair: max(rates.values(), key=lambda runs: mean(run.validation_accuracy for run in runs))
        for pair, rates in runs.items()
    }


def table(results: list[Result]) -> str:
    """Markdown: mean test accuracy and its standard deviation over the seeds, in percent, best mean first."""
    chosen = published(results)
    names = {checkpoint for checkpoint, _ in chosen}
    score = {name: mean(run.test_accuracy for target in TARGETS for run in chosen[name, target]) for name in names}
    lines = ["| checkpoint | " + " | ".join(TARGETS) + " |", "|---|" + "---:|" * len(TARGETS)]
    for name in sorted(names, key=score.get, reverse=True):
        cells = [_cell(chosen[name, target]) for target in TARGETS]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(runs: list[Result]) -> str:
    accuracies = [100 * run.test_accuracy for run in runs]
    return f"{mean(accuracies):.1f} ± {stdev(accuracies):.1f}"

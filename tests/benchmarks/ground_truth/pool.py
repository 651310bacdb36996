"""Trains the checkpoints, or those that are not there yet, and records what each has learnt."""

import json
from pathlib import Path

from tests.benchmarks.demo_pool.checkpoints import Recipe
from tests.benchmarks.demo_pool.families import image_processor
from tests.benchmarks.demo_pool.pretraining import Pretrained, pretrain
from tests.benchmarks.demo_pool.publication import check_reloaded, without_head
from tests.benchmarks.demo_pool.sources import Packages, SourceTask

from .checkpoints import POOL
from .sources import PIXELS, source_task

RECORD = "training.json"


def pretrain_pool(packages: Packages, output: Path, *, only: list[str] | None, worker: int, workers: int) -> None:
    """A worker's share of the pool; a checkpoint's record is written last and so marks a finished one."""
    tasks: dict[str, SourceTask] = {}
    for recipe in POOL[worker::workers]:
        folder = output / "pool" / recipe.name
        if (only and recipe.name not in only) or (folder / RECORD).exists():
            continue
        if recipe.source not in tasks:
            tasks[recipe.source] = source_task(recipe.source, packages)
        pretrained = pretrain(recipe, tasks[recipe.source])
        write_checkpoint(recipe, pretrained, folder)
        accuracy, loss = pretrained.source_accuracy, pretrained.final_loss
        print(f"{recipe.name}: accuracy {accuracy}, loss {loss}, {pretrained.duration_s:.0f} s", flush=True)


def write_checkpoint(recipe: Recipe, pretrained: Pretrained, folder: Path) -> None:
    """Writes the folder and reads it back: the reloaded network must give the same outputs."""
    network = pretrained.network if recipe.method == "supervised" else without_head(pretrained.network)
    network.eval().save_pretrained(folder)
    processor = image_processor(recipe.architecture, PIXELS)
    if processor is not None:
        processor.save_pretrained(folder)
    check_reloaded(network, folder, has_head=recipe.method == "supervised", pixels=PIXELS)
    record = {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "source_accuracy": pretrained.source_accuracy,
        "final_loss": pretrained.final_loss,
        "duration_s": round(pretrained.duration_s, 1),
    }
    (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n")

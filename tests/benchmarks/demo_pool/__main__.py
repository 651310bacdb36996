"""The commands that make the demo again; see the package's docstring."""

import argparse
from pathlib import Path

import torch
from transformers.utils import logging

from .checkpoints import POOL
from .finetuning import finetune_pool
from .pretraining import pretrain
from .publication import write_checkpoint
from .sources import Packages, SourceTask, source_task
from .targets import TARGETS, target_drawings, write_target
from .verification import verify


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.demo_pool", description=__doc__)
    parser.add_argument("command", choices=["targets", "pretrain", "finetune", "verify"])
    add_shared_arguments(parser)
    parser.add_argument("--output", type=Path, default=Path("lead_hub/demo"))
    return parser.parse_args()


def add_shared_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the packages are that pictures come from, and how several processes share the work."""
    parser.add_argument("--clipart", type=Path, default=Path("openclipart"), help="png folder of openclipart-png")
    parser.add_argument("--emoji", type=Path, default=Path("package"), help="unpacked emoji-datasource-google")
    parser.add_argument("--fonts", type=Path, default=Path("noto"), help="truetype/noto folder of fonts-noto-core")
    parser.add_argument("--only", nargs="*", help="checkpoints to work on, all when left out")
    parser.add_argument("--worker", type=int, default=0, help="number of this process, from 0")
    parser.add_argument("--workers", type=int, default=1, help="how many processes share the work")


def main() -> None:
    options = arguments()
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    packages = Packages(options.clipart, options.emoji, options.fonts)
    if options.command == "targets":
        write_targets(packages, options.output)
    elif options.command == "pretrain":
        pretrain_pool(packages, options)
    elif options.command == "finetune":
        finetune_pool(options.output, only=options.only, worker=options.worker, workers=options.workers)
    else:
        verify(options.output)


def write_targets(packages: Packages, output: Path) -> None:
    for name in TARGETS:
        sizes = write_target(name, target_drawings(name, packages), output / "targets" / name)
        print(name, sizes, flush=True)


def pretrain_pool(packages: Packages, options: argparse.Namespace) -> None:
    """Every checkpoint that is not there yet; the model card is written last and so marks a finished one."""
    tasks: dict[str, SourceTask] = {}
    for recipe in POOL[options.worker :: options.workers]:
        folder = options.output / "pool" / recipe.name
        if (options.only and recipe.name not in options.only) or (folder / "README.md").exists():
            continue
        if recipe.source not in tasks:
            tasks[recipe.source] = source_task(recipe.source, packages)
        pretrained = pretrain(recipe, tasks[recipe.source])
        write_checkpoint(recipe, pretrained, folder)
        print(
            recipe.name, pretrained.source_accuracy, pretrained.final_loss, f"{pretrained.duration_s:.0f} s", flush=True
        )


if __name__ == "__main__":
    main()

"""The commands that make the matrix again; see the package's docstring."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers.utils import logging

from tests.benchmarks.demo_pool.__main__ import add_shared_arguments
from tests.benchmarks.demo_pool.sources import Packages

from .accuracy_table import accuracy_table
from .checkpoints import POOL
from .finetuning import finetune_matrix
from .kernels import write_kernels
from .outputs import MOST_STORED, stored_rows, write_outputs
from .pool import pretrain_pool
from .target_pictures import target_pictures
from .targets import CONFIRMATION, HELD_OUT, STUDY, Target, load, save, targets_of

MATRIX = Path("lead_hub/bench/matrix")
HALVES = (STUDY, HELD_OUT, CONFIRMATION)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.ground_truth", description=__doc__)
    parser.add_argument("step", choices=["targets", "pretrain", "outputs", "kernels", "finetune", "table"])
    add_shared_arguments(parser)
    parser.add_argument("--dejavu", type=Path, default=Path("dejavu"), help="truetype/dejavu folder of fonts-dejavu")
    parser.add_argument("--output", type=Path, default=Path("ground_truth"), help="pictures and checkpoints")
    parser.add_argument("--matrix", type=Path, default=MATRIX, help="the tables and outputs that are kept")
    parser.add_argument("--kernels", type=Path, default=Path("kernels"), help="kernels between pictures, large")
    parser.add_argument("--half", nargs="+", choices=HALVES, default=[STUDY, HELD_OUT], help="targets to work on")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    packages = Packages(options.clipart, options.emoji, options.fonts)
    targets = targets_of(options.half)
    share = {"only": options.only, "worker": options.worker, "workers": options.workers}
    if options.step == "targets":
        write_targets(targets, packages, options.dejavu, options.output / "targets")
    elif options.step == "pretrain":
        pretrain_pool(packages, options.output, **share)
    elif options.step == "outputs":
        write_outputs(options.output, options.matrix, targets)
    elif options.step == "kernels":
        pool = {recipe.name: options.output / "pool" / recipe.name for recipe in POOL}
        own = {name for name in [*pool][options.worker :: options.workers] if name in (options.only or pool)}
        for target in targets:
            pictures = load(options.output / "targets" / f"{target.name}.npz")
            stored = pictures.train[stored_rows(pictures.train_labels, MOST_STORED)]
            write_kernels(options.kernels, target.name, stored, pool, only=own)
    elif options.step == "finetune":
        finetune_matrix(options.output, options.matrix, targets, **share)
    else:
        print(accuracy_table(options.matrix, targets))


def write_targets(targets: Sequence[Target], packages: Packages, dejavu: Path, folder: Path) -> None:
    for target in targets:
        pictures = target_pictures(target.name, packages, dejavu)
        save(pictures, folder / f"{target.name}.npz")
        print(f"{target.name}: {pictures.n_classes} classes, {len(pictures.train)} train, {len(pictures.test)} test")


if __name__ == "__main__":
    main()

"""The commands that make the matrix again; see the package's docstring."""

import argparse
from pathlib import Path

import torch
from transformers.utils import logging

from lead_hub.bench import REAL_MATRIX_FOLDER
from tests.benchmarks.ground_truth.kernels import write_kernels
from tests.benchmarks.ground_truth.outputs import stored_rows

from .accuracy_table import accuracy_table
from .checkpoints import POOL
from .demonstration import write_demonstration
from .finetuning import finetune_matrix
from .originals import check_originals
from .outputs import MOST_STORED, write_outputs
from .photograph_sources import photographs_of
from .pool import write_pool
from .targets import TARGETS, load_target, write_target

TABLE = "finetuned_accuracy.csv"
STEPS = ("pool", "check", "targets", "outputs", "kernels", "finetune", "table", "demonstration")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.real_matrix", description=__doc__)
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--packages", type=Path, default=Path("packages"), help="with debian/, python/ and npm/")
    parser.add_argument("--work", type=Path, default=Path("real_matrix"), help="pictures and checkpoints")
    parser.add_argument("--matrix", type=Path, default=REAL_MATRIX_FOLDER, help="the tables and outputs that are kept")
    parser.add_argument("--kernels", type=Path, default=Path("kernels"), help="what `kernels` writes, large")
    parser.add_argument("--depths-only", action="store_true", help="with `kernels`: not by the networks' gradients")
    parser.add_argument("--demo", type=Path, default=Path("demonstration"), help="what `demonstration` writes")
    parser.add_argument("--only", nargs="+", choices=[target.name for target in TARGETS], help="targets to work on")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    torch.set_num_threads(1)
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    if options.step == "pool":
        write_pool(options.packages, options.work / "pool")
    elif options.step == "check":
        check_originals(options.packages, options.work / "pool")
    elif options.step == "targets":
        write_targets(options.packages / "debian", options.work / "targets", only=options.only)
    elif options.step == "outputs":
        write_outputs(options.work, options.matrix)
    elif options.step == "kernels":
        write_all_kernels(options.work, options.kernels, only=options.only, of_network=not options.depths_only)
    elif options.step == "finetune":
        finetune_matrix(options.work, options.matrix / TABLE, only=options.only)
    elif options.step == "demonstration":
        write_demonstration(options.packages, options.work, options.matrix / TABLE, options.demo)
    else:
        print(accuracy_table(options.matrix))


def write_all_kernels(work: Path, folder: Path, *, only: list[str] | None, of_network: bool) -> None:
    """Those between the stored pictures; the matrix keeps what `folder`/kernels holds in the end."""
    pool = {checkpoint.name: work / "pool" / checkpoint.name for checkpoint in POOL}
    for target in TARGETS:
        if only is None or target.name in only:
            pictures = load_target(work / "targets" / target.name)
            stored = pictures.train[stored_rows(pictures.train_labels, MOST_STORED)]
            write_kernels(folder, target.name, stored, pool, only=pool, of_network=of_network)


def write_targets(debian: Path, folder: Path, *, only: list[str] | None) -> None:
    """The targets that are not there yet."""
    for target in TARGETS:
        if (only is None or target.name in only) and not (folder / target.name).exists():
            print(f"{target.name}: {write_target(target, photographs_of(target.name, debian), folder / target.name)}")


if __name__ == "__main__":
    main()

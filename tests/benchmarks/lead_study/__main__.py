"""Which LEAD agrees best with fine-tuning: every choice that the paper leaves open, on the study half of the matrix.

    python -m tests.benchmarks.lead_study [--half study|held-out|all] [--keep FOLDER] [--output ablation.csv]

The default LEAD was chosen by what this prints for the study half; the other half was looked at afterwards, once.
"""

import argparse
import csv
import statistics
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from safetensors.torch import load_file

from lead_hub.bench import MATRIX_FOLDER
from lead_hub.bench.matrix import read_matrix
from lead_hub.rank_agreement import regret_at, weighted_kendall_tau

from .variants import EVOLUTION, FREE, INITIAL, QUANTITY, Features, still


def scores_of(path: Path) -> dict[tuple[str, str, str, str], float]:
    """(checkpoint, initial, evolution, quantity) -> score, for one target's outputs."""
    torch.set_num_threads(1)
    tensors = load_file(path)
    labels = torch.unique(tensors.pop("labels").long(), return_inverse=True)[1]
    scores = {}
    for name, rows in tensors.items():
        if not name.endswith(".features"):
            continue
        features = Features(rows.double(), labels)
        for initial, start in INITIAL.items():
            first = start(features)
            for evolution, change in EVOLUTION.items() if initial in FREE else [("none", still)]:
                evolved = change(first, features)
                for quantity, measure in QUANTITY.items():
                    key = (name.removesuffix(".features"), initial, evolution, quantity)
                    scores[key] = measure(evolved, first, features)
    return scores


def all_scores(folder: Path, targets: Sequence[str], keep: Path) -> dict[str, dict[tuple[str, ...], float]]:
    """Scores of every variant by target, computed once and kept: they do not depend on the accuracies."""
    keep.mkdir(parents=True, exist_ok=True)
    todo = [target for target in targets if not (keep / f"{target}.csv").exists()]
    with ProcessPoolExecutor(2) as pool:
        found = pool.map(scores_of, [folder / "outputs" / f"{target}.safetensors" for target in todo])
        for target, scores in zip(todo, found, strict=True):
            with (keep / f"{target}.csv").open("w", newline="") as stream:
                csv.writer(stream).writerows((*key, repr(score)) for key, score in scores.items())
    by_target = {}
    for target in targets:
        with (keep / f"{target}.csv").open(newline="") as stream:
            by_target[target] = {tuple(key): float(score) for *key, score in csv.reader(stream)}
    return by_target


def table(folder: Path, half: str, keep: Path) -> list[tuple[str, str, str, float, float, float]]:
    """(initial, evolution, quantity, mean weighted tau, mean regret@1, mean regret@3), best tau first."""
    matrix = read_matrix(folder)
    columns = {matrix.targets[column].name: column for column in matrix.positions(half)}
    rows_of = {checkpoint.name: row for row, checkpoint in enumerate(matrix.checkpoints)}
    found = all_scores(folder, list(columns), keep)
    rows = []
    for variant in dict.fromkeys(key[1:] for scores in found.values() for key in scores):
        figures = []
        for target, scores in found.items():
            names = [key[0] for key in scores if key[1:] == variant]
            accuracies = [float(matrix.accuracy[rows_of[name], columns[target]]) for name in names]
            pairs = [scores[(name, *variant)] for name in names], accuracies
            tau = weighted_kendall_tau(*pairs) if len(set(pairs[0])) > 1 else 0.0  # all equal says nothing
            figures.append((tau, regret_at(1, *pairs), regret_at(3, *pairs)))
        rows.append((*variant, *(statistics.fmean(column) for column in zip(*figures, strict=True))))
    return sorted(rows, key=lambda row: -row[3])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.lead_study", description=__doc__)
    parser.add_argument("--matrix", type=Path, default=MATRIX_FOLDER)
    parser.add_argument("--half", choices=["study", "held-out", "all"], default="study")
    parser.add_argument("--keep", type=Path, default=Path("lead_study"), help="folder for the scores of all variants")
    parser.add_argument("--output", type=Path, help="csv of all variants")
    options = parser.parse_args()
    rows = table(options.matrix, options.half, options.keep)
    header = ("initial", "evolution", "quantity", "weighted_tau", "regret_at_1", "regret_at_3")
    if options.output:
        with options.output.open("w", newline="") as stream:
            csv.writer(stream).writerows([header, *rows])
    for row in (header, *rows):
        sys.stdout.write(" | ".join(cell if isinstance(cell, str) else f"{cell:.3f}" for cell in row) + "\n")


if __name__ == "__main__":
    main()

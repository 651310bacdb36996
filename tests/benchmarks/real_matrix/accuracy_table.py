"""The matrix as one Markdown table, and the few numbers that say how far it can be trusted."""

from pathlib import Path

import numpy as np

from lead_hub.bench.matrix import GroundTruthMatrix, rates_by_validation, read_matrix, runs_by_pair
from lead_hub.bench.matrix_files import read_checkpoints, read_runs, read_targets

from .finetuning import planned_runs


def accuracy_table(folder: Path) -> str:
    """Mean test accuracy in percent of every pair that has a run, best mean first; then how sure the numbers are."""
    matrix = read_matrix(folder)
    header = ["checkpoint", *(target.name for target in matrix.targets), "mean"]
    lines = ["| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(header) - 1)]
    means = np.nanmean(matrix.accuracy, axis=1)
    for row in np.argsort(-means):
        cells = [f"{value:.1f}" if not np.isnan(value) else "" for value in (*matrix.accuracy[row], means[row])]
        lines.append(f"| {matrix.checkpoints[row].name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *_facts(folder, matrix), *matrix.left_out])


def _facts(folder: Path, matrix: GroundTruthMatrix) -> list[str]:
    runs = read_runs(folder)
    pairs = runs_by_pair(runs, checkpoints=read_checkpoints(folder), targets=read_targets(folder)).values()
    chosen = [rates_by_validation(pair)[0] for pair in pairs]
    planned = {(run.target, run.checkpoint, run.learning_rate, run.seed) for run in planned_runs()}
    done = planned & {(run.target, run.checkpoint, run.learning_rate, run.seed) for run in runs}
    facts = [f"{len(done)} of {len(planned)} fine-tunings, and {len(runs) - len(done)} of a first grid"]
    for rate in sorted({*chosen}):
        facts += [f"learning rate {rate:g} chosen in {chosen.count(rate)} of {len(chosen)} pairs"]
    if len(matrix.seed_accuracy) > 1:
        spreads = np.std(matrix.seed_accuracy, axis=0, ddof=1)
        spreads = spreads[~np.isnan(spreads)]
        if len(spreads):
            typical, largest = np.median(spreads), spreads.max()
            facts += [f"standard deviation over seeds: median {typical:.1f}, largest {largest:.1f} points"]
    for column, target in enumerate(matrix.targets):
        values = matrix.accuracy[:, column]
        best = matrix.checkpoints[int(np.nanargmax(values))].name
        facts += [f"{target.name}: best {best} {np.nanmax(values):.1f}, median {np.nanmedian(values):.1f}"]
    return facts

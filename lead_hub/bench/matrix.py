"""A ground-truth matrix: checkpoints x targets, each pair really fine-tuned, and the outputs that scores read."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from statistics import fmean

import numpy as np
from jaxtyping import Float

from lead_hub.bench.matrix_files import (
    HALVES,
    CheckpointFacts,
    FineTuningRun,
    MatrixError,
    TargetFacts,
    read_checkpoints,
    read_runs,
    read_targets,
)
from lead_hub.bench.stored_outputs import stored_checkpoints

MATRIX_FOLDER = Path(str(resources.files("lead_hub.bench") / "matrix"))
REAL_MATRIX_FOLDER = MATRIX_FOLDER.with_name("real_matrix")
# Regret among the first three needs a fourth to be regretted.
FEWEST_CHECKPOINTS = 4

# By learning rate, then seed: what each run gave.
PairRuns = Mapping[float, Mapping[int, FineTuningRun]]


@dataclass(frozen=True, eq=False)
class GroundTruthMatrix:
    """What fine-tuning every checkpoint on every target really gave. Accuracies are percent of the test images.

    Attributes:
        folder: where it was read from; the stored outputs are read from there when they are needed.
        checkpoints: the rows.
        targets: the columns, those left out of which too little is there yet.
        accuracy: the published accuracy: mean over seeds at the learning rate of the best mean validation
            accuracy (of equal ones the smaller rate), so that the test images choose nothing. NaN for a pair
            without any run, or without stored outputs: it is left out of every comparison.
        seed_accuracy: the single seeds behind it, NaN where a seed has no run at that rate.
        other_rate_accuracy: mean over seeds at the next best learning rate by validation, NaN without one.
        left_out: what is missing, in sentences.
    """

    folder: Path
    checkpoints: tuple[CheckpointFacts, ...]
    targets: tuple[TargetFacts, ...]
    accuracy: Float[np.ndarray, "checkpoint target"]
    seed_accuracy: Float[np.ndarray, "seed checkpoint target"]
    other_rate_accuracy: Float[np.ndarray, "checkpoint target"]
    left_out: tuple[str, ...]

    def positions(self, half: str) -> list[int]:
        """Columns of the targets of one half, or of every half that the matrix has for "all"."""
        if half not in (*HALVES, "all"):
            raise MatrixError(f"half must be one of {', '.join(HALVES)} or all, found {half!r}")
        return [position for position, target in enumerate(self.targets) if half in (target.half, "all")]


def read_matrix(folder: Path = MATRIX_FOLDER) -> GroundTruthMatrix:
    """Read a matrix, also one that is not finished: what is missing is left out and said.

    Raises:
        MatrixError: no such folder, a file that is missing or damaged, or no target with enough checkpoints.
    """
    if not folder.is_dir() and folder in (MATRIX_FOLDER, REAL_MATRIX_FOLDER):
        raise MatrixError(
            "the ground-truth matrix is in a clone of the repository, not in the installed package, which it would make"
            " three times as large: install the clone (`pip install --editable .`), or name a matrix with --matrix"
        )
    if not folder.is_dir():
        raise MatrixError(f"a ground-truth matrix must be a folder, found none at {folder}")
    checkpoints, targets = read_checkpoints(folder), read_targets(folder)
    runs = runs_by_pair(read_runs(folder), checkpoints=checkpoints, targets=targets)
    seeds = sorted({seed for pair in runs.values() for by_seed in pair.values() for seed in by_seed})
    shape = len(checkpoints), len(targets)
    accuracy, other = np.full(shape, np.nan), np.full(shape, np.nan)
    by_seed = np.full((len(seeds), *shape), np.nan)
    for column, target in enumerate(targets):
        stored = stored_checkpoints(folder, target.name)
        for row, checkpoint in enumerate(checkpoints):
            pair = runs.get((target.name, checkpoint.name))
            if pair is None or checkpoint.name not in stored:
                continue
            rates = rates_by_validation(pair)
            chosen = pair[rates[0]]
            accuracy[row, column] = mean_test_percent(chosen)
            for seed, run in chosen.items():
                by_seed[seeds.index(seed), row, column] = 100 * run.test_accuracy
            if len(rates) > 1:
                other[row, column] = mean_test_percent(pair[rates[1]])
    usable = np.flatnonzero((~np.isnan(accuracy)).sum(axis=0) >= FEWEST_CHECKPOINTS)
    if not len(usable):
        raise MatrixError(
            f"a target needs {FEWEST_CHECKPOINTS} fine-tuned checkpoints with stored outputs, found none in {folder}"
        )
    return GroundTruthMatrix(
        folder=folder,
        checkpoints=tuple(checkpoints),
        targets=tuple(targets[column] for column in usable),
        accuracy=accuracy[:, usable],
        seed_accuracy=by_seed[:, :, usable],
        other_rate_accuracy=other[:, usable],
        left_out=missing(accuracy, runs, checkpoints=checkpoints, targets=targets),
    )


def runs_by_pair(
    runs: Sequence[FineTuningRun], *, checkpoints: Sequence[CheckpointFacts], targets: Sequence[TargetFacts]
) -> dict[tuple[str, str], PairRuns]:
    """Runs by (target, checkpoint), then learning rate, then seed."""
    known_checkpoints, known_targets = {each.name for each in checkpoints}, {each.name for each in targets}
    pairs: defaultdict[tuple[str, str], defaultdict[float, dict[int, FineTuningRun]]]
    pairs = defaultdict(lambda: defaultdict(dict))
    for run in runs:
        if run.checkpoint not in known_checkpoints or run.target not in known_targets:
            raise MatrixError(
                f"every run must name a checkpoint and a target of the other two tables, found {run.target!r}"
                f" with {run.checkpoint!r}"
            )
        pairs[run.target, run.checkpoint][run.learning_rate][run.seed] = run
    return {**pairs}


def rates_by_validation(pair: PairRuns) -> list[float]:
    """Learning rates, that of the best mean validation accuracy first; of equal ones the smaller.

    One that was tried with fewer seeds stands after all with more: the mean of fewer is more often the best by chance.
    """
    means = {rate: fmean(run.validation_accuracy for run in by_seed.values()) for rate, by_seed in pair.items()}
    return sorted(means, key=lambda rate: (-len(pair[rate]), -means[rate], rate))


def mean_test_percent(by_seed: Mapping[int, FineTuningRun]) -> float:
    return 100 * fmean(run.test_accuracy for run in by_seed.values())


def missing(
    accuracy: Float[np.ndarray, "checkpoint target"],
    runs: Mapping[tuple[str, str], PairRuns],
    *,
    checkpoints: Sequence[CheckpointFacts],
    targets: Sequence[TargetFacts],
) -> tuple[str, ...]:
    """One sentence for every target of which something is not there yet.

    A pair is to have the runs, by rate and seed, that most pairs have; some may have more, of a rate that was given up.
    """
    times = Counter(run for pair in runs.values() for run in runs_of(pair))
    usual = {run for run, n_pairs in times.items() if 2 * n_pairs > len(runs)}
    sentences = []
    for column, target in enumerate(targets):
        absent = [each.name for row, each in enumerate(checkpoints) if np.isnan(accuracy[row, column])]
        if len(checkpoints) - len(absent) < FEWEST_CHECKPOINTS:
            sentences.append(f"{target.name}: left out, {len(checkpoints) - len(absent)} usable checkpoints")
        elif absent:
            sentences.append(
                f"{target.name}: {len(absent)} of {len(checkpoints)} checkpoints left out, without a fine-tuning run or"
                f" without stored outputs: {', '.join(absent)}"
            )
        there = [runs[target.name, each.name] for each in checkpoints if (target.name, each.name) in runs]
        fewer = sum(not usual <= runs_of(pair) for pair in there)
        if fewer:
            sentences.append(f"{target.name}: {fewer} checkpoints have fewer than {len(usual)} fine-tuning runs so far")
    return tuple(sentences)


def runs_of(pair: PairRuns) -> set[tuple[float, int]]:
    """Rate and seed of each run of a pair."""
    return {(rate, seed) for rate, by_seed in pair.items() for seed in by_seed}

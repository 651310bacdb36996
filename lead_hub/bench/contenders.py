"""Everything that may order the checkpoints of a matrix: scores, baselines that see no image, and noise ceilings.

All are arrays [draw, checkpoint, target], of which a figure is the mean over draws; a score has one draw.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from lead_hub.bench.matrix import GroundTruthMatrix
from lead_hub.bench.score_table import ScoreTable
from lead_hub.transferability import MOST_STANDING, SCORES, prior_shift

N_RANDOM_ORDERS = 20
LEAD, LEAD_PRIOR, LEAD_NETWORK = "lead", "lead+prior", "lead-network"
N_LOOKED_AT = 5


@dataclass(frozen=True, eq=False)
class Contender:
    """One way to order checkpoints.

    Attributes:
        name: short, unique.
        title: for people.
        kind: "score" sees the target's train images and nothing else; "baseline" sees no image; "ceiling" knows
            accuracies that no score may know.
        values: higher is better; NaN where undefined, which ranks last.
        truth: accuracy in percent that it is compared with; NaN for a pair that is left out.
        seconds: processor time, median over checkpoints and targets; None for what costs nothing.
        few_images: the values from a sample of few images, a draw for each seed; None where no image is seen.
    """

    name: str
    title: str
    kind: Literal["score", "baseline", "ceiling"]
    values: Float[np.ndarray, "draw checkpoint target"]
    truth: Float[np.ndarray, "draw checkpoint target"]
    seconds: float | None = None
    few_images: Float[np.ndarray, "sample checkpoint target"] | None = None


def all_contenders(
    matrix: GroundTruthMatrix, full: ScoreTable, few: Sequence[ScoreTable], *, seed: int = 0
) -> list[Contender]:
    """List everything that is compared: scores, then baselines, then ceilings."""
    by_images = [*scores(matrix, full, few), *with_prior(matrix, full), *second_look(matrix, full)]
    return [*by_images, *baselines(matrix, seed=seed), *ceilings(matrix)]


def scores(matrix: GroundTruthMatrix, full: ScoreTable, few: Sequence[ScoreTable]) -> list[Contender]:
    """A contender for every row of the score tables."""
    return [
        Contender(
            name=method,
            title=SCORES[method].title,
            kind="score",
            values=full.values[None, position],
            truth=matrix.accuracy[None],
            seconds=float(np.nanmedian(full.seconds[position])),
            few_images=np.stack([table.values[position] for table in few]) if few else None,
        )
        for position, method in enumerate(full.methods)
    ]


def with_prior(matrix: GroundTruthMatrix, full: ScoreTable) -> list[Contender]:
    """LEAD with its own mean standing on the other targets of the matrix; none where LEAD was not computed."""
    if LEAD not in full.methods:
        return []
    position = full.methods.index(LEAD)
    lead, shifts = full.values[position], [prior_shift(target.n_classes) for target in matrix.targets]
    standings = mean_of_other_targets(deviations(lead))
    values = lead + np.where(np.isnan(standings), 0.0, standings) * shifts
    seconds = float(np.nanmedian(full.seconds[position]))
    title = SCORES[LEAD_PRIOR].title
    return [Contender(LEAD_PRIOR, title, "score", values[None], matrix.accuracy[None], seconds)]


def second_look(matrix: GroundTruthMatrix, full: ScoreTable) -> list[Contender]:
    """LEAD with its first few of each target again by the whole network; none where either was not computed."""
    if not {LEAD, LEAD_NETWORK} <= set(full.methods):
        return []
    lead, network = (full.values[full.methods.index(name)] for name in (LEAD, LEAD_NETWORK))
    values = np.stack([looked_at_twice(*each) for each in zip(lead.T, network.T, strict=True)], axis=1)
    title = f"LEAD, its first {N_LOOKED_AT} of a target again by the whole network"
    return [Contender("second-look", title, "score", values[None], matrix.accuracy[None])]


def looked_at_twice(
    first: Float[np.ndarray, " checkpoint"], second: Float[np.ndarray, " checkpoint"], n_looked_at: int = N_LOOKED_AT
) -> Float[np.ndarray, " checkpoint"]:
    """Places as values, 0 for the first and -1 for the next: by the second score, then by the first; NaN as it was."""
    following = np.argsort(-first, kind="stable")[: int((~np.isnan(first)).sum())]
    again, others = following[:n_looked_at], following[n_looked_at:]
    places = np.full(len(first), np.nan)
    places[[*again[np.argsort(-second[again], kind="stable")], *others]] = -np.arange(len(following), dtype=np.float64)
    return places


def deviations(values: Float[np.ndarray, "checkpoint target"]) -> Float[np.ndarray, "checkpoint target"]:
    """By how many standard deviations a checkpoint stands above the others on each target, at most 3 either way."""
    centred = values - np.nanmean(values, axis=0)
    found: Float[np.ndarray, "checkpoint target"] = centred / np.nanstd(values, axis=0)
    return found.clip(-MOST_STANDING, MOST_STANDING)


def mean_of_other_targets(values: Float[np.ndarray, "checkpoint target"]) -> Float[np.ndarray, "checkpoint target"]:
    """For every target the mean over the others that are known; NaN where there is no other."""
    known = ~np.isnan(values)
    there = np.where(known, values, 0.0)
    n_others = known.sum(axis=1, keepdims=True) - known
    total = there.sum(axis=1, keepdims=True) - there
    means: Float[np.ndarray, "checkpoint target"] = np.full(values.shape, np.nan)
    np.divide(total, n_others, out=means, where=n_others > 0)
    return means


def baselines(matrix: GroundTruthMatrix, *, seed: int = 0) -> list[Contender]:
    """What needs no image of the target: one order for all targets, or any."""
    n_targets = len(matrix.targets)
    parameters = np.array([float(each.parameters) for each in matrix.checkpoints])
    source_accuracy = np.array([each.source_accuracy for each in matrix.checkpoints])
    random = np.random.default_rng(seed).random((N_RANDOM_ORDERS, *matrix.accuracy.shape))
    rows = (
        ("parameters", "number of parameters", np.tile(parameters[:, None], n_targets)[None]),
        ("source-accuracy", "accuracy on its own source task", np.tile(source_accuracy[:, None], n_targets)[None]),
        ("random", f"random order, mean of {N_RANDOM_ORDERS}", random),
        (
            "other-targets",
            "mean standing on the other targets, after fine-tuning on all of them",
            standing_elsewhere(matrix.accuracy)[None],
        ),
    )
    return [
        Contender(name, title, "baseline", values, np.broadcast_to(matrix.accuracy, values.shape))
        for name, title, values in rows
    ]


def ceilings(matrix: GroundTruthMatrix) -> list[Contender]:
    """How well the outcome of fine-tuning predicts itself; left out where the runs for it are missing."""
    others = mean_of_others(matrix.seed_accuracy)
    # A pair that has one seed alone says nothing of the noise.
    by_seed = np.where(np.isnan(others), np.nan, matrix.seed_accuracy)
    others = np.where(np.isnan(by_seed), np.nan, others)
    other_rate = matrix.other_rate_accuracy[None]
    truth = np.where(np.isnan(other_rate), np.nan, matrix.accuracy[None])
    rows = (
        ("one-seed", "fine-tuning itself, one seed against the mean of the others", by_seed, others),
        ("other-rate", "fine-tuning itself, at the next best learning rate", other_rate, truth),
    )
    return [Contender(name, title, "ceiling", values, true) for name, title, values, true in rows if has_order(true)]


def standing_elsewhere(accuracy: Float[np.ndarray, "checkpoint target"]) -> Float[np.ndarray, "checkpoint target"]:
    """Mean over the other targets of a checkpoint's standing there: 1 for the best, 0 for the worst, ties between."""
    known = ~np.isnan(accuracy)
    with np.errstate(invalid="ignore"):  # NaN compares as neither
        above = (accuracy[:, None] > accuracy[None]).sum(axis=1)
        equal = (accuracy[:, None] == accuracy[None]).sum(axis=1) - known
    rivals = np.maximum(known.sum(axis=0) - 1, 1)
    return mean_of_other_targets(np.where(known, (above + equal / 2) / rivals, np.nan))


def mean_of_others(
    seed_accuracy: Float[np.ndarray, "seed checkpoint target"],
) -> Float[np.ndarray, "seed checkpoint target"]:
    """For every seed the mean over the other seeds that have a run; NaN where there is no other."""
    known = ~np.isnan(seed_accuracy)
    there = np.where(known, seed_accuracy, 0.0)
    n_others = known.sum(axis=0) - known
    total = there.sum(axis=0) - there
    means: Float[np.ndarray, "seed checkpoint target"] = np.full(seed_accuracy.shape, np.nan)
    np.divide(total, n_others, out=means, where=n_others > 0)
    return means


def has_order(truth: Float[np.ndarray, "draw checkpoint target"]) -> bool:
    """Whether some target has two different accuracies in one draw."""
    with np.errstate(invalid="ignore"):
        return bool(((truth[:, :, None] > truth[:, None]).sum(axis=(1, 2)) > 0).any())

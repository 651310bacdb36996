"""Contenders -> the table: how well each orders the checkpoints of a set of targets, and how sure that is."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lead_hub.bench.contenders import Contender, has_order
from lead_hub.bench.matrix import GroundTruthMatrix
from lead_hub.bench.paired_bootstrap import Resamples, dense_ranks, every_one_once, interval, mean_taus
from lead_hub.rank_agreement import regret_at

REFERENCE = "lead"


@dataclass(frozen=True)
class ComparedRow:
    """One contender's figures, each a mean over targets: how well it orders the checkpoints.

    Attributes:
        name: of the contender.
        title: for people.
        kind: "score", "baseline" or "ceiling".
        tau: mean weighted Kendall tau with the fine-tuned accuracy; an undefined score ranks last.
        tau_low: 5th percentile of it over resamples of checkpoints and targets.
        tau_high: 95th percentile.
        difference: tau of the reference score minus this tau; None for the reference itself.
        difference_low: 5th percentile over the same resamples of both.
        difference_high: 95th percentile.
        regret_at_1: accuracy points lost by fine-tuning only the first instead of the truly best.
        regret_at_3: the same for the best of the first three.
        best_in_top_3: share of targets whose truly best checkpoint is among the first three.
        tau_without_family: mean weighted tau without the checkpoints of the largest family.
        tau_few_images: mean weighted tau of the score on few images; None for what sees no image.
        seconds: processor time, median of one checkpoint on one target; None for what costs nothing.
        n_defined: pairs of checkpoint and target on which it has a value.
        n_pairs: pairs that are compared.
        tau_where_defined: mean weighted tau on those pairs alone, if they are not all.
        reference_where_defined: the reference score's on the same pairs.
    """

    name: str
    title: str
    kind: str
    tau: float
    tau_low: float
    tau_high: float
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    regret_at_1: float
    regret_at_3: float
    best_in_top_3: float
    tau_without_family: float | None
    tau_few_images: float | None
    seconds: float | None
    n_defined: int
    n_pairs: int
    tau_where_defined: float | None
    reference_where_defined: float | None


@dataclass(frozen=True)
class Comparison:
    """The rows for one set of targets, scores by tau, then baselines, then ceilings."""

    half: str
    targets: tuple[str, ...]
    n_checkpoints: int
    largest_family: str
    rows: tuple[ComparedRow, ...]


def compare(matrix: GroundTruthMatrix, everyone: Sequence[Contender], half: str, *, resamples: Resamples) -> Comparison:
    """Compare on the targets of one half ("study", "held-out", "confirmation", "real") or on all.

    Args:
        matrix: the ground truth.
        everyone: contenders on all targets of the matrix, among them the reference.
        half: which targets.
        resamples: of the checkpoints, and of the targets of that half.
    """
    columns = matrix.positions(half)
    # A ceiling needs several runs of a pair, which an unfinished matrix may not have on these targets.
    chosen = [each for each in (on_targets(each, columns) for each in everyone) if has_order(each.truth)]
    reference = next(each for each in chosen if each.name == REFERENCE)
    reference_taus = mean_taus(reference.values, reference.truth, resamples)
    family = largest_family(matrix)
    kept = np.array([each.family != family for each in matrix.checkpoints])
    rows = [row(each, reference, resamples=resamples, reference_taus=reference_taus, kept=kept) for each in chosen]
    kinds = ("score", "baseline", "ceiling")
    return Comparison(
        half=half,
        targets=tuple(matrix.targets[column].name for column in columns),
        n_checkpoints=len(matrix.checkpoints),
        largest_family=family,
        rows=tuple(sorted(rows, key=lambda each: (kinds.index(each.kind), -each.tau))),
    )


def on_targets(contender: Contender, columns: list[int]) -> Contender:
    """Take the columns of some targets out of a contender's tables."""
    few = contender.few_images
    return Contender(
        contender.name,
        contender.title,
        contender.kind,
        values=contender.values[:, :, columns],
        truth=contender.truth[:, :, columns],
        seconds=contender.seconds,
        few_images=None if few is None else few[:, :, columns],
    )


def largest_family(matrix: GroundTruthMatrix) -> str:
    """The family of most checkpoints; of equal ones the first by name."""
    counts = Counter(each.family for each in matrix.checkpoints)
    return min(counts, key=lambda family: (-counts[family], family))


def row(
    contender: Contender,
    reference: Contender,
    *,
    resamples: Resamples,
    reference_taus: Float[np.ndarray, " resample"],
    kept: np.ndarray,
) -> ComparedRow:
    """Compute all figures of one contender."""
    values, truth, few = contender.values, contender.truth, contender.few_images
    taus = mean_taus(values, truth, resamples)
    tau, low_high = mean_tau(values, truth), interval(taus)
    is_reference = contender.name == reference.name
    differences = (None, None) if is_reference else interval(reference_taus - taus)
    compared = ~np.isnan(truth)
    defined = compared & ~np.isnan(values)
    n_pairs, n_defined = int(compared.sum()) // len(values), int(defined.sum()) // len(values)
    partly = 0 < n_defined < n_pairs
    there = np.where(defined, truth, np.nan)
    return ComparedRow(
        name=contender.name,
        title=contender.title,
        kind=contender.kind,
        tau=tau,
        tau_low=low_high[0],
        tau_high=low_high[1],
        difference=None if is_reference else mean_tau(reference.values, reference.truth) - tau,
        difference_low=differences[0],
        difference_high=differences[1],
        regret_at_1=mean_regret(1, values, truth),
        regret_at_3=mean_regret(3, values, truth),
        best_in_top_3=best_among_first(3, values, truth),
        tau_without_family=defined_or_none(mean_tau(values[:, kept], truth[:, kept])),
        tau_few_images=None if few is None else mean_tau(few, np.broadcast_to(truth[0], few.shape)),
        seconds=contender.seconds,
        n_defined=n_defined,
        n_pairs=n_pairs,
        tau_where_defined=defined_or_none(mean_tau(values, there)) if partly else None,
        reference_where_defined=defined_or_none(mean_tau(reference.values, there)) if partly else None,
    )


def mean_tau(
    values: Float[np.ndarray, "draw checkpoint target"], truth: Float[np.ndarray, "draw checkpoint target"]
) -> float:
    """Mean weighted tau over draws and targets; NaN if no target has an order."""
    return float(mean_taus(values, truth, every_one_once(values.shape[1], values.shape[2]))[0])


def defined_or_none(value: float) -> float | None:
    return None if np.isnan(value) else value


def mean_regret(
    k: int,
    values: Float[np.ndarray, "draw checkpoint target"],
    truth: Float[np.ndarray, "draw checkpoint target"],
) -> float:
    """Mean regret at k over draws and targets, in accuracy points."""
    return float(np.mean(regrets(k, values, truth)))


def best_among_first(
    k: int,
    values: Float[np.ndarray, "draw checkpoint target"],
    truth: Float[np.ndarray, "draw checkpoint target"],
) -> float:
    """Share of draws and targets without any regret at k: a truly best checkpoint is among the first k."""
    return float(np.mean(np.equal(regrets(k, values, truth), 0)))


def regrets(
    k: int,
    values: Float[np.ndarray, "draw checkpoint target"],
    truth: Float[np.ndarray, "draw checkpoint target"],
) -> list[float]:
    """Regret at k of every draw and target with at least k checkpoints; an undefined score ranks last."""
    found = []
    for scores, accuracy in zip(
        values.swapaxes(1, 2).reshape(-1, values.shape[1]),
        truth.swapaxes(1, 2).reshape(-1, truth.shape[1]),
        strict=True,
    ):
        known = ~np.isnan(accuracy)
        if known.sum() >= k:
            found.append(regret_at(k, dense_ranks(scores[known]).tolist(), accuracy[known].tolist()))
    return found

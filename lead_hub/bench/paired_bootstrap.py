"""How sure a mean rank agreement is: checkpoints and datasets drawn anew, the same draw for every way to rank.

Weighted Kendall tau (Vigna, A weighted correlation index for rankings with ties, WWW 2015) of a resample is computed
without building it. A checkpoint that was drawn c times takes c places in the order, and those places have the
hyperbolic weights 1/(r+1); with W its sum of them, all pairs of copies of two checkpoints weigh c_j W_i + c_i W_j
together, whatever their order is. So a resample costs one matrix product with the signs of the original pairs.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

N_RESAMPLES = 2000
INTERVAL = (5.0, 95.0)  # percentiles: a 90% interval


@dataclass(frozen=True, eq=False)
class Resamples:
    """How often each checkpoint and each dataset was drawn; rows are resamples."""

    checkpoints: Int[np.ndarray, "resample checkpoint"]
    targets: Int[np.ndarray, "resample target"]


def draw_resamples(n_checkpoints: int, n_targets: int, *, n_resamples: int = N_RESAMPLES, seed: int = 0) -> Resamples:
    """As many as there are of both, drawn with replacement, independently of each other."""
    random = np.random.default_rng(seed)
    return Resamples(
        checkpoints=random.multinomial(n_checkpoints, np.full(n_checkpoints, 1 / n_checkpoints), size=n_resamples),
        targets=random.multinomial(n_targets, np.full(n_targets, 1 / n_targets), size=n_resamples),
    )


def every_one_once(n_checkpoints: int, n_targets: int) -> Resamples:
    """The one resample that is the sample itself."""
    return Resamples(np.ones((1, n_checkpoints), dtype=np.int64), np.ones((1, n_targets), dtype=np.int64))


def mean_taus(
    scores: Float[np.ndarray, "draw checkpoint target"],
    accuracy: Float[np.ndarray, "draw checkpoint target"],
    resamples: Resamples,
) -> Float[np.ndarray, " resample"]:
    """Mean weighted tau over draws and datasets, for every resample.

    A pair of checkpoint and dataset whose accuracy is NaN is left out; a score of NaN (undefined) ranks last, all of
    them equal. A dataset whose drawn checkpoints all have the same accuracy has no order to be found and is left
    out of that resample's mean, for every way to rank alike; a resample without any dataset left is NaN.
    """
    n_draws, _, n_targets = scores.shape
    taus = np.empty((n_draws, n_targets, len(resamples.checkpoints)))
    for draw in range(n_draws):
        for target in range(n_targets):
            known = ~np.isnan(accuracy[draw, :, target])
            taus[draw, target] = weighted_taus(
                scores[draw, known, target], accuracy[draw, known, target], resamples.checkpoints[:, known]
            )
    weights = resamples.targets.T * ~np.isnan(taus)
    total = np.where(weights > 0, taus, 0.0) * weights
    n_counted = weights.sum(axis=(0, 1))
    means: Float[np.ndarray, " resample"] = np.full(len(n_counted), np.nan)
    np.divide(total.sum(axis=(0, 1)), n_counted, out=means, where=n_counted > 0)
    return means


def weighted_taus(
    scores: Float[np.ndarray, " checkpoint"],
    accuracy: Float[np.ndarray, " checkpoint"],
    counts: Int[np.ndarray, "resample checkpoint"],
) -> Float[np.ndarray, " resample"]:
    """Weighted tau of every resample, as `scipy.stats.weightedtau` gives it for the checkpoints written out.

    NaN where all accuracies drawn are equal; 0, no better than chance, where only all scores are. A score of NaN
    ranks last.
    """
    predicted, true = dense_ranks(scores), dense_ranks(accuracy)
    predicted_signs, true_signs = signs(predicted), signs(true)
    taus = [
        one_sided_taus(np.lexsort((second, first))[::-1], predicted_signs, true_signs, counts=counts)
        for first, second in ((predicted, true), (true, predicted))
    ]
    mean: Float[np.ndarray, " resample"] = (taus[0] + taus[1]) / 2
    return mean


def dense_ranks(values: Float[np.ndarray, " checkpoint"]) -> Int[np.ndarray, " checkpoint"]:
    """0 for the smallest value, equal values alike; NaN is below every number."""
    ranks: Int[np.ndarray, " checkpoint"]
    _, ranks = np.unique(np.where(np.isnan(values), -np.inf, values), return_inverse=True)
    return ranks


def signs(ranks: Int[np.ndarray, " checkpoint"]) -> Float[np.ndarray, "checkpoint checkpoint"]:
    compared: Float[np.ndarray, "checkpoint checkpoint"] = np.sign(ranks[:, None] - ranks).astype(np.float64)
    return compared


def one_sided_taus(
    order: Int[np.ndarray, " checkpoint"],
    predicted_signs: Float[np.ndarray, "checkpoint checkpoint"],
    true_signs: Float[np.ndarray, "checkpoint checkpoint"],
    *,
    counts: Int[np.ndarray, "resample checkpoint"],
) -> Float[np.ndarray, " resample"]:
    """Tau when places are counted along one order (best first); checkpoints equal in both may stand in any."""
    copies = counts[:, order]
    ends = copies.cumsum(axis=1)
    # Entry r: the weight of the places before place r, 1 + 1/2 + ... + 1/r.
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, ends[:, -1:].max(initial=0) + 1))])
    weights = harmonic[ends] - harmonic[ends - copies]
    predicted, true = predicted_signs[np.ix_(order, order)], true_signs[np.ix_(order, order)]
    # One product for all three sums: small ones one by one cost more in overhead than in arithmetic.
    pairs = np.concatenate([predicted * true, predicted**2, true**2], axis=1)
    reached = (copies.astype(np.float64) @ pairs).reshape(len(copies), 3, -1)
    agreement, n_predicted, n_true = np.einsum("rp,rsp->sr", weights, reached)
    scale = np.sqrt(n_predicted * n_true)
    taus = np.divide(agreement, scale, out=np.zeros_like(scale), where=scale > 0)
    return np.where(n_true > 0, taus, np.nan)


def interval(values: Float[np.ndarray, " resample"]) -> tuple[float, float]:
    """The 90% interval: 5th and 95th percentile of the resamples that have a value."""
    low, high = np.nanpercentile(values, INTERVAL)
    return float(low), float(high)

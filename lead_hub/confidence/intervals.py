"""Resampled scores -> an interval for every score and every rank, and which checkpoints cannot be told apart."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from lead_hub.errors import ScoreError

LEVEL = 0.9
# Scores that differ by less than this share of the largest are equal: a matrix product rounds equal rows differently
# by where they stand.
ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class RankIntervals:
    """What resampling the images leaves open. One entry a checkpoint, in the order of the scores that went in.

    Attributes:
        score_low: lower end of the score's interval, in the unit of the score.
        score_high: its upper end.
        rank_low: the best rank of the interval; 1 is first, equal scores share the better rank.
        rank_high: the worst.
        tie_group: 1 for the checkpoints that cannot be told apart from the first, 2 for the next group, and so on.
    """

    score_low: Float[np.ndarray, " checkpoint"]
    score_high: Float[np.ndarray, " checkpoint"]
    rank_low: Int[np.ndarray, " checkpoint"]
    rank_high: Int[np.ndarray, " checkpoint"]
    tie_group: Int[np.ndarray, " checkpoint"]


def rank_intervals(
    scores: Float[np.ndarray, " checkpoint"],
    resampled: Float[np.ndarray, "resample checkpoint"],
    *,
    level: float = LEVEL,
) -> RankIntervals:
    """Percentile intervals of the bootstrap (Efron 1979) over images; each holds the value of the images themselves.

    Args:
        scores: on the images themselves; higher is better.
        resampled: of `image_bootstrap.resampled_scores`.
        level: share of the resamples that an interval holds, between 0 and 1.

    Raises:
        ScoreError: no resamples, or a level outside (0, 1).
    """
    if not len(resampled) or not 0 < level < 1:
        raise ScoreError(
            "intervals need one or more resamples and a level between 0 and 1, found"
            f" {len(resampled)} and a level of {level}"
        )
    tails = [(1 - level) / 2, (1 + level) / 2]
    score_low, score_high = np.quantile(resampled, tails, axis=0)
    observed = competition_ranks(scores[None])[0]
    # Whole ranks: the least one that enough resamples reach, not a point between two ranks.
    rank_low, rank_high = np.quantile(competition_ranks(resampled), tails, axis=0, method="inverted_cdf")
    return RankIntervals(
        score_low=np.minimum(score_low, scores),
        score_high=np.maximum(score_high, scores),
        rank_low=np.minimum(rank_low, observed),
        rank_high=np.maximum(rank_high, observed),
        tie_group=tie_groups(scores, resampled, level=level),
    )


def competition_ranks(scores: Float[np.ndarray, "case checkpoint"]) -> Int[np.ndarray, "case checkpoint"]:
    """1 plus the number of better checkpoints, in each row: 1, 1, 3 where two share the first place."""
    tolerance = ROUNDING * np.abs(scores).max(initial=0.0)
    ranks = np.empty(scores.shape, dtype=np.int64)
    # Counting the better ones takes a loop over checkpoints but no more memory than the scores.
    for checkpoint, own in enumerate(scores.T):
        ranks[:, checkpoint] = 1 + (scores > own[:, None] + tolerance).sum(axis=1)
    return ranks


def tie_groups(
    scores: Float[np.ndarray, " checkpoint"], resampled: Float[np.ndarray, "resample checkpoint"], *, level: float
) -> Int[np.ndarray, " checkpoint"]:
    """Group numbers from 1: down the ranking, a group ends before the first that is surely worse than its first.

    Surely: the interval, over resamples, of the difference between the two lies above 0. Membership goes by the
    group's first alone, so two later members may well be told apart from each other.
    """
    tolerance = ROUNDING * np.abs(resampled).max(initial=0.0)
    groups = np.empty(len(scores), dtype=np.int64)
    first, group = -1, 0
    for checkpoint in np.argsort(-scores, kind="stable"):
        if first < 0 or not _tied(resampled[:, first], resampled[:, checkpoint], tolerance, level=level):
            first, group = int(checkpoint), group + 1
        groups[checkpoint] = group
    return groups


def _tied(
    better: Float[np.ndarray, " resample"], worse: Float[np.ndarray, " resample"], tolerance: float, *, level: float
) -> bool:
    return bool(np.quantile(better - worse, (1 - level) / 2) <= tolerance)

"""Does the order by score match the order by accuracy after fine-tuning?"""

from collections.abc import Sequence

import numpy as np
from scipy.stats import weightedtau

from lead_hub.errors import ScoreError


def weighted_kendall_tau(scores: Sequence[float], accuracies: Sequence[float]) -> float:
    """Weighted Kendall tau (Vigna, 2015) of scores and fine-tuned accuracies, in [-1, 1]; 1 is the same order.

    A disagreement weighs the more, the nearer to the top it stands: an exchange of the elements at ranks r and s
    (0 is the top) weighs 1/(r+1) + 1/(s+1), averaged over ranking by score and by accuracy.

    Raises:
        ScoreError: fewer than two checkpoints, lengths that differ, or all scores or all accuracies equal.
    """
    check_pairs(scores, accuracies)
    if len(scores) < 2 or len(set(scores)) == 1 or len(set(accuracies)) == 1:
        raise ScoreError("rank agreement needs two or more checkpoints with different scores and different accuracies")
    return float(weightedtau(scores, accuracies).statistic)


def regret_at(k: int, scores: Sequence[float], accuracies: Sequence[float]) -> float:
    """What is lost by fine-tuning only the top k by score: best accuracy of all minus best of those, 0 or more.

    The unit is that of the accuracies. Among equal scores those with the lower accuracy are taken, so that a tie is
    never luck.
    """
    check_pairs(scores, accuracies)
    if not 1 <= k <= len(scores):
        raise ScoreError(f"k must be between 1 and the number of checkpoints, {len(scores)}, found {k}")
    gained = np.asarray(accuracies, dtype=float)
    order = np.lexsort((gained, -np.asarray(scores, dtype=float)))
    return float(gained.max() - gained[order[:k]].max())


def check_pairs(scores: Sequence[float], accuracies: Sequence[float]) -> None:
    if len(scores) != len(accuracies):
        raise ScoreError(f"one accuracy a score is needed, found {len(scores)} scores and {len(accuracies)} accuracies")
    if not (np.isfinite(scores).all() and np.isfinite(accuracies).all()):
        raise ScoreError("scores and accuracies must be finite")

"""Does the order by score match the order by accuracy after fine-tuning?"""

from collections.abc import Sequence

import numpy as np
from scipy.stats import kendalltau, spearmanr, weightedtau

from lead_hub.errors import ScoreError


def weighted_kendall_tau(scores: Sequence[float], accuracies: Sequence[float]) -> float:
    """Weighted Kendall tau (Vigna, 2015) of scores and fine-tuned accuracies, in [-1, 1]; 1 is the same order.

    A disagreement weighs the more, the nearer to the top it stands: an exchange of the elements at ranks r and s
    (0 is the top) weighs 1/(r+1) + 1/(s+1), averaged over ranking by score and by accuracy.

    Raises:
        ScoreError: fewer than two checkpoints, lengths that differ, or all scores or all accuracies equal.
    """
    check_orders(scores, accuracies)
    return float(weightedtau(scores, accuracies).statistic)


def kendall_tau(scores: Sequence[float], accuracies: Sequence[float]) -> float:
    """Kendall's tau-b, in [-1, 1]: 1 is the same order, and every pair of checkpoints weighs the same.

    Pairs that agree minus pairs that do not, over the geometric mean of the pairs not tied in score and of those not
    tied in accuracy (Kendall, The treatment of ties in ranking problems, Biometrika 1945).

    Raises:
        ScoreError: as for `weighted_kendall_tau`.
    """
    check_orders(scores, accuracies)
    return float(kendalltau(scores, accuracies).statistic)


def spearman(scores: Sequence[float], accuracies: Sequence[float]) -> float:
    """Spearman's rank correlation, in [-1, 1]: 1 is the same order. Equal values share the mean of their ranks.

    Raises:
        ScoreError: as for `weighted_kendall_tau`.
    """
    check_orders(scores, accuracies)
    return float(spearmanr(scores, accuracies).statistic)


def regret_at(k: int, scores: Sequence[float], accuracies: Sequence[float]) -> float:
    """What is lost by fine-tuning only the top k by score: best accuracy of all minus best of those, 0 or more.

    The unit is that of the accuracies. Among equal scores those with the lower accuracy are taken, so that a tie is
    never luck.

    Raises:
        ScoreError: lengths that differ, a value that is not finite, or k not between 1 and the number of checkpoints.
    """
    check_pairs(scores, accuracies)
    if not 1 <= k <= len(scores):
        raise ScoreError(f"k must be between 1 and the number of checkpoints, {len(scores)}, found {k}")
    gained = np.asarray(accuracies, dtype=float)
    order = np.lexsort((gained, -np.asarray(scores, dtype=float)))
    return float(gained.max() - gained[order[:k]].max())


def hit_at(k: int, scores: Sequence[float], accuracies: Sequence[float]) -> bool:
    """Whether the truly best checkpoint, or one of several equally good, is among the top k by score.

    Ties are no luck here either: it is a hit exactly where `regret_at` is 0.

    Raises:
        ScoreError: as for `regret_at`.
    """
    return regret_at(k, scores, accuracies) == 0


def check_orders(scores: Sequence[float], accuracies: Sequence[float]) -> None:
    check_pairs(scores, accuracies)
    if len(scores) < 2 or len(set(scores)) == 1 or len(set(accuracies)) == 1:
        raise ScoreError("rank agreement needs two or more checkpoints with different scores and different accuracies")


def check_pairs(scores: Sequence[float], accuracies: Sequence[float]) -> None:
    if len(scores) != len(accuracies):
        raise ScoreError(f"one accuracy a score is needed, found {len(scores)} scores and {len(accuracies)} accuracies")
    if not (np.isfinite(scores).all() and np.isfinite(accuracies).all()):
        raise ScoreError("scores and accuracies must be finite")

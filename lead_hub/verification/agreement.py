"""Prediction against outcome, of the checkpoints of a leaderboard that were fine-tuned."""

from dataclasses import dataclass

from lead_hub.leaderboard import Leaderboard
from lead_hub.rank_agreement import regret_at, weighted_kendall_tau


@dataclass(frozen=True)
class Agreement:
    """How the order by score and the order by accuracy agree among the checkpoints that were fine-tuned in one mode.

    Attributes:
        n_checkpoints: two or more.
        weighted_kendall_tau: in [-1, 1]; None where all scores or all accuracies are equal.
        regret_at_1_points: accuracy points lost by taking the first by score instead of the best by outcome, 0 or more.
    """

    n_checkpoints: int
    weighted_kendall_tau: float | None
    regret_at_1_points: float

    @property
    def in_words(self) -> str:
        tau = self.weighted_kendall_tau
        order = "no order: all are equal" if tau is None else f"weighted Kendall tau {tau:.3f} (1 is the true order)"
        return (
            f"of {self.n_checkpoints} fine-tuned checkpoints: {order}; taking the first by score loses"
            f" {self.regret_at_1_points:.1f} accuracy points"
        )


def agreement(board: Leaderboard, *, mode: str) -> Agreement | None:
    """Rank agreement among the rows that were fine-tuned in a mode; None of fewer than two."""
    measured = [
        (row.score, 100 * row.finetuned.accuracy) for row in board.rows if row.finetuned and row.finetuned.mode == mode
    ]
    if len(measured) < 2:
        return None
    scores, accuracies = [score for score, _ in measured], [accuracy for _, accuracy in measured]
    ordered = len(set(scores)) > 1 and len(set(accuracies)) > 1
    return Agreement(
        len(measured),
        weighted_kendall_tau=weighted_kendall_tau(scores, accuracies) if ordered else None,
        regret_at_1_points=regret_at(1, scores, accuracies),
    )

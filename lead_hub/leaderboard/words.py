"""Figures of a leaderboard in the words that terminal, page and files share."""

from pathlib import Path

from lead_hub.confidence import Confidence
from lead_hub.leaderboard.rows import Board, RankedCheckpoint
from lead_hub.leaderboard.shown_text import one_line


def display_name(checkpoint: str, revision: str | None) -> str:
    """A name as it was given, of an absolute path its last two parts; the revision after an "@"."""
    path = Path(checkpoint)
    name = "/".join(path.parts[-2:]) if path.is_absolute() and len(path.parts) > 2 else checkpoint
    return one_line(f"{name}@{revision[:8]}" if revision else name)


def count_in_words(count: int) -> str:
    """1234567 -> "1.2M"."""
    for size, unit in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
        if count >= size:
            return f"{count / size:.1f}{unit}"
    return str(count)


def whole_interval(confidence: Confidence | None) -> str:
    """Ranks "1-4", or "2" where there is one only."""
    if confidence is None or confidence.rank_low is None:
        return ""
    low, high = confidence.rank_low, confidence.rank_high
    return str(low) if low == high else f"{low}-{high}"


def expected_accuracy(confidence: Confidence | None) -> str:
    """Percent and its interval, "71% (58-82%)"."""
    interval = expected_interval(confidence)
    return f"{percent(confidence.predicted_accuracy)} ({interval}%)" if confidence and interval else ""


def expected_interval(confidence: Confidence | None) -> str:
    """Percent without their sign, "58-82"."""
    if confidence is None or confidence.predicted_low is None or confidence.predicted_high is None:
        return ""
    return f"{100 * confidence.predicted_low:.0f}-{100 * confidence.predicted_high:.0f}"


def percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def chance_in_words(share: float | None) -> str:
    """One decimal for all, so that they stand below each other; no chance is said to be 0 or certain."""
    if share is None:
        return ""
    if share < 0.001:
        return "<0.1%"
    return ">99.9%" if share > 0.999 else f"{share:.1%}"


def basis_in_short(board: Board) -> str:
    """What chances and expected accuracies were learnt from, without its particulars; empty where nothing was."""
    return calibrated_on(board).partition(" (")[0]


def calibrated_on(board: Board) -> str:
    """What chances and expected accuracies were learnt from."""
    return next((row.confidence.calibrated_on for row in board.rows if row.confidence), "")


def is_bold(row: RankedCheckpoint) -> bool:
    """Whether it could be the best; the first where nothing is known of that."""
    possible = row.confidence.could_be_best if row.confidence else None
    return row.rank == 1 if possible is None else possible


def notes(row: RankedCheckpoint) -> str:
    """What else is worth knowing of a row, in few words."""
    return "; ".join(filter(None, ["trained on this dataset" if row.trained_on_dataset else "", row.note]))


def summary(board: Board) -> str:
    """One line on where the forward passes ran, so that an idle GPU does not go unnoticed."""
    computed = [row for row in board.rows if row.images_per_s is not None]
    on_cards = sum(row.note.startswith("score card ") for row in board.rows)
    cached = len(board.rows) - len(computed) - on_cards
    places = sorted({f"{row.device} in {row.dtype}" for row in computed})
    ran = "1 checkpoint" if len(computed) == 1 else f"{len(computed)} checkpoints"
    parts = [f"{ran} ran on {', '.join(places)}"] if computed else []
    parts += [f"{cached} of {len(board.rows)} read from the cache without a forward pass"] if cached else []
    parts += [f"{on_cards} of {len(board.rows)} taken from score cards"] if on_cards else []
    parts += [f"{len(board.skipped)} skipped"] if board.skipped else []
    return "; ".join(parts)


def duration_in_words(seconds: float) -> str:
    """Say a duration, rounded as one would say it."""
    if seconds < 55:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{max(1, round(seconds / 60))} min"
    return f"{seconds / 3600:.1f}".removesuffix(".0") + " h"

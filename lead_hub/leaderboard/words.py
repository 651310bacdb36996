"""Figures of a leaderboard in the words that the terminal and the page share."""

from pathlib import Path

from lead_hub.confidence import Confidence
from lead_hub.leaderboard.rows import Board, RankedCheckpoint


def display_name(checkpoint: str, revision: str | None) -> str:
    """A Hub id as it is, a local folder by its own name and its parent's; the revision after an "@"."""
    path = Path(checkpoint)
    name = "/".join(path.parts[-2:]) if path.is_dir() and len(path.parts) > 2 else checkpoint
    return f"{name}@{revision[:8]}" if revision else name


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
    if confidence is None or confidence.predicted_low is None or confidence.predicted_high is None:
        return ""
    low, high = 100 * confidence.predicted_low, 100 * confidence.predicted_high
    return f"{percent(confidence.predicted_accuracy)} ({low:.0f}-{high:.0f}%)"


def percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def is_bold(row: RankedCheckpoint) -> bool:
    """Whether it could be the best; the first where nothing is known of that."""
    possible = row.confidence.could_be_best if row.confidence else None
    return row.rank == 1 if possible is None else possible


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

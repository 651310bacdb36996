"""A leaderboard's rows -> sentences for people who read no table: is there a winner, and why not the second?"""

from collections.abc import Callable, Sequence
from itertools import pairwise

from lead_hub.leaderboard.rows import Board, RankedCheckpoint
from lead_hub.leaderboard.words import chance_in_words

# A choice among more than this many is no choice: the sentence then sends the reader to other grounds.
MOST_NAMED = 5


def verdict_sentence(checkpoints: Sequence[str], could_be_best: Sequence[bool], *, unsure_because: str = "") -> str:
    """In words: "clear winner: X", "one of these 4: ...", "no clear winner among 9; choose by size or licence".

    Args:
        checkpoints: names, best score first.
        could_be_best: which of them the best one is probably among.
        unsure_because: why that is not the whole truth, e.g. that the score has no calibration; added in brackets.

    Returns:
        An empty string where there are no checkpoints.
    """
    candidates = [name for name, possible in zip(checkpoints, could_be_best, strict=True) if possible]
    sentence = _sentence(candidates, n_ranked=len(checkpoints))
    return f"{sentence} ({unsure_because})" if sentence and unsure_because else sentence


def _sentence(candidates: Sequence[str], *, n_ranked: int) -> str:
    if n_ranked < 2:
        return f"only one checkpoint to choose from: {candidates[0]}" if candidates else ""
    if len(candidates) == 1:
        return f"clear winner: {candidates[0]}"
    # All of them is no news, however few.
    if len(candidates) > MOST_NAMED or len(candidates) == n_ranked:
        return f"no clear winner among {len(candidates)}; choose by size or licence"
    return f"one of these {len(candidates)}: {', '.join(candidates)}"


def rows_verdict(
    rows: Sequence[RankedCheckpoint],
    *,
    method: str,
    name: Callable[[RankedCheckpoint], str] = lambda row: row.checkpoint,
) -> str:
    """The verdict in words; where there can be none, why.

    Args:
        rows: best first.
        method: name of the score that ranked them.
        name: what to call a row.
    """
    judged = [row.confidence for row in rows if row.confidence and row.confidence.could_be_best is not None]
    if len(judged) < len(rows):
        without = sum(row.confidence is None for row in rows)
        if without == len(rows):
            return f"no verdict: these scores ({method}) have no terms per image that could tell chance from quality"
        return (
            "no verdict: not all of these scores have their terms per image at hand, as those of score cards have not"
        )
    possible = [bool(one.could_be_best) for one in judged]
    calibrated = all(one.p_best is not None for one in judged)
    because = "" if calibrated else f"by the images alone: {method} is not calibrated on fine-tuning"
    return verdict_sentence([name(row) for row in rows], possible, unsure_because=because)


def headline(board: Board, *, name: Callable[[RankedCheckpoint], str] = lambda row: row.checkpoint) -> str:
    """The verdict, or who leads where not all have had their turn; empty without rows."""
    if board.is_complete or not board.rows:
        return rows_verdict(board.rows, method=board.method, name=name)
    n_tried = len(board.rows) + len(board.skipped)
    return f"{name(board.rows[0])} leads after {n_tried} of {board.n_candidates} checkpoints"


def why_not_second(
    rows: Sequence[RankedCheckpoint], *, name: Callable[[RankedCheckpoint], str] = lambda row: row.checkpoint
) -> str:
    """One sentence on the second, for whoever takes the first; empty where nothing is known of the two."""
    if len(rows) < 2:
        return ""
    first, second = rows[0].confidence, rows[1].confidence
    if first is None or second is None or second.could_be_best is None:
        return ""
    chance = f" (chance to be best {chance_in_words(second.p_best)})" if second.p_best is not None else ""
    who = f"{name(rows[1])}{chance}"
    if second.tie_group == first.tie_group:
        return f"{who} may be as good: these images cannot tell the two apart"
    if second.could_be_best:
        return f"{who} may yet be better: fine-tuning has turned such differences around"
    return f"{who} scores lower by more than other images or fine-tuning would usually turn around"


def disagreement(
    rows: Sequence[RankedCheckpoint], *, name: Callable[[RankedCheckpoint], str] = lambda row: row.checkpoint
) -> str:
    """Why a checkpoint may rank below one with a lower expected accuracy; empty where none does, in whole percent."""
    known = [(row, row.confidence.predicted_accuracy) for row in rows if row.confidence]
    pairs = pairwise(known)
    found = [(lower, upper) for (upper, high), (lower, low) in pairs if high and low and round(100 * (low - high)) >= 1]
    if not found:
        return ""
    lower, upper = found[0]
    return (
        f"{name(lower)} ranks below {name(upper)} with a higher expected accuracy: the score weighs how sure each"
        " answer is, the accuracy only whether it is right"
    )

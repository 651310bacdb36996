"""A leaderboard's rows -> one sentence on whether there is a winner, for people who read no table."""

from collections.abc import Callable, Sequence

from lead_hub.leaderboard.rows import RankedCheckpoint

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

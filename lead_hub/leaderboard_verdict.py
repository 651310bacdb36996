"""A leaderboard's rows -> one sentence on whether there is a winner."""

from collections.abc import Callable, Sequence

from lead_hub.confidence.verdict import verdict
from lead_hub.leaderboard_rows import RankedCheckpoint


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
    return verdict([name(row) for row in rows], possible, unsure_because=because)

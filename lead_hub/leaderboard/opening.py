"""A leaderboard -> how the README of its score cards opens: the verdict, how sure, how accurate, and the ranks drawn.

In Markdown and letters alone, so that it reads the same on the Hub, in an editor and in a terminal.
"""

from collections.abc import Sequence

from lead_hub.hub import is_commit
from lead_hub.leaderboard.drawing import Scale, rank_ticks
from lead_hub.leaderboard.rows import Board, RankedCheckpoint
from lead_hub.leaderboard.text_drawing import fitted, text_bar, text_interval
from lead_hub.leaderboard.verdict import headline, why_not_second
from lead_hub.leaderboard.words import chance_in_words, expected_accuracy, whole_interval
from lead_hub.score_cards import escaped_markdown

MOST_ROWS = 30
LONGEST_NAME = 44
BAR, TRACK = 8, 28


def readme_opening(board: Board, *, endpoint: str, n_left_out: int = 0) -> str:
    """The newest ranking in short.

    Args:
        board: under public names, which are Hub ids or slugs.
        endpoint: the Hub's address, for links.
        n_left_out: rows that were ranked with these and are not shown here.
    """
    if not board.rows:
        return ""
    best = board.rows[0]
    name = f"{endpoint}/{best.checkpoint}/tree/{best.sha}" if is_commit(best.sha) else ""
    linked = f"**[{_name(best)}]({name})**" if name else f"**{_name(best)}**"
    sure = best.confidence
    chance = (
        f"{chance_in_words(sure.p_best)} chance to be the best of these" if sure and sure.p_best is not None else ""
    )
    accuracy = expected_accuracy(sure)
    expected = f"{accuracy} accuracy expected once fine-tuned, with its 90% interval" if accuracy else ""
    figures = ", ".join(filter(None, [chance, expected]))
    lines = [
        f"**The newest ranking, on {escaped_markdown(board.dataset.dataset)}:** {_verdict(board, n_left_out)}\n",
        f"{linked}: {figures}.{_second(board, n_left_out)}\n" if figures else f"The first by score: {linked}.\n",
    ]
    if any(_has_ranks(row) for row in board.rows):
        lines.append("\n".join(["~~~~text", *_drawn(board.rows[:MOST_ROWS]), "~~~~\n"]))
    return "\n".join(lines)


def _name(row: RankedCheckpoint) -> str:
    return escaped_markdown(row.checkpoint)


def _verdict(board: Board, n_left_out: int) -> str:
    """A verdict holds for all that were ranked, so there is none where some of them are left out."""
    if n_left_out:
        left_out = "1 more was" if n_left_out == 1 else f"{n_left_out} more were"
        return f"{left_out} ranked with these, which not everybody may read; ranks and chances count them in."
    sentence = headline(board, name=_name)
    return f"{sentence}." if sentence else ""


def _second(board: Board, n_left_out: int) -> str:
    why = "" if n_left_out or not board.is_complete else why_not_second(board.rows, name=_name)
    return f" {why}." if why else ""


def _has_ranks(row: RankedCheckpoint) -> bool:
    return row.confidence is not None and row.confidence.rank_low is not None


def _drawn(rows: Sequence[RankedCheckpoint]) -> list[str]:
    """A header with the ranks, then one line a checkpoint: its chance as a bar, its accuracy, its ranks as a line."""
    worst = max(_reach(row)[1] for row in rows)
    scale, width = Scale(1, worst), min(LONGEST_NAME, max(len(row.checkpoint) for row in rows))
    axis = [" "] * TRACK
    for mark in rank_ticks(worst):
        place = round((TRACK - 1) * scale.position(mark) / 100)
        axis[max(0, place - len(str(mark)) + 1) : place + 1] = str(mark)
    lines = [f"     {'':{width}}  {'chance of best':15}  {'expected':13}  ranks  {''.join(axis)}".rstrip()]
    for row in rows:
        sure = row.confidence
        low, high = _reach(row)
        chance = sure.p_best if sure else None
        bar = f"{text_bar(chance, width=BAR)} {chance_in_words(chance):>6}" if chance is not None else " " * (BAR + 7)
        track = text_interval(low, row.rank, high, scale=scale, width=TRACK)
        words = f"{expected_accuracy(sure):13}  {whole_interval(sure):>5}"
        lines.append(f"{row.rank:>4} {fitted(row.checkpoint, width)}  {bar}  {words}  {track}".rstrip())
    return lines


def _reach(row: RankedCheckpoint) -> tuple[int, int]:
    sure = row.confidence
    if sure is None or sure.rank_low is None or sure.rank_high is None:
        return row.rank, row.rank
    return min(sure.rank_low, row.rank), max(sure.rank_high, row.rank)

"""A leaderboard -> how sure its ranks are: a line a checkpoint, from the best to the worst rank that it may have."""

from collections.abc import Sequence

from lead_hub.leaderboard import Leaderboard
from lead_hub.leaderboard_rows import RankedCheckpoint
from lead_hub.terminal import is_bold, whole_interval
from spaces_app.drawing import NOTHING, Scale, circle, figure, line, rank_ticks, svg
from spaces_app.shown_text import bdi, escaped
from spaces_app.view import row_name

MOST_ROWS = 40
STYLE = """
.lh-ranks > div {display: grid; grid-template: "name track interval" auto / minmax(9rem, 2fr) minmax(0, 3fr) 3.6rem;
  column-gap: 12px; line-height: 1.3}
.lh-ranks .lh-name {grid-area: name; overflow-wrap: anywhere; padding: 3px 0 3px 2.2em; text-indent: -2.2em}
.lh-ranks .lh-number {display: inline-block; width: 1.6em; margin-right: .6em; text-align: right; text-indent: 0}
.lh-ranks .lh-interval {grid-area: interval; text-align: right; padding: 3px 0; white-space: nowrap}
.lh-ranks .lh-track {grid-area: track; position: relative; min-height: 18px; margin: 0 10px}
.lh-ranks .lh-track svg {position: absolute; inset: 0; height: 100%}
.lh-ranks .lh-bar {stroke: var(--lh-quiet); stroke-width: 3; stroke-linecap: round; opacity: .6}
.lh-ranks circle {fill: var(--lh-quiet)}
.lh-ranks .lh-best .lh-name, .lh-ranks .lh-best .lh-interval {font-weight: 600}
.lh-ranks .lh-best .lh-bar {stroke: var(--lh-accent); opacity: 1} .lh-ranks .lh-best circle {fill: var(--lh-accent)}
@container (max-width: 540px) {
  .lh-ranks > div {grid-template: "name interval" auto "track track" 18px / minmax(0, 1fr) auto}}
"""


def rank_intervals(board: Leaderboard) -> str:
    """One line a checkpoint: its rank, and how far that may be off; those that could be best stand out."""
    if not board.rows:
        return NOTHING
    rows = board.rows[:MOST_ROWS]
    worst = max(_rank_range(row)[1] for row in rows)
    scale, marks = Scale(1, worst), rank_ticks(worst)
    grid = "".join(line((scale.place(mark), 0), (scale.place(mark), 100), name="lh-grid") for mark in marks)
    axis = "".join(f'<text x="{scale.place(mark):.2f}%" y="13" text-anchor="middle">{mark}</text>' for mark in marks)
    drawn = "".join(_interval_row(row, scale, grid) for row in rows)
    words = _interval_words(rows, n_rows=len(board.rows))
    head = f'<div><div class="lh-track"><svg aria-hidden="true">{axis}</svg></div></div>'
    table = f'<div class="lh-ranks">{head}{drawn}</div>'
    return figure("How sure the ranks are", words, table, style=STYLE)


def _rank_range(row: RankedCheckpoint) -> tuple[int, int]:
    """From the best to the worst rank that it may have; its own where nothing is known of that."""
    sure = row.confidence
    if sure is None or sure.rank_low is None or sure.rank_high is None:
        return row.rank, row.rank
    return min(sure.rank_low, row.rank), max(sure.rank_high, row.rank)


def _interval_row(row: RankedCheckpoint, scale: Scale, grid: str) -> str:
    low, high = _rank_range(row)
    interval = whole_interval(row.confidence)
    kind = "lh-best" if is_bold(row) else "lh-other"
    sure = f"could be {low} to {high}" if low < high else "as sure as can be" if interval else "unknown how sure"
    bar = line((scale.place(low), 50), (scale.place(high), 50), name="lh-bar")
    dot = circle((scale.place(row.rank), 50), radius=5)
    track = svg(f"rank {row.rank}, {sure}", escaped(row_name(row)), grid + bar + dot)
    name = f'<span class="lh-number">{row.rank}</span>{bdi(row_name(row))}'
    cells = f'<span class="lh-name">{name}</span><div class="lh-track">{track}</div>'
    return f'<div class="{kind}">{cells}<span class="lh-interval">{interval}</span></div>'


def _interval_words(rows: Sequence[RankedCheckpoint], *, n_rows: int) -> str:
    words = "The dot is a checkpoint's rank. "
    if any(row.confidence and row.confidence.rank_low is not None for row in rows):
        words += (
            "The line is where it would stand, in 90 of 100 cases, had other images of the same kind been drawn; where"
            " lines overlap, the order may be chance."
        )
        words += " The coloured ones could be the best." if any(map(is_bold, rows)) else ""
    else:
        words += "How far it may be off is not known: the score has no terms per image, or came from score cards."
    return words + (f" The first {len(rows)} of {n_rows} are shown." if len(rows) < n_rows else "")

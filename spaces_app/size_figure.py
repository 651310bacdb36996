"""A leaderboard -> score against size: which checkpoints are the best that their number of parameters can buy."""

from collections.abc import Sequence

from lead_hub.leaderboard import Leaderboard
from lead_hub.leaderboard_rows import RankedCheckpoint
from lead_hub.terminal import count_in_words
from spaces_app.drawing import (
    NOTHING,
    Point,
    Scale,
    circle,
    figure,
    labels,
    line,
    log_scale_of,
    scale_of,
    sentence,
    svg,
    ticks,
)
from spaces_app.shown_text import bdi, escaped
from spaces_app.view import row_name

MOST_POINTS = 400
STYLE = """
.lh-points {padding: 14px 14px 46px 52px} .lh-points svg {height: 300px}
.lh-points circle {fill: var(--lh-quiet); opacity: .5}
.lh-points .lh-front circle {fill: var(--lh-ground); opacity: 1; stroke: var(--lh-accent); stroke-width: 2}
.lh-points .lh-front text {fill: var(--lh-text); font-weight: 700}
.lh-points .lh-step {stroke: var(--lh-accent); stroke-width: 1.5; stroke-dasharray: 4 3}
.lh-figure ul.lh-key {list-style: none; margin: 0; padding: 0; display: grid; gap: 5px 18px;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 18rem), 1fr))}
.lh-figure .lh-key li {display: flex; gap: 8px; align-items: baseline; margin: 0; overflow-wrap: anywhere}
.lh-key b {flex: none; min-width: 22px; box-sizing: border-box; border: 2px solid var(--lh-accent); border-radius: 11px;
  text-align: center; font-size: 12px; line-height: 18px}
"""


def pareto_front(rows: Sequence[RankedCheckpoint]) -> list[RankedCheckpoint]:
    """The checkpoints that no other one beats with a better score and no more parameters; the smallest first."""
    front: list[RankedCheckpoint] = []
    for row in sorted(rows, key=lambda row: (row.parameters, -row.score, row.checkpoint)):
        if not front or row.score > front[-1].score:
            front.append(row)
    return front


def score_against_parameters(board: Leaderboard) -> str:
    """Every checkpoint by size and score, and which of them are the best of their size."""
    if not board.rows:
        return NOTHING
    rows = [row for row in board.rows[:MOST_POINTS] if row.parameters > 0]
    if not rows:
        return sentence("There is nothing to draw: of none of these checkpoints the number of parameters is known.")
    sizes, scores = log_scale_of([row.parameters for row in rows]), scale_of([row.score for row in rows])
    front = pareto_front(rows)

    def place(row: RankedCheckpoint) -> Point:
        return sizes.place(row.parameters), 100 - scores.place(row.score)

    crowd = "".join(circle(place(row), radius=4, title=_point_words(row)) for row in rows if row not in front)
    drawn = _axes(sizes, scores, method=escaped(board.method)) + _steps([place(row) for row in front]) + crowd
    drawn += "".join(map(_front_point, front, map(place, front)))
    described = f"{len(rows)} checkpoints; the best of their size: {'; '.join(map(_point_words, front))}"
    words = (
        "A disc with its rank is the best checkpoint of its size: whoever has fewer parameters scores lower. The others"
        " score no higher than a smaller one."
    )
    words += f" {len(board.rows) - len(rows)} more are not shown." if len(rows) < len(board.rows) else ""
    plot = f'<div class="lh-points">{svg("Score against number of parameters", described, drawn)}</div>'
    key = "".join(f"<li><b>{row.rank}</b><span>{_key_words(row)}</span></li>" for row in reversed(front))
    return figure("Score and size", words, plot, f'<ul class="lh-key">{key}</ul>', style=STYLE)


def _axes(sizes: Scale, scores: Scale, *, method: str) -> str:
    def mark(at: Point, text: str, *, anchor: str, shift: Point) -> str:
        place = f'x="{at[0]:.2f}%" y="{at[1]:.2f}%" dx="{shift[0]}" dy="{shift[1]}"'
        return f'<text {place} text-anchor="{anchor}">{text}</text>'

    parts = []
    for size in ticks(sizes, at_most=5):
        parts.append(line((sizes.place(size), 0), (sizes.place(size), 100), name="lh-grid"))
        parts.append(mark((sizes.place(size), 100), whole(size), anchor="middle", shift=(0, 18)))
    marks = ticks(scores)
    for score, label in zip(marks, labels(marks), strict=True):
        height = 100 - scores.place(score)
        parts.append(line((0, height), (100, height), name="lh-grid"))
        parts.append(mark((0, height), label, anchor="end", shift=(-8, 4)))
    parts.append(mark((50, 100), "parameters", anchor="middle", shift=(0, 38)))
    parts.append(mark((0, 0), f"score ({method})", anchor="start", shift=(-46, -4)))
    return "".join(parts)


def whole(count: float) -> str:
    """200000.0 -> "200K"."""
    return count_in_words(round(count)).replace(".0", "")


def _steps(front: Sequence[Point]) -> str:
    """The best score that a number of parameters gives: level to the next checkpoint of the front, then up."""
    ends = [*front[1:], (100.0, front[-1][1])]
    level = [line(start, (end[0], start[1]), name="lh-step") for start, end in zip(front, ends, strict=True)]
    up = [line((end[0], start[1]), end, name="lh-step") for start, end in zip(front, ends, strict=True)]
    return "".join([*level, *up])


def _front_point(row: RankedCheckpoint, at: Point) -> str:
    number = f'<text x="{at[0]:.2f}%" y="{at[1]:.2f}%" dy="4" text-anchor="middle">{row.rank}</text>'
    return f'<g class="lh-front">{circle(at, radius=10, title=_point_words(row))}{number}</g>'


def _point_words(row: RankedCheckpoint) -> str:
    return (
        f"{escaped(row_name(row))}: rank {row.rank}, score {row.score:.4g}, {count_in_words(row.parameters)} parameters"
    )


def _key_words(row: RankedCheckpoint) -> str:
    figures = f"{count_in_words(row.parameters)} parameters, score {row.score:.4g}"
    return f'{bdi(row_name(row))} <span class="lh-quiet">{figures}</span>'

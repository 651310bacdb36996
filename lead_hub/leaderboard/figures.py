"""A leaderboard -> its figures in HTML and SVG, drawn by hand: no library, no script, every name escaped.

How sure the ranks are, a line a checkpoint; score against size, the best that a number of parameters can buy; and which
classes one checkpoint takes for which.
"""

import math
from collections.abc import Sequence

from lead_hub.confidence import MOST_CLASSES, Confidence, Confusion
from lead_hub.leaderboard.drawing import (
    NOTHING,
    Point,
    Scale,
    circle,
    figure,
    labels,
    line,
    log_scale_of,
    rank_ticks,
    scale_of,
    sentence,
    svg,
    ticks,
)
from lead_hub.leaderboard.rows import Board, RankedCheckpoint
from lead_hub.leaderboard.shown_text import bdi, escaped, row_name
from lead_hub.leaderboard.words import count_in_words, is_bold, whole_interval

MOST_ROWS = 40
INTERVAL_STYLE = """
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


def rank_intervals(board: Board) -> str:
    """One line a checkpoint: its rank, and how far that may be off; those that could be best stand out."""
    if not board.rows:
        return NOTHING
    rows = board.rows[:MOST_ROWS]
    worst = max(_rank_range(row)[1] for row in rows)
    scale, marks = Scale(1, worst), rank_ticks(worst)
    grid = "".join(line((scale.position(mark), 0), (scale.position(mark), 100), name="lh-grid") for mark in marks)
    axis = "".join(f'<text x="{scale.position(mark):.2f}%" y="13" text-anchor="middle">{mark}</text>' for mark in marks)
    drawn = "".join(_interval_row(row, scale, grid) for row in rows)
    words = _interval_words(rows, n_rows=len(board.rows))
    head = f'<div><div class="lh-track"><svg aria-hidden="true">{axis}</svg></div></div>'
    table = f'<div class="lh-ranks">{head}{drawn}</div>'
    return figure("How sure the ranks are", words, table, style=INTERVAL_STYLE)


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
    bar = line((scale.position(low), 50), (scale.position(high), 50), name="lh-bar")
    dot = circle((scale.position(row.rank), 50), radius=5)
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


MOST_POINTS = 400
SIZE_STYLE = """
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


def score_against_parameters(board: Board) -> str:
    """Every checkpoint by size and score, and which of them are the best of their size."""
    if not board.rows:
        return NOTHING
    # Scores of a race's stages are of other images: those that the best one's does not compare with are no points.
    comparable = [row for row in board.rows if row.n_images == board.rows[0].n_images]
    rows = [row for row in comparable[:MOST_POINTS] if row.parameters > 0]
    if not rows:
        return sentence("There is nothing to draw: of none of these checkpoints the number of parameters is known.")
    sizes, scores = log_scale_of([row.parameters for row in rows]), scale_of([row.score for row in rows])
    front = pareto_front(rows)

    def position(row: RankedCheckpoint) -> Point:
        return sizes.position(row.parameters), 100 - scores.position(row.score)

    crowd = "".join(circle(position(row), radius=4, title=_point_words(row)) for row in rows if row not in front)
    drawn = _axes(sizes, scores, method=escaped(board.method)) + _steps([position(row) for row in front]) + crowd
    drawn += "".join(map(_front_point, front, map(position, front)))
    described = f"{len(rows)} checkpoints; the best of their size: {'; '.join(map(_point_words, front))}"
    words = (
        "A disc with its rank is the best checkpoint of its size: whoever has fewer parameters scores lower. The others"
        " score no higher than a smaller one."
    )
    words += f" {len(comparable) - len(rows)} more are not shown." if len(rows) < len(comparable) else ""
    if dropped := len(board.rows) - len(comparable):
        words += (
            f" {dropped} more dropped out of the race earlier: their scores are of fewer images and do not compare."
        )
    plot = f'<div class="lh-points">{svg("Score against number of parameters", described, drawn)}</div>'
    key = "".join(f"<li><b>{row.rank}</b><span>{_key_words(row)}</span></li>" for row in reversed(front))
    return figure("Score and size", words, plot, f'<ul class="lh-key">{key}</ul>', style=SIZE_STYLE)


def _axes(sizes: Scale, scores: Scale, *, method: str) -> str:
    def mark(at: Point, text: str, *, anchor: str, shift: Point) -> str:
        attributes = f'x="{at[0]:.2f}%" y="{at[1]:.2f}%" dx="{shift[0]}" dy="{shift[1]}"'
        return f'<text {attributes} text-anchor="{anchor}">{text}</text>'

    parts = []
    for size in ticks(sizes, at_most=5):
        parts.append(line((sizes.position(size), 0), (sizes.position(size), 100), name="lh-grid"))
        parts.append(mark((sizes.position(size), 100), whole(size), anchor="middle", shift=(0, 18)))
    marks = ticks(scores)
    for score, label in zip(marks, labels(marks), strict=True):
        height = 100 - scores.position(score)
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


LONGEST_CLASS = 22
STRONGEST = 62  # percent of the colour in a cell that holds all images of its class; text must stay readable on it
CONFUSION_STYLE = """
.lh-both {display: flex; flex-wrap: wrap; gap: 10px 36px} .lh-both > :not(.lh-confusion) {flex: 0 1 27rem}
.lh-confusion {overflow-x: auto; min-width: 0} .lh-confusion:focus-visible {outline: 2px solid var(--lh-accent)}
.lh-figure .lh-confusion table {border-collapse: separate; border-spacing: 2px; width: auto; margin: 0; font-size: 12px;
  font-variant-numeric: tabular-nums; border: none}
.lh-figure .lh-confusion caption {text-align: left; caption-side: top; padding: 0 0 8px}
.lh-confusion caption span {display: block; position: sticky; left: 0; width: fit-content; max-width: 100cqi}
.lh-figure .lh-confusion :is(th, td) {padding: 3px 4px; border: none; font-weight: 400; color: var(--lh-text)}
.lh-figure .lh-confusion td {min-width: 30px; height: 27px; box-sizing: border-box; text-align: center;
  border-radius: 3px; --lh-hue: var(--lh-accent); background: color-mix(in srgb, var(--lh-hue) var(--lh-share),
  color-mix(in srgb, var(--lh-text) 5%, var(--lh-ground)))}
.lh-figure .lh-confusion td.lh-right {--lh-hue: #10a37f}
.lh-confusion thead th {vertical-align: bottom} .lh-confusion thead th span {writing-mode: vertical-rl;
  transform: rotate(180deg); white-space: nowrap; text-align: left; max-height: 11rem}
.lh-figure .lh-confusion tbody th {position: sticky; left: 0; background: var(--lh-ground); text-align: right;
  white-space: nowrap; max-width: 9rem; overflow: hidden; text-overflow: ellipsis}
.lh-figure .lh-confusion td.lh-total {background: none; text-align: right; padding-left: 10px}
.lh-figure ul.lh-worst {margin: 0; padding-left: 1.2em; list-style: disc}
.lh-figure .lh-worst ol {margin: 0; padding-left: 1.6em; list-style: decimal}
"""


def confusion_heat_map(row: RankedCheckpoint) -> str:
    """How often images of each class are taken for which, when left out of the score's own classifier."""
    sure = row.confidence
    if sure is None or (sure.confusion is None and not sure.worst_classes and sure.probe_accuracy is None):
        return sentence(
            f"Which classes {bdi(row_name(row))} confuses is not known: its score predicts no classes, or came from a"
            " score card."
        )
    title = f"Which classes {bdi(row_name(row))} confuses"
    words = (
        "As a simple classifier on its frozen features takes them, each image left out of what it learns from; before"
        " any fine-tuning."
    )
    table = _table(sure.confusion, name=escaped(row_name(row))) if sure.confusion else ""
    return figure(title, words, f'<div class="lh-both">{_worst(sure)}{table}</div>', style=CONFUSION_STYLE)


def _worst(sure: Confidence) -> str:
    """The worst classes and the most confused pairs in words."""
    if not sure.worst_classes:
        return "<p>No image is taken for another class.</p>"
    classes = "; ".join(
        f"{_class(each.name)} {each.accuracy:.0%} of {each.n_images:d} images" for each in sure.worst_classes
    )
    pairs = "".join(
        f"<li>{_class(pair.true)} taken for {_class(pair.predicted)}: {pair.n_images:d}</li>"
        for pair in sure.confused_pairs
    )
    right = "" if sure.probe_accuracy is None else f"<li>All classes: {sure.probe_accuracy:.0%} right.</li>"
    confused = f"<li>Most often confused, in images: <ol>{pairs}</ol></li>"
    return f'<ul class="lh-worst">{right}{confused}<li>Lowest accuracy: {classes}.</li></ul>'


def _class(name: str) -> str:
    return bdi(name, at_most=40)


def _table(confusion: Confusion, *, name: str) -> str:
    heads = "".join(
        f'<th scope="col"><span>{bdi(each, at_most=LONGEST_CLASS)}</span></th>' for each in confusion.class_names
    )
    lines = "".join(
        _line(each, counts, number if number < MOST_CLASSES else None)
        for number, (each, counts) in enumerate(zip(confusion.class_names, confusion.counts, strict=True))
    )
    caption = "Images of each class (rows), by the class that they are taken for (columns)"
    if len(confusion.class_names) > MOST_CLASSES:
        caption += f"; the {MOST_CLASSES} classes that are right least often, and all others together"
    return (
        f'<div class="lh-confusion" role="region" tabindex="0" aria-label="Confusion table of {name}"><table>'
        f'<caption class="lh-quiet"><span>{caption}</span></caption><thead><tr><td class="lh-total"></td>{heads}'
        f'<th scope="col"><span>right</span></th></tr></thead><tbody>{lines}</tbody></table></div>'
    )


def _line(name: str, counts: tuple[int, ...], number: int | None) -> str:
    """One class, or all others together: of these nobody knows which are right."""
    total = sum(counts)
    cells = "".join(_cell(count, total, is_right=column == number) for column, count in enumerate(counts))
    right = f"{counts[number] / total:.0%}" if total and number is not None else ""
    head = bdi(name, at_most=LONGEST_CLASS)
    return f'<tr><th scope="row">{head}</th>{cells}<td class="lh-total">{right}</td></tr>'


def _cell(count: int, total: int, *, is_right: bool) -> str:
    """A number on a ground that is stronger the larger its share of the row; the root lets few errors be seen too."""
    name = ' class="lh-right"' if is_right else ""
    share = STRONGEST * math.sqrt(count / total) if total else 0.0
    return f'<td{name} style="--lh-share: {share:.0f}%">{f"{count:d}" if count else ""}</td>'

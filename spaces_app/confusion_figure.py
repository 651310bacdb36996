"""One row of a leaderboard -> which classes the checkpoint takes for which, as a shaded table and in words."""

import math

from lead_hub.confidence.confusion import Confusion
from lead_hub.confidence.record import Confidence
from lead_hub.leaderboard_rows import RankedCheckpoint
from spaces_app.drawing import figure, sentence
from spaces_app.shown_text import bdi, escaped
from spaces_app.view import row_name

LONGEST_CLASS = 22
STRONGEST = 62  # percent of the colour in a cell that holds all images of its class; text must stay readable on it
STYLE = """
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
    return figure(title, words, f'<div class="lh-both">{_worst(sure)}{table}</div>', style=STYLE)


def _worst(sure: Confidence) -> str:
    """The worst classes and the most confused pairs in words."""
    if not sure.worst_classes:
        return "<p>No image is taken for another class.</p>"
    classes = "; ".join(
        f"{_class(each.name)} {each.accuracy:.0%} of {each.n_images:d} images" for each in sure.worst_classes
    )
    pairs = "; ".join(
        f"{_class(pair.true)} taken for {_class(pair.predicted)}: {pair.n_images:d}" for pair in sure.confused_pairs
    )
    right = "" if sure.probe_accuracy is None else f"<li>All classes: {sure.probe_accuracy:.0%} right.</li>"
    return (
        f'<ul class="lh-worst">{right}<li>Lowest accuracy: {classes}.</li><li>Most often confused: {pairs}.</li></ul>'
    )


def _class(name: str) -> str:
    return bdi(name, at_most=40)


def _table(confusion: Confusion, *, name: str) -> str:
    heads = "".join(
        f'<th scope="col"><span>{bdi(each, at_most=LONGEST_CLASS)}</span></th>' for each in confusion.class_names
    )
    lines = "".join(
        _line(each, counts, number)
        for number, (each, counts) in enumerate(zip(confusion.class_names, confusion.counts, strict=True))
    )
    caption = "Images of each class (rows), by the class that they are taken for (columns)"
    return (
        f'<div class="lh-confusion" role="region" tabindex="0" aria-label="Confusion table of {name}"><table>'
        f'<caption class="lh-quiet"><span>{caption}</span></caption><thead><tr><td class="lh-total"></td>{heads}'
        f'<th scope="col"><span>right</span></th></tr></thead><tbody>{lines}</tbody></table></div>'
    )


def _line(name: str, counts: tuple[int, ...], number: int) -> str:
    total = sum(counts)
    cells = "".join(_cell(count, total, is_right=place == number) for place, count in enumerate(counts))
    right = f"{counts[number] / total:.0%}" if total else ""
    head = bdi(name, at_most=LONGEST_CLASS)
    return f'<tr><th scope="row">{head}</th>{cells}<td class="lh-total">{right}</td></tr>'


def _cell(count: int, total: int, *, is_right: bool) -> str:
    """A number on a ground that is stronger the larger its share of the row; the root lets few errors be seen too."""
    name = ' class="lh-right"' if is_right else ""
    share = STRONGEST * math.sqrt(count / total) if total else 0.0
    return f'<td{name} style="--lh-share: {share:.0f}%">{f"{count:d}" if count else ""}</td>'

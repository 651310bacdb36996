"""Two checkpoints of a leaderboard side by side: how sure, how accurate, on which classes, how large, how fast."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lead_hub.confidence import Confidence, listed_accuracies
from lead_hub.leaderboard.drawing import (
    CELL_STYLE,
    COLOURS,
    interval_drawing,
    sentence,
    share_drawing,
    styled,
)
from lead_hub.leaderboard.rows import RankedCheckpoint
from lead_hub.leaderboard.shown_text import HUB, bdi, escaped, hub_link, linked, row_name
from lead_hub.leaderboard.verdict import why_not_second
from lead_hub.leaderboard.words import (
    chance_in_words,
    count_in_words,
    expected_interval,
    percent,
    whole_interval,
)

MOST_CLASSES = 20
LONGEST_SHOWN = 80
COMPARISON_STYLE = (
    """
.lh-compare {container-type: inline-size; font-size: 14px; line-height: 1.4;"""
    + COLOURS
    + """}
.lh-compare > p {margin: 0 0 16px; font-size: 16px; max-width: 60rem; overflow-wrap: anywhere}
.lh-compare table {border-collapse: collapse; width: 100%; margin: 0 0 16px; border: none; table-layout: fixed;
  font-variant-numeric: tabular-nums}
.lh-compare :is(th, td) {padding: 8px 12px; border: none; border-bottom: 1px solid var(--lh-line); text-align: left;
  vertical-align: top; background: none; color: var(--lh-text); font-weight: 400; overflow-wrap: anywhere}
.lh-compare :is(th, td):first-child {padding-left: 0; width: 24%}
.lh-compare thead th {font-weight: 600; vertical-align: bottom}
.lh-compare caption {text-align: left; caption-side: top; padding: 0 0 8px; font-weight: 600}
.lh-compare a {color: var(--lh-strong); text-decoration: underline; text-underline-offset: 2px}
.lh-compare .lh-better {font-weight: 600} .lh-compare .lh-quiet {color: var(--lh-quiet)}
.lh-compare td > svg {margin-top: 4px; max-width: 24rem}
@container (max-width: 540px) {.lh-compare :is(th, td) {padding: 8px 5px}}
"""
    + CELL_STYLE
)


@dataclass(frozen=True)
class Fact:
    """One line of the comparison.

    Attributes:
        name: what it is.
        words: of a checkpoint, as HTML; empty where it is not known.
        figure: by which one of the two is better, the higher; None where none is, or it is not known.
    """

    name: str
    words: Callable[[RankedCheckpoint], str]
    figure: Callable[[RankedCheckpoint], float | None] = lambda _: None


def _of(share: Callable[[Confidence], float | None]) -> Callable[[RankedCheckpoint], float | None]:
    return lambda row: share(row.confidence) if row.confidence else None


def _rank(row: RankedCheckpoint) -> str:
    interval = whole_interval(row.confidence)
    return f'{row.rank} <span class="lh-quiet">(could be {interval})</span>' if "-" in interval else str(row.rank)


def _chance(row: RankedCheckpoint) -> str:
    chance = row.confidence.p_best if row.confidence else None
    return "" if chance is None else f"{escaped(chance_in_words(chance))}{share_drawing(chance)}"


def _expected(row: RankedCheckpoint) -> str:
    sure = row.confidence
    if sure is None or sure.predicted_accuracy is None:
        return ""
    words = f'{percent(sure.predicted_accuracy)} <span class="lh-quiet">({expected_interval(sure)})</span>'
    drawn = interval_drawing(sure.predicted_low or 0.0, sure.predicted_accuracy, sure.predicted_high or 1.0)
    return words + drawn


def _left_out(row: RankedCheckpoint) -> str:
    sure = row.confidence
    if sure is None or sure.probe_accuracy is None or sure.probe_low is None or sure.probe_high is None:
        return ""
    interval = f"{100 * sure.probe_low:.0f}-{100 * sure.probe_high:.0f}"
    words = f'{percent(sure.probe_accuracy)} <span class="lh-quiet">({interval})</span>'
    return words + interval_drawing(sure.probe_low, sure.probe_accuracy, sure.probe_high)


def _finetuned(row: RankedCheckpoint) -> str:
    found = row.finetuned
    return "" if found is None else f"{found.accuracy:.1%} ({escaped(found.mode)})"


def _speed(row: RankedCheckpoint) -> str:
    if row.images_per_s is None:
        return ""
    return f"{row.images_per_s:,.0f} images/s on {escaped(row.device)}"


FACTS = (
    Fact("rank", _rank, lambda row: -float(row.rank)),
    Fact("chance to be best", _chance, _of(lambda sure: sure.p_best)),
    Fact("expected accuracy, 90% interval", _expected, _of(lambda sure: sure.predicted_accuracy)),
    Fact("really fine-tuned", _finetuned, lambda row: row.finetuned.accuracy if row.finetuned else None),
    Fact("frozen, left out, 90% interval", _left_out, _of(lambda sure: sure.probe_accuracy)),
    Fact(
        "parameters",
        lambda row: count_in_words(row.parameters) if row.parameters else "",
        lambda row: -float(row.parameters) if row.parameters else None,
    ),
    Fact("speed here", _speed, lambda row: row.images_per_s),
    Fact("licence", lambda row: escaped(row.licence or "not named", at_most=40)),
    Fact("kind", lambda row: escaped(row.family, at_most=40)),
)


def side_by_side(first: RankedCheckpoint, second: RankedCheckpoint, *, endpoint: str = HUB) -> str:
    """What is known of two checkpoints, the better figure of each line stronger; then class by class.

    Args:
        first: of a leaderboard.
        second: another one of it.
        endpoint: the Hub's address, for links.
    """
    if first == second:
        return sentence("Choose two different checkpoints to see them side by side.")
    rows = (first, second)
    names = [
        linked(row_name(row), hub_link(row.checkpoint, row.sha, pages=endpoint), at_most=LONGEST_SHOWN) for row in rows
    ]
    heads = "".join(f'<th scope="col">{name}</th>' for name in names)
    lines = "".join(_line(fact, rows) for fact in FACTS if any(fact.words(row) for row in rows))
    table = (
        f'<table aria-label="Two checkpoints side by side"><thead><tr><td></td>{heads}</tr></thead>'
        f"<tbody>{lines}</tbody></table>"
    )
    why = escaped(why_not_second(sorted(rows, key=lambda row: row.rank), name=row_name))
    words = f"<p>{why}.</p>" if why else ""
    return styled(f'<div class="lh-compare">{words}{table}{_classes(rows, heads)}</div>', COMPARISON_STYLE)


def _line(fact: Fact, rows: Sequence[RankedCheckpoint]) -> str:
    cells = [fact.words(row) or '<span class="lh-quiet">not known</span>' for row in rows]
    return _cells(fact.name, cells, [fact.figure(row) for row in rows])


def _cells(head: str, cells: Sequence[str], figures: Sequence[float | None]) -> str:
    known = [figure for figure in figures if figure is not None]
    best = max(known) if len(known) == len(figures) and len(set(known)) > 1 else None
    drawn = "".join(
        f'<td class="lh-better">{cell}</td>' if best is not None and figure == best else f"<td>{cell}</td>"
        for cell, figure in zip(cells, figures, strict=True)
    )
    return f'<tr><th scope="row">{head}</th>{drawn}</tr>'


def _classes(rows: Sequence[RankedCheckpoint], heads: str) -> str:
    """Accuracy on every class that is known of both, the largest differences first."""
    tables = [row.confidence.confusion if row.confidence else None for row in rows]
    known = [{each.name: each for each in listed_accuracies(table)} for table in tables if table]
    if len(known) < len(rows):
        return ""
    pairs = [(known[0][name], known[1][name]) for name in known[0] if name in known[1]]
    pairs.sort(key=lambda pair: -abs(pair[0].accuracy - pair[1].accuracy))
    lines = "".join(
        _cells(
            f'{bdi(pair[0].name, at_most=40)} <span class="lh-quiet">{pair[0].n_images:,}</span>',
            [f"{each.accuracy:.0%}{share_drawing(each.accuracy)}" for each in pair],
            [each.accuracy for each in pair],
        )
        for pair in pairs[:MOST_CLASSES]
    )
    if not lines:
        return ""
    caption = "Right when left out, by class, the largest differences first; as frozen features take them"
    return f"<table><caption>{caption}</caption><thead><tr><td></td>{heads}</tr></thead><tbody>{lines}</tbody></table>"

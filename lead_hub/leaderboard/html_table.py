"""A leaderboard -> its table as HTML: six columns that say what decides, chance and interval drawn in their cells."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from lead_hub.leaderboard.drawing import CELL_STYLE, COLOURS, NOTHING, interval_drawing, share_drawing, styled
from lead_hub.leaderboard.rows import Board, RankedCheckpoint
from lead_hub.leaderboard.shown_text import HUB, escaped, hub_link, linked, row_name
from lead_hub.leaderboard.verdict import disagreement
from lead_hub.leaderboard.words import (
    chance_in_words,
    count_in_words,
    expected_interval,
    is_bold,
    notes,
    percent,
    whole_interval,
)

TABLE_STYLE = (
    """
.lh-board {container-type: inline-size; font-size: 14px; line-height: 1.4;"""
    + COLOURS
    + """}
.lh-board table {border-collapse: collapse; width: 100%; margin: 0; border: none; font-variant-numeric: tabular-nums}
.lh-board :is(th, td) {padding: 8px 12px; border: none; border-bottom: 1px solid var(--lh-line); text-align: left;
  vertical-align: middle; background: none; color: var(--lh-text)}
.lh-board thead th {font-weight: 600; white-space: nowrap; vertical-align: bottom}
.lh-board .lh-licence {white-space: nowrap} .lh-board .lh-chance {width: 20%} .lh-board .lh-expected {width: 27%}
.lh-board .lh-right {text-align: right; white-space: nowrap}
.lh-board .lh-rank {width: 1%; white-space: nowrap; text-align: right; position: relative; padding-left: 20px}
.lh-board .lh-best td {background: color-mix(in srgb, var(--lh-accent) 8%, var(--lh-ground))}
.lh-board .lh-best .lh-name {font-weight: 600} .lh-board .lh-name {overflow-wrap: anywhere}
.lh-board .lh-name a {color: var(--lh-strong); text-decoration: underline; text-underline-offset: 2px}
.lh-board .lh-dot {color: var(--lh-strong); margin-right: 4px}
.lh-board .lh-tie::before {content: ""; position: absolute; left: 8px; top: 0; bottom: -1px; width: 4px;
  border-left: 2px solid var(--lh-quiet)}
.lh-board .lh-tie-first::before {top: 30%; border-top: 2px solid var(--lh-quiet)}
.lh-board .lh-tie-last::before {bottom: 30%; border-bottom: 2px solid var(--lh-quiet)}
.lh-board .lh-pair {display: grid; grid-template-columns: minmax(48px, 1fr) 3.6em; gap: 12px; align-items: center}
.lh-board .lh-pair.lh-wide {grid-template-columns: minmax(64px, 1fr) 6.6em}
.lh-board .lh-pair span {text-align: right; white-space: nowrap}
.lh-board .lh-quiet {color: var(--lh-quiet)}
.lh-board .lh-tip {position: relative; border-bottom: 1px dotted var(--lh-quiet); cursor: help}
.lh-board .lh-tip > span {display: none; position: absolute; z-index: 9; top: 100%; left: 0; width: 17rem;
  padding: 8px 12px; white-space: normal; font-weight: 400; text-align: left; border-radius: 6px;
  background: var(--lh-text); color: var(--lh-ground)} .lh-board .lh-tip:is(:hover, :focus) > span {display: block}
.lh-board th:nth-last-child(-n+3) .lh-tip > span {left: auto; right: 0}
.lh-board .lh-wider {overflow-x: auto} .lh-board .lh-wider .lh-name {min-width: 11rem}
.lh-board .lh-note {min-width: 16rem; overflow-wrap: anywhere}
.lh-board .lh-key {margin: 8px 0 0; color: var(--lh-quiet); max-width: 60rem}
@container (max-width: 640px) {.lh-board :is(.lh-chance, .lh-expected) {width: auto}
  .lh-board :is(th, td) {padding: 8px 5px} .lh-board .lh-extra {display: none}
  .lh-board .lh-rank {padding-left: 16px} .lh-board .lh-tie::before {left: 4px}
  .lh-board .lh-pair, .lh-board .lh-pair.lh-wide {display: block; width: 5.6em}
  .lh-board .lh-pair span {display: block} .lh-board thead th {white-space: normal}
  .lh-board .lh-tip > span {width: 13rem}}
"""
    + CELL_STYLE
)
MOST_ROWS = 200
CHANCE_TIP = (
    "The chance to be the best of these once all are fine-tuned. It counts in which images were drawn, and how far the"
    " score was from the truth on checkpoints that were really fine-tuned."
)
EXPECTED_TIP = (
    "Accuracy after full fine-tuning with its 90% interval, on a scale from 0 to 100%. Learnt from small networks on"
    " small pictures and from networks of a few million weights on some hundred photographs: trust the order more than"
    " the number."
)
RANK_TIP = "By the score, the best first. A bracket joins checkpoints that these images cannot tell apart."


@dataclass(frozen=True)
class HtmlColumn:
    """One column: header and explanation, CSS class, and the text of a row where nothing is drawn."""

    header: str
    tip: str
    css: str = ""
    text: Callable[[RankedCheckpoint], str] | None = None


CHECKPOINT = HtmlColumn("checkpoint", "")
RANK = HtmlColumn("rank", RANK_TIP, "lh-rank")
CHANCE = HtmlColumn("chance to be best", CHANCE_TIP, "lh-chance")
EXPECTED = HtmlColumn("expected accuracy", EXPECTED_TIP, "lh-expected")
SCORE = HtmlColumn(
    "score", "Higher is better; comparable within one table only.", "lh-right", lambda row: f"{row.score:.4f}"
)
RANKS = HtmlColumn(
    "ranks",
    "Where it would stand, in 90 of 100 cases, had other images of the same kind been drawn.",
    "lh-right",
    lambda row: whole_interval(row.confidence),
)
SIZE = HtmlColumn(
    "size",
    "Number of parameters.",
    "lh-right lh-extra",
    lambda row: count_in_words(row.parameters) if row.parameters else "",
)
LICENCE = HtmlColumn(
    "licence", "As the checkpoint's card names it.", "lh-licence lh-extra", lambda row: row.licence or "not named"
)
FINE_TUNED = HtmlColumn(
    "fine-tuned",
    "What fine-tuning really gave, on images that nothing was chosen by.",
    "lh-right",
    lambda row: f"{row.finetuned.accuracy:.1%} ({row.finetuned.mode})" if row.finetuned else "",
)
DOWNLOADS = HtmlColumn(
    "downloads",
    "Of the last 30 days, where a crawl found the checkpoint.",
    "lh-right",
    lambda row: "" if row.downloads is None else f"{row.downloads:,}",
)
SPEED = HtmlColumn(
    "images/s",
    "Run through the checkpoint here, preparation included; none from the cache.",
    "lh-right",
    lambda row: f"{row.images_per_s:.0f}" if row.images_per_s else "",
)
# What a reader may have beside the six.
FURTHER: Mapping[str, HtmlColumn] = MappingProxyType(
    {
        column.header: column
        for column in (
            SCORE,
            RANKS,
            HtmlColumn("kind", "The model type.", "", lambda row: row.family),
            SPEED,
            DOWNLOADS,
            FINE_TUNED,
            HtmlColumn("number format", "Of the forward pass.", "", lambda row: row.dtype),
            HtmlColumn("note", "What else is worth knowing.", "lh-note", notes),
        )
    }
)
LONGEST_CELL, LONGEST_NOTE = 24, 300


def board_table(
    board: Board,
    *,
    endpoint: str = HUB,
    rows: Sequence[RankedCheckpoint] | None = None,
    further: Sequence[str] = (),
    label: str = "Leaderboard",
) -> str:
    """The table, best first.

    Args:
        board: also while its run goes on.
        endpoint: the Hub's address, for links.
        rows: those of the board to show, in their order; None means all.
        further: keys of FURTHER, columns beside the six; others are left out.
        label: what the table is called aloud, escaped.
    """
    shown = list(board.rows if rows is None else rows)
    if not board.rows:
        return NOTHING
    is_predicted = any(row.confidence and row.confidence.p_best is not None for row in board.rows)
    columns = [RANK, CHECKPOINT, *((CHANCE, EXPECTED) if is_predicted else (SCORE, RANKS)), SIZE, LICENCE]
    columns += [column for name, column in FURTHER.items() if name in further and column not in columns]
    head = "".join(f'<th scope="col"{_css(column)}>{_header(column)}</th>' for column in columns)
    ties = _ties(board.rows) if shown == list(board.rows) else {}  # in another order no bracket joins neighbours
    numbers = {id(row): number for number, row in enumerate(board.rows)}
    body = "".join(
        _row(row, numbers[id(row)], columns, tie=ties.get(id(row), ""), endpoint=endpoint) for row in shown[:MOST_ROWS]
    )
    table = f'<table aria-label="{label}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    table = f'<div class="lh-wider">{table}</div>' if further else table
    return styled(f'<div class="lh-board">{table}{_key(board, n_shown=len(shown), ties=ties)}</div>', TABLE_STYLE)


def _css(column: HtmlColumn) -> str:
    return f' class="{column.css}"' if column.css else ""


def _header(column: HtmlColumn) -> str:
    if not column.tip:
        return column.header
    return f'<span class="lh-tip" tabindex="0">{column.header}<span role="tooltip">{escaped(column.tip)}</span></span>'


def _ties(rows: Sequence[RankedCheckpoint]) -> dict[int, str]:
    """CSS classes of the rows that are in a tie group with others."""
    groups: dict[int, list[RankedCheckpoint]] = {}
    for row in rows:
        if row.confidence and row.confidence.tie_group is not None:
            groups.setdefault(row.confidence.tie_group, []).append(row)
    classes = {}
    for group in groups.values():
        for row in group if len(group) > 1 else ():
            ends = " lh-tie-first" if row is group[0] else " lh-tie-last" if row is group[-1] else ""
            classes[id(row)] = f"lh-tie{ends}"
    return classes


def _row(row: RankedCheckpoint, number: int, columns: Sequence[HtmlColumn], *, tie: str, endpoint: str) -> str:
    cells = "".join(_cell(row, column, tie=tie, endpoint=endpoint) for column in columns)
    kind = ' class="lh-best"' if is_bold(row) else ""
    return f'<tr{kind} data-row="{number}">{cells}</tr>'


def _cell(row: RankedCheckpoint, column: HtmlColumn, *, tie: str, endpoint: str) -> str:
    sure = row.confidence
    if column is RANK:
        dot = '<span class="lh-dot" title="could be the best">●</span>' if is_bold(row) else ""
        return f'<td class="{f"lh-rank {tie}".strip()}">{dot}{row.rank}</td>'
    if column is CHECKPOINT:
        name = linked(row_name(row), hub_link(row.checkpoint, row.sha, pages=endpoint))
        return f'<td class="lh-name">{name}</td>'
    if column is CHANCE:
        chance = sure.p_best if sure else None
        return f"<td>{'' if chance is None else _pair(share_drawing(chance), escaped(chance_in_words(chance)))}</td>"
    if column is EXPECTED:
        return f"<td>{_expected(row)}</td>"
    text = column.text(row) if column.text else ""
    at_most = LONGEST_NOTE if column.css == "lh-note" else LONGEST_CELL
    return f"<td{_css(column)}>{escaped(text, at_most=at_most)}</td>"


def _expected(row: RankedCheckpoint) -> str:
    sure = row.confidence
    if sure is None or sure.predicted_accuracy is None or sure.predicted_low is None or sure.predicted_high is None:
        return ""
    drawn = interval_drawing(sure.predicted_low, sure.predicted_accuracy, sure.predicted_high)
    words = f'{percent(sure.predicted_accuracy)} <span class="lh-quiet">({expected_interval(sure)})</span>'
    return _pair(drawn, words, is_wide=True)


def _pair(drawn: str, words: str, *, is_wide: bool = False) -> str:
    return f'<div class="lh-pair{" lh-wide" if is_wide else ""}">{drawn}<span>{words}</span></div>'


def _key(board: Board, *, n_shown: int, ties: Mapping[int, str]) -> str:
    judged = any(row.confidence and row.confidence.could_be_best is not None for row in board.rows)
    parts = ['<span class="lh-dot">●</span>could be the best.'] if judged else []
    parts += ["A bracket joins what these images cannot tell apart."] if ties else []
    why = escaped(disagreement(board.rows, name=row_name))
    parts += [f"{why}."] if why else []
    n_hidden = len(board.rows) - min(n_shown, MOST_ROWS)
    parts += [f"{n_hidden} of {len(board.rows)} are not shown."] if n_hidden else []
    return f'<p class="lh-key">{" ".join(parts)}</p>' if parts else ""

"""A leaderboard -> what the page shows of it: rows of cells, the verdict and the summary in words. Pure functions.

Text by others (ids, class names, licences, notes, reasons) leaves here as a plain string for columns that show text as
it is ("str"), and escaped wherever HTML is returned.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from lead_hub.confidence import Confidence
from lead_hub.leaderboard import (
    HUB,
    Leaderboard,
    RankedCheckpoint,
    RankedDataset,
    bdi,
    escaped,
    folder_name,
    hub_link,
    is_bold,
    linked,
    one_line,
    row_name,
    rows_verdict,
    summary,
    whole_interval,
)

Cell: TypeAlias = str | float | None
Datatype: TypeAlias = Literal["str", "number", "html"]
LONGEST_NOTE = 300
CLASSES_NAMED = 12
REASONS_SHOWN = 10
WORDS = '<div style="overflow-wrap: anywhere; margin-bottom: 8px">{}</div>'


@dataclass(frozen=True)
class Known:
    """What a row does not know itself: the Hub's address, for links."""

    endpoint: str


@dataclass(frozen=True)
class PageColumn:
    """One column: its header, a row's cell, and how `gr.Dataframe` takes it."""

    header: str
    value: Callable[[RankedCheckpoint, Known], Cell]
    datatype: Datatype


def checkpoint_cell(row: RankedCheckpoint, known: Known) -> str:
    """The name, linked to its page on the Hub; bold where it could be the best."""
    name = linked(row_name(row), hub_link(row.checkpoint, row.sha, pages=known.endpoint))
    return f"<strong>{name}</strong>" if is_bold(row) else name


def status(row: RankedCheckpoint) -> str:
    """What else is worth knowing of a row, in few words; "scored" where nothing is."""
    words = ["trained on this dataset"] if row.trained_on_dataset else []
    if row.finetuned:
        words.append(f"fine-tuned ({row.finetuned.mode}): {row.finetuned.accuracy:.1%}")
    words += [row.note] if row.note else []
    return one_line("; ".join(words) or "scored", at_most=LONGEST_NOTE)


def percent(share: float | None) -> float | None:
    """0.7132 -> 71.3; a number, so that the column sorts as one."""
    return None if share is None else round(100 * share, 1)


def digits(value: float | None, *, significant: int) -> float | None:
    """The number with that many digits that say something."""
    return None if value is None else float(f"{value:.{significant}g}")


def expected_interval(row: RankedCheckpoint) -> str:
    """Of the expected accuracy, "58-82"; empty where it is not known."""
    sure = row.confidence
    if sure is None or sure.predicted_low is None or sure.predicted_high is None:
        return ""
    return f"{100 * sure.predicted_low:.0f}-{100 * sure.predicted_high:.0f}"


def of_confidence(share: Callable[[Confidence], float | None]) -> Callable[[RankedCheckpoint, Known], Cell]:
    """A cell with a share of the row's confidence in percent."""
    return lambda row, _: percent(share(row.confidence)) if row.confidence else None


COLUMNS = (
    PageColumn("rank", lambda row, _: row.rank, "number"),
    PageColumn("checkpoint", checkpoint_cell, "html"),
    PageColumn("ranks", lambda row, _: whole_interval(row.confidence), "str"),
    PageColumn("best, %", of_confidence(lambda sure: sure.p_best), "number"),
    PageColumn("predicted accuracy, %", of_confidence(lambda sure: sure.predicted_accuracy), "number"),
    PageColumn("90% interval", lambda row, _: expected_interval(row), "str"),
    PageColumn("score", lambda row, _: digits(row.score, significant=5), "number"),
    PageColumn("parameters, M", lambda row, _: digits(row.parameters / 10**6 or None, significant=3), "number"),
    PageColumn("licence", lambda row, _: one_line(row.licence or "not named", at_most=LONGEST_NOTE), "str"),
    PageColumn("downloads", lambda row, _: row.downloads, "number"),
    PageColumn("images/s", lambda row, _: digits(row.images_per_s, significant=3), "number"),
    PageColumn("status", lambda row, _: status(row), "str"),
)


def headers() -> list[str]:
    """The headers of the columns."""
    return [column.header for column in COLUMNS]


def datatypes() -> list[Datatype]:
    """The datatypes of the columns, as `gr.Dataframe` names them."""
    return [column.datatype for column in COLUMNS]


def board_rows(board: Leaderboard, *, endpoint: str = HUB) -> list[list[Cell]]:
    """One list of cells a scored checkpoint, best first, in the order of COLUMNS; none before the first is scored.

    Args:
        board: also while its run goes on.
        endpoint: address of the Hub, for links.
    """
    known = Known(endpoint)
    return [[column.value(row, known) for column in COLUMNS] for row in board.rows]


def skipped_rows(board: Leaderboard) -> list[list[str]]:
    """Checkpoint, stage and reason of what could not be scored, as text."""
    return [[one_line(skip.checkpoint), one_line(skip.stage), one_line(skip.reason)] for skip in board.skipped]


def skipped_html(board: Leaderboard) -> str:
    """A table of what could not be scored, and why."""
    head = "".join(f'<th scope="col">{header}</th>' for header in ("checkpoint", "at", "why, and what to do"))
    rows = "".join(
        f"<tr>{''.join(f'<td>{escaped(cell)}</td>' for cell in cells)}</tr>" for cells in skipped_rows(board)
    )
    return WORDS.format(f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>")


def verdict_html(board: Leaderboard) -> str:
    """Whether there is a winner, what to expect of it, and how far that can be trusted."""
    if not board.rows:
        return WORDS.format(_nothing_ranked(board))
    if not board.is_complete:  # no verdict before all have had their turn
        leads = f"{bdi(row_name(board.rows[0]))} leads after {_tried(board)} of {board.n_candidates} checkpoints"
        return WORDS.format(f"<p><strong>{leads}.</strong></p>")
    sentence = rows_verdict(board.rows, method=board.method, name=lambda row: one_line(row_name(row), at_most=80))
    first = sentence[:1].upper() + sentence[1:]
    parts = [f"<p><strong>{escaped(first)}.</strong></p>", _expectation(board), *_warnings(board)]
    return WORDS.format("".join(parts))


def _nothing_ranked(board: Leaderboard) -> str:
    if not board.is_complete:
        return "<p><strong>No checkpoint has been ranked yet.</strong></p>"
    reasons = [
        f"<li>{bdi(skip.checkpoint)} ({escaped(skip.stage)}): {escaped(skip.reason)}</li>"
        for skip in board.skipped[:REASONS_SHOWN]
    ]
    more = len(board.skipped) - len(reasons)
    rest = f"<p>The list of those skipped says it of {more} more.</p>" if more > 0 else ""
    words = f"None of the {board.n_candidates} checkpoints could be ranked."
    return f"<p><strong>{words}</strong></p><ul>{''.join(reasons)}</ul>{rest}"


def _tried(board: Leaderboard) -> int:
    return len(board.rows) + len(board.skipped)


def _expectation(board: Leaderboard) -> str:
    best, sure = board.rows[0], board.rows[0].confidence
    if sure is None or sure.predicted_accuracy is None:
        return ""
    return (
        f"<p>Fully fine-tuned, {bdi(row_name(best))} should reach about {sure.predicted_accuracy:.0%} accuracy"
        f" (90% interval: {expected_interval(best)}%).</p>"
        f"<details><summary>What this rests on</summary><p>{escaped(sure.calibrated_on)}.</p></details>"
    )


def _warnings(board: Leaderboard) -> list[str]:
    """Of the checkpoints that could be best, those that have seen the dataset."""
    return [
        f"<p>{bdi(row_name(row))} was trained on this dataset: its score says little about new images.</p>"
        for row in board.rows
        if row.trained_on_dataset and is_bold(row)
    ]


def summary_html(board: Leaderboard, *, endpoint: str = HUB) -> str:
    """What was ranked on, by what, and where it ran."""
    images = board.dataset
    classes = ", ".join(bdi(name, at_most=30) for name in images.class_names[:CLASSES_NAMED])
    more = len(images.class_names) - CLASSES_NAMED
    named_classes = f"{classes} and {more} more" if more > 0 else classes
    where = summary(board)
    lines = [
        f"<p>{_dataset_name(images, endpoint)}, {_part(images)}: {images.n_images:,} images of"
        f" {len(images.class_names)} classes ({named_classes}), ranked by {escaped(board.method)};"
        f" {_tried(board)} of {board.n_candidates} checkpoints tried{f'; {escaped(where)}' if where else ''}.</p>",
        *(f"<p>Note: {escaped(note.rstrip('.'), at_most=LONGEST_NOTE)}.</p>" for note in images.notes),
    ]
    return WORDS.format("".join(lines))


def _dataset_name(images: RankedDataset, endpoint: str) -> str:
    if images.is_local:
        return bdi(folder_name(images.dataset))
    return linked(images.dataset, hub_link(images.dataset, images.sha, pages=f"{endpoint.rstrip('/')}/datasets"))


def _part(images: RankedDataset) -> str:
    config = f"configuration {bdi(images.config, at_most=40)}, " if images.config not in (None, "default") else ""
    return f"{config}split {bdi(images.split, at_most=40)}"

"""A leaderboard -> the table of all its figures: rows of cells. Pure functions.

Text by others (ids, class names, licences, notes, reasons) leaves here as a plain string for columns that show text as
it is ("str"), and escaped in those that hold a link.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from lead_hub.confidence import Confidence
from lead_hub.leaderboard import (
    HUB,
    Leaderboard,
    RankedCheckpoint,
    expected_interval,
    hub_link,
    is_bold,
    linked,
    one_line,
    row_name,
    whole_interval,
)

Cell: TypeAlias = str | float | None
Datatype: TypeAlias = Literal["str", "number", "html"]
LONGEST_NOTE = 300


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


def of_confidence(share: Callable[[Confidence], float | None]) -> Callable[[RankedCheckpoint, Known], Cell]:
    """A cell with a share of the row's confidence in percent."""
    return lambda row, _: percent(share(row.confidence)) if row.confidence else None


def chance(row: RankedCheckpoint, known: Known) -> Cell:  # noqa: ARG001 - the signature of a column
    """Percent, with digits that say something also where they are few."""
    share = row.confidence.p_best if row.confidence else None
    return None if share is None else digits(100 * share, significant=3)


COLUMNS = (
    PageColumn("rank", lambda row, _: row.rank, "number"),
    PageColumn("checkpoint", checkpoint_cell, "html"),
    PageColumn("ranks", lambda row, _: whole_interval(row.confidence), "str"),
    PageColumn("best, %", chance, "number"),
    PageColumn("predicted accuracy, %", of_confidence(lambda sure: sure.predicted_accuracy), "number"),
    PageColumn("90% interval", lambda row, _: expected_interval(row.confidence), "str"),
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

"""Leaderboard -> what people read on a terminal."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lead_hub.leaderboard.board import Leaderboard
from lead_hub.leaderboard.rows import RankedCheckpoint
from lead_hub.leaderboard.verdict import rows_verdict
from lead_hub.leaderboard.words import (
    count_in_words,
    display_name,
    expected_accuracy,
    is_bold,
    percent,
    whole_interval,
)


@dataclass(frozen=True)
class TerminalColumn:
    """One column of the table: its header, a row's cell, and how it stands."""

    header: str
    cell: Callable[[RankedCheckpoint], str]
    align_right: bool = True


def notes(row: RankedCheckpoint) -> str:
    """What else is worth knowing of a row, in few words."""
    return "; ".join(filter(None, ["trained on this dataset" if row.trained_on_dataset else "", row.note]))


COLUMNS = (
    TerminalColumn("rank", lambda row: str(row.rank)),
    TerminalColumn("checkpoint", lambda row: display_name(row.checkpoint, row.revision), align_right=False),
    TerminalColumn("score", lambda row: f"{row.score:.4f}"),
    TerminalColumn("parameters", lambda row: count_in_words(row.parameters)),
    TerminalColumn("licence", lambda row: row.licence or "not named", align_right=False),
    TerminalColumn("images/s", lambda row: "" if row.images_per_s is None else f"{row.images_per_s:.0f}"),
    TerminalColumn("note", notes, align_right=False),
)
SCORE = 3  # columns up to and with the score
NOTE = len(COLUMNS) - 1


def other_scores(board: Leaderboard) -> tuple[TerminalColumn, ...]:
    """A column for each score that was asked for beside the one that ranks."""

    def cell(row: RankedCheckpoint, name: str) -> str:
        value = row.other_scores.get(name)
        return "undefined" if value is None else f"{value:.4g}"

    names = dict.fromkeys(name for row in board.rows for name in row.other_scores)
    return tuple(TerminalColumn(name, partial(cell, name=name)) for name in names)


def expectations(board: Leaderboard) -> tuple[TerminalColumn, ...]:
    """Columns with how sure each row is, those that any row has something for."""
    columns = (
        TerminalColumn("ranks", lambda row: whole_interval(row.confidence)),
        TerminalColumn("best", lambda row: percent(row.confidence.p_best if row.confidence else None)),
        TerminalColumn("expected when fine-tuned", lambda row: expected_accuracy(row.confidence)),
    )
    return tuple(column for column in columns if any(map(column.cell, board.rows)))


def outcomes(board: Leaderboard) -> tuple[TerminalColumn, ...]:
    """Columns with what fine-tuning gave, where any checkpoint was fine-tuned."""

    def accuracy(row: RankedCheckpoint) -> str:
        if row.finetuned is None:
            return ""
        deviation = row.finetuned.accuracy_sd
        return f"{row.finetuned.accuracy:.1%}" + ("" if deviation is None else f" ± {100 * deviation:.1f}")

    def macro_f1(row: RankedCheckpoint) -> str:
        return "" if row.finetuned is None else f"{row.finetuned.macro_f1:.3f}"

    modes = sorted({row.finetuned.mode for row in board.rows if row.finetuned})
    if not modes:
        return ()
    return (TerminalColumn(f"fine-tuned ({', '.join(modes)})", accuracy), TerminalColumn("macro-F1", macro_f1))


def print_board(board: Leaderboard, console: Console, *, extra: tuple[TerminalColumn, ...] = ()) -> None:
    """Print a board as a table, with whatever is worth knowing above and below it."""
    dataset = board.dataset
    columns = (
        *(*COLUMNS[:SCORE], *expectations(board), *COLUMNS[SCORE:NOTE]),
        *(*other_scores(board), *outcomes(board), *extra, COLUMNS[NOTE]),
    )
    table = Table(title=None, box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column.header, justify="right" if column.align_right else "left", overflow="fold")
    for row in board.rows:
        # Text, not markup: a name may hold square brackets.
        table.add_row(*(Text(column.cell(row)) for column in columns), style="bold" if is_bold(row) else None)
    headline = (
        f"{dataset.dataset}, split {dataset.split}: {dataset.n_images} images of {len(dataset.class_names)} classes,"
        f" ranked by {board.method} (higher is better)"
    )
    console.print(Text(headline, style="bold"))
    verdict = rows_verdict(board.rows, method=board.method, name=lambda row: display_name(row.checkpoint, row.revision))
    if verdict:
        console.print(Text(verdict, style="bold"))
    for note in dataset.notes:
        console.print(Text(f"note: {note}"))
    if board.rows:
        console.print(table)
    calibrated_on = next((row.confidence.calibrated_on for row in board.rows if row.confidence), "")
    if calibrated_on:
        console.print(Text(f"chance to be best and expected accuracy, with its 90% interval: from {calibrated_on}"))
    for skipped in board.skipped:
        name = display_name(skipped.checkpoint, skipped.revision)
        console.print(Text(f"skipped at {skipped.stage}: {name}: {skipped.reason}", style="yellow"))
    if not board.is_complete:
        tried = len(board.rows) + len(board.skipped)
        console.print(Text(f"stopped after {tried} of {board.n_candidates} candidates"))

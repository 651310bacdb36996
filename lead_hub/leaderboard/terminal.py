"""Leaderboard -> what people read on a terminal: the verdict first, then a line a checkpoint, as the width allows."""

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from lead_hub.leaderboard.rows import Board, RankedCheckpoint, Skipped
from lead_hub.leaderboard.shown_text import one_line, row_name
from lead_hub.leaderboard.text_drawing import fitted, text_bar
from lead_hub.leaderboard.verdict import disagreement, headline, why_not_second
from lead_hub.leaderboard.words import (
    basis_in_short,
    chance_in_words,
    count_in_words,
    display_name,
    expected_accuracy,
    is_bold,
    notes,
    whole_interval,
)

ACCENT = "cyan"
GAP = 2
BAR = 8
SHORTEST_NAME, LONGEST_NAME = 18, 70
MOST_REASONS = 5  # of skipped checkpoints, in full


@dataclass(frozen=True)
class TerminalColumn:
    """One column of the table: its header, a row's cell, how it stands, and how wide a terminal must be to show it."""

    header: str
    cell: Callable[[RankedCheckpoint], str]
    align_right: bool = True
    shown_from: int = 0


def chance_cell(row: RankedCheckpoint, *, ascii_only: bool) -> str:
    chance = row.confidence.p_best if row.confidence else None
    return (
        "" if chance is None else f"{text_bar(chance, width=BAR, ascii_only=ascii_only)} {chance_in_words(chance):>6}"
    )


def rank_cell(row: RankedCheckpoint, *, mark: str) -> str:
    return f"{mark if is_bold(row) else ' '}{row.rank:>3}"


def other_scores(board: Board) -> tuple[TerminalColumn, ...]:
    """A column for each score that was asked for beside the one that ranks."""

    def cell(row: RankedCheckpoint, name: str) -> str:
        value = row.other_scores.get(name)
        return "undefined" if value is None else f"{value:.4g}"

    names = dict.fromkeys(name for row in board.rows for name in row.other_scores)
    return tuple(TerminalColumn(one_line(name), partial(cell, name=name)) for name in names)


def outcomes(board: Board) -> tuple[TerminalColumn, ...]:
    """Columns with what fine-tuning gave, where any checkpoint was fine-tuned."""

    def accuracy(row: RankedCheckpoint) -> str:
        if row.finetuned is None:
            return ""
        deviation = row.finetuned.accuracy_sd
        return f"{row.finetuned.accuracy:.1%}" + ("" if deviation is None else f" ± {100 * deviation:.1f}")

    def macro_f1(row: RankedCheckpoint) -> str:
        return "" if row.finetuned is None else f"{row.finetuned.macro_f1:.3f}"

    modes = sorted({one_line(row.finetuned.mode) for row in board.rows if row.finetuned})
    if not modes:
        return ()
    fine_tuned = TerminalColumn(f"fine-tuned ({', '.join(modes)})", accuracy)
    return (fine_tuned, TerminalColumn("macro-F1", macro_f1, shown_from=100))


def columns_of(
    board: Board, *, width: int, ascii_only: bool, extra: Sequence[TerminalColumn]
) -> tuple[list[TerminalColumn], int]:
    """The columns that have something to say and room to say it, the name second; and how many had no room."""
    score = TerminalColumn("score", lambda row: f"{row.score:.4f}", shown_from=110)
    chance = TerminalColumn("chance of best", partial(chance_cell, ascii_only=ascii_only), align_right=False)
    expected = TerminalColumn("expected accuracy", lambda row: expected_accuracy(row.confidence), align_right=False)
    ranks = TerminalColumn("ranks", lambda row: whole_interval(row.confidence), shown_from=110)
    is_predicted = any(chance.cell(row) or expected.cell(row) for row in board.rows)
    if not is_predicted:  # then the score is all that there is
        score, ranks = replace(score, shown_from=0), replace(ranks, shown_from=0)
    always = [
        TerminalColumn("", partial(rank_cell, mark=">" if ascii_only else "▸")),
        TerminalColumn("checkpoint", row_name, align_right=False),
    ]
    core = [*always, chance, expected, TerminalColumn("size", lambda row: count_in_words(row.parameters))]
    more = [
        *(*other_scores(board), *outcomes(board), *extra, ranks, score),
        TerminalColumn(
            "licence", lambda row: one_line(row.licence or "not named", at_most=20), align_right=False, shown_from=110
        ),
        TerminalColumn("family", lambda row: one_line(row.family, at_most=16), align_right=False, shown_from=150),
        TerminalColumn(
            "images/s", lambda row: "" if row.images_per_s is None else f"{row.images_per_s:.0f}", shown_from=150
        ),
    ]
    has_words = [each for each in (*core, *more) if any(each.cell(row).strip() for row in board.rows)]
    shown = [each for each in has_words if each.shown_from <= width]
    n_wanted = len(shown)
    while len(shown) > len(core) and room_for_names(shown, board.rows, width=width) < SHORTEST_NAME:
        shown.pop()
    return shown, n_wanted - len(shown)


def widths(columns: Sequence[TerminalColumn], rows: Sequence[RankedCheckpoint]) -> list[int]:
    return [max(cell_len(column.header), *(cell_len(column.cell(row)) for row in rows)) for column in columns]


def room_for_names(columns: Sequence[TerminalColumn], rows: Sequence[RankedCheckpoint], *, width: int) -> int:
    """What the other columns leave for the second one."""
    others = widths([*columns[:1], *columns[2:]], rows)
    return width - sum(others) - GAP * len(others)


def padded(cell: str, size: int, column: TerminalColumn) -> str:
    room = " " * (size - cell_len(cell))
    return room + cell if column.align_right else cell + room


def table(board: Board, *, width: int, ascii_only: bool, extra: Sequence[TerminalColumn]) -> list[Text]:
    """A header, and one line a checkpoint however narrow the terminal is."""
    columns, n_dropped = columns_of(board, width=width, ascii_only=ascii_only, extra=extra)
    sizes = widths(columns, board.rows)
    sizes[1] = max(8, min(sizes[1], room_for_names(columns, board.rows, width=width), LONGEST_NAME))

    def line(cells: Sequence[str]) -> str:
        stood = zip(columns, (cells[0], fitted(cells[1], sizes[1]), *cells[2:]), sizes, strict=True)
        return (" " * GAP).join(padded(cell, size, column) for column, cell, size in stood).rstrip()[:width]

    lines = [Text(line([column.header for column in columns]), style="dim")]
    for row in board.rows:
        text = Text(line([column.cell(row) for column in columns]), style="bold" if is_bold(row) else "")
        text.highlight_regex(r"[▸█▏▎▍▌▋▊▉]+", ACCENT)
        lines.append(text)
    if n_dropped:
        lines.append(
            Text(f"no room for {n_dropped} more columns: widen the window, or see all with --json", style="dim")
        )
    return lines


def verdict_block(board: Board, *, width: int, ascii_only: bool) -> list[Text]:
    """The answer: which, how sure, how accurate, and why not the second."""
    found = one_line(headline(board, name=row_name))
    if not found:
        return []
    sentences = [found[:1].upper() + found[1:] if board.is_complete else found]  # which else begins with a name
    sure = board.rows[0].confidence
    if sure is not None and sure.p_best is not None:
        accuracy = expected_accuracy(sure)
        expected = f", {accuracy} accuracy expected when fine-tuned" if accuracy else ""
        sentences.append(f"{row_name(board.rows[0])}: {chance_in_words(sure.p_best)} chance to be best{expected}")
    why = why_not_second(board.rows, name=row_name) if board.is_complete else ""
    sentences += [f"{why}."] if why else []
    edge = Text("| " if ascii_only else "▌ ", style=ACCENT)
    return [
        edge + Text(line, style="bold" if number == 0 else "")
        for number, sentence in enumerate(sentences)
        for line in textwrap.wrap(sentence, width - 2, break_on_hyphens=False)
    ]


def footnotes(board: Board, *, ascii_only: bool) -> list[Text]:
    """What it was ranked on and rests on, in a line each, then what a reader must know of single rows."""
    dataset = board.dataset
    name = one_line(display_name(dataset.dataset, None), at_most=40)
    images = f"{dataset.n_images} images of {len(dataset.class_names)} classes"
    where = f"{name}, split {one_line(dataset.split)}: {images}, ranked by {one_line(board.method)} (higher is better)"
    is_judged = any(row.confidence and row.confidence.could_be_best is not None for row in board.rows)
    key = f"{'>' if ascii_only else '▸'} could be the best. " if is_judged else ""
    basis = one_line(basis_in_short(board))
    faint = [f"{key}{where}"]
    faint += [f"Learnt from {basis}, maybe unlike yours; in full: --json"] if basis else []
    why = disagreement(board.rows, name=lambda row: str(row.rank))
    faint += [f"{why}."] if why else []
    plain = [f"note: {one_line(note)}" for note in dataset.notes] + noted_rows(board.rows)
    return [*(Text(line, style="dim") for line in faint), *map(Text, plain)]


def noted_rows(rows: Sequence[RankedCheckpoint]) -> list[str]:
    """What else is worth knowing of rows, each thing once."""
    by_note: dict[str, list[str]] = {}
    for row in rows:
        if notes(row):
            by_note.setdefault(one_line(notes(row)), []).append(str(row.rank))
    said = {note: "all" if len(ranks) == len(rows) > 1 else ", ".join(ranks) for note, ranks in by_note.items()}
    return [f"note on {whom}: {note}" for note, whom in said.items()]


def reasons(skipped: Sequence[Skipped]) -> list[Text]:
    """Why checkpoints were skipped."""
    shown = [
        f"skipped at {skip.stage}: {display_name(skip.checkpoint, skip.revision)}: {one_line(skip.reason)}"
        for skip in skipped[:MOST_REASONS]
    ]
    more = len(skipped) - len(shown)
    shown += [f"and {more} more skipped, with their reasons in --json"] if more else []
    return [Text(line, style="yellow") for line in shown]


def board_lines(
    board: Board, *, width: int, ascii_only: bool = False, extra: Sequence[TerminalColumn] = ()
) -> list[Text]:
    """Lines of which those of the table are no wider than the terminal; the others may be wrapped.

    Args:
        board: also while its run goes on.
        width: of the terminal, in cells.
        ascii_only: whether it shows no other signs.
        extra: further columns.
    """
    lines = verdict_block(board, width=width, ascii_only=ascii_only)
    if board.rows:
        shown = table(board, width=width, ascii_only=ascii_only, extra=extra)
        lines += [Text(""), *shown, Text("")]
    return [*lines, *footnotes(board, ascii_only=ascii_only)]


def news(board: Board, before: Board | None, *, width: int) -> str:
    """One line on the candidate that a run has finished with since the board before."""
    n_tried = len(board.rows) + len(board.skipped)
    head = f"{n_tried:>{len(str(board.n_candidates))}}/{board.n_candidates}"
    known = {(row.checkpoint, row.revision) for row in before.rows} if before else set()
    added = [row for row in board.rows if (row.checkpoint, row.revision) not in known]
    if added:
        row = added[0]
        found = expected_accuracy(row.confidence) or f"score {row.score:.4f}"
        name, tail = row_name(row), f"{found:<13}  {row.rank} of {len(board.rows)} so far"
    else:
        skip = board.skipped[-1]
        name, tail = display_name(skip.checkpoint, skip.revision), f"skipped at {skip.stage}"
    room = max(8, min(LONGEST_NAME, width - len(head) - len(tail) - 2 * GAP - 1))
    return f"{head}  {fitted(name, min(room, 36))}  {tail}"


def print_board(board: Board, console: Console, *, extra: tuple[TerminalColumn, ...] = ()) -> None:
    """Print a board: the verdict, a line a checkpoint, and whatever is worth knowing below."""
    lines = board_lines(board, width=console.width, ascii_only=console.options.ascii_only, extra=extra)
    lines += reasons(board.skipped)
    if not board.is_complete:
        tried = len(board.rows) + len(board.skipped)
        lines.append(Text(f"stopped after {tried} of {board.n_candidates} candidates"))
    for line in lines:
        console.print(line, highlight=False)

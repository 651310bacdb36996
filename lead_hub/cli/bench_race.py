"""`lead-hub bench --race`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lead_hub.cli.options import write_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from lead_hub.bench import RaceReport

WIDE = 120  # characters a line
SECOND = frozenset({3, 5, 6, 7})  # columns that narrower terminals do without


def bench_race(
    matrix: Path | None,
    *,
    half: str,
    repetitions: int,
    workers: int | None,
    advance: "Callable[[int, int], None]",
) -> "RaceReport":
    """Replay races on a matrix; "both" halves are the held-out and the study targets, and without one the real ones.

    Raises:
        MatrixError: the matrix cannot be read, or has no such targets.
    """
    from lead_hub.bench import MATRIX_FOLDER, REAL_MATRIX_FOLDER, ReplaySettings, joined_races, run_replay

    halves = ("held-out", "study") if half == "both" else (half,)
    tables = [(matrix or (REAL_MATRIX_FOLDER if half == "real" else MATRIX_FOLDER), halves)]
    if half == "both" and matrix is None:
        tables.append((REAL_MATRIX_FOLDER, ("real",)))
    settings = [(folder, ReplaySettings(halves=asked, n_repetitions=repetitions)) for folder, asked in tables]
    return joined_races([run_replay(folder, each, n_workers=workers, advance=advance) for folder, each in settings])


def show_races(report: "RaceReport", *, as_json: bool) -> None:
    """The table for people, JSON for programs."""
    from lead_hub.bench import race_cells, race_headers, race_legend

    if as_json or not sys.stdout.isatty():
        write_json(report.to_document())
        return
    console = Console()
    table = Table(box=None, header_style="bold", pad_edge=False)
    headers = race_headers(report)
    shown = [number for number in range(len(headers)) if console.width >= WIDE or number not in SECOND]
    for number in shown:
        table.add_column(headers[number], justify="left" if number == 0 else "right", overflow="fold")
    for figures in report.figures:
        cells = race_cells(figures)
        table.add_row(*(Text(cells[number]) for number in shown))
    console.print(table)
    if len(shown) < len(headers):
        console.print(Text(f"{len(headers) - len(shown)} more columns from {WIDE} characters a line on"))
    for sentence in race_legend(report):
        console.print(Text(sentence))

"""`lead-hub bench --speed`: how fast a run is on this machine."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lead_hub.cli.options import write_json

if TYPE_CHECKING:
    from lead_hub.bench.speed import SpeedReport


def show_speed(report: "SpeedReport", *, output: list[Path], as_json: bool) -> None:
    """The table for people, JSON for programs; saved where asked for."""
    from lead_hub.bench.speed import notes, save_speed, table

    for path in output:
        save_speed(report, path)
    if as_json or not sys.stdout.isatty():
        write_json(report.to_document())
        return
    console = Console()
    header, *lines = table(report)
    printed = Table(box=None, header_style="bold", pad_edge=False)
    for number, name in enumerate(header):
        printed.add_column(name, justify="right" if number else "left", overflow="fold")
    for line in lines:
        printed.add_row(*(Text(cell) for cell in line))
    console.print(printed)
    for note in notes(report):
        console.print(Text(note))

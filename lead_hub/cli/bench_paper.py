"""`lead-hub bench --paper`: the published comparisons, computed anew from the Hub."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lead_hub.cli.boards import Interrupts, is_main_process
from lead_hub.cli.options import INTERRUPTED, NOTHING_SCORED, write_json

if TYPE_CHECKING:
    from lead_hub.access import Access
    from lead_hub.bench.paper import PaperReport, PaperSettings


def bench_paper(
    paper_list: Path | None, settings: "PaperSettings", *, access: "Access", output: list[Path], as_json: bool
) -> None:
    """Rank the checkpoints of a list on its datasets, and show the result."""
    from lead_hub.bench import check_format
    from lead_hub.bench.paper import PAPER_LIST, read_paper_list, run_paper, save_paper

    for path in output:
        check_format(path)
    interrupts = Interrupts()
    with interrupts.noted():
        report = run_paper(read_paper_list(paper_list or PAPER_LIST), settings, replace(access, cancelled=interrupts))
    if not is_main_process():
        return
    for path in output:
        save_paper(report, path)
    show_paper(report, as_json=as_json)
    if interrupts():
        raise typer.Exit(INTERRUPTED)
    if not any(row.taus for row in report.rows):
        raise typer.Exit(NOTHING_SCORED)


def show_paper(report: "PaperReport", *, as_json: bool) -> None:
    """A table a group for people, JSON for programs."""
    from lead_hub.bench.paper import groups, notes, table

    if as_json or not sys.stdout.isatty():
        write_json(report.to_document())
        return
    console = Console()
    for group in groups(report):
        header, *lines = table(report, group)
        printed = Table(box=None, header_style="bold", pad_edge=False)
        for number, name in enumerate(header):
            printed.add_column(name, justify="right" if number else "left", overflow="fold")
        for line in lines:
            printed.add_row(*(Text(cell) for cell in line))
        console.print(Text(group, style="bold"))
        console.print(printed)
        console.print()
    for note in notes(report):
        console.print(Text(note))

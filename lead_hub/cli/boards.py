"""A run's boards on the command line: followed, interrupted, shown, turned into an exit code."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.text import Text

from lead_hub.cli.options import INTERRUPTED, NOTHING_SCORED, write_json

if TYPE_CHECKING:
    from lead_hub.demo import Comparison
    from lead_hub.leaderboard import Leaderboard


def last_board(boards: "Iterator[Leaderboard]") -> "tuple[Leaderboard, bool]":
    """The last board, and whether Ctrl-C came before the end; what was computed until then is kept."""
    board: Leaderboard | None = None
    with remembered_interrupts() as interrupts:
        try:
            for board in boards:  # noqa: B007 - the last one is wanted
                if interrupts:
                    break
        except KeyboardInterrupt:
            if board is None:
                raise
    assert board is not None  # there is a board for every candidate, and at least one candidate
    return board, bool(interrupts)


@contextmanager
def remembered_interrupts() -> Iterator[list[int]]:
    """Ctrl-C raises KeyboardInterrupt as ever, and is noted: where Python or a library drops it, the wish remains."""
    seen: list[int] = []

    def interrupt(signal_number: int, frame: object) -> None:  # noqa: ARG001 - the signature of a handler
        seen.append(signal_number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # only the main thread may handle signals
        yield seen
        return
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)


def is_main_process() -> bool:
    """Whether this process is the one that speaks, of those that `accelerate launch` started."""
    from lead_hub.processes import running_processes

    return bool(running_processes().is_main_process)


def show(board: "Leaderboard", *, as_json: bool, quiet: bool) -> None:
    """The board on standard output: a table for people, JSON for programs."""
    from lead_hub.terminal import print_board, summary

    if as_json or not sys.stdout.isatty():
        write_json(board.to_document())
    else:
        print_board(board, Console())
    if not quiet:
        Console(stderr=True, soft_wrap=True).print(Text(summary(board)))


def show_comparison(comparison: "Comparison", *, as_json: bool, quiet: bool) -> None:
    """The demo's board beside the measured accuracies."""
    from lead_hub.terminal import print_comparison, summary

    if as_json or not sys.stdout.isatty():
        write_json(comparison.to_document())
    else:
        print_comparison(comparison, Console())
    if not quiet:
        Console(stderr=True, soft_wrap=True).print(Text(summary(comparison.board)))


def leave(board: "Leaderboard", *, interrupted: bool) -> None:
    """Exit with the code that the board deserves."""
    if interrupted:
        raise typer.Exit(INTERRUPTED)
    if not board.rows:
        raise typer.Exit(NOTHING_SCORED)

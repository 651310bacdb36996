"""A run's boards on the command line: followed, interrupted, shown, turned into an exit code."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.text import Text

from lead_hub.cli.options import INTERRUPTED, NOTHING_SCORED, write_json
from lead_hub.errors import LeadHubError

if TYPE_CHECKING:
    from lead_hub.demo import DemoComparison
    from lead_hub.leaderboard import Leaderboard


class Interrupts:
    """Ctrl-C on the command line: asks the run to stop with the board so far; the second one stops it at once.

    An exception raised wherever the program happens to be can leave a library's lock held for ever, so a run that
    looks out for it is asked to stop rather than struck down. Until the run first looks, Ctrl-C raises as ever.
    """

    def __init__(self) -> None:
        self._count = 0
        self._is_asked = False

    def __call__(self) -> bool:
        """Whether there was one: what `recommend(cancelled=)` asks."""
        self._is_asked = True
        return self._count > 0

    def note(self, signal_number: int, frame: object) -> None:  # noqa: ARG002 - the signature of a handler
        self._count += 1
        if self._count > 1 or not self._is_asked:
            raise KeyboardInterrupt
        with suppress(OSError):  # print() may be what was interrupted, and does not bear being called within itself
            os.write(2, b"\nStopping as soon as this batch of images allows; Ctrl-C again stops at once.\n")
        # In a thread: its lock may be held by what was interrupted.
        threading.Thread(target=_break_off_downloads, name="lead-hub-break-off", daemon=True).start()

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Handle Ctrl-C so within the block."""
        if threading.current_thread() is not threading.main_thread():  # only the main thread may handle signals
            yield
            return
        before = signal.signal(signal.SIGINT, self.note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def _break_off_downloads() -> None:
    from lead_hub.hub import break_off_xet

    break_off_xet()


def last_board(
    boards: "Iterator[Leaderboard]",
    interrupts: Interrupts,
    *,
    keep: "Callable[[Leaderboard], None]",
    quiet: bool = True,
) -> "Leaderboard":
    """The last board, or after Ctrl-C the board so far: nothing that was computed is lost.

    Args:
        boards: of a run that was given `interrupts` as its `cancelled`.
        interrupts: of this run.
        keep: saves and shows the board so far where an error ends the run after the first ranked checkpoint; the
            error goes on its way afterwards.
        quiet: whether rows are not told of as they come.

    Raises:
        Exit: interrupted while the dataset was read, so that there is no board.
    """
    board: Leaderboard | None = None
    is_over = False
    with interrupts.noted():
        try:
            for following in boards:
                if not quiet:
                    tell(following, board)
                board = following
            is_over = True
        except KeyboardInterrupt:
            is_over = True
            if board is None:
                raise
        finally:
            if not is_over and board is not None and board.rows and is_main_process():
                keep(board)
    if board is None:  # there is one for every candidate, and at least one candidate, unless it was interrupted before
        raise typer.Exit(INTERRUPTED)
    return board


def tell(board: "Leaderboard", before: "Leaderboard | None") -> None:
    """A line on standard error about the candidate that is done with, above the bar if there is one."""
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]  # public, exported lazily

    from lead_hub.leaderboard import news

    if is_main_process() and n_tried(board) > (n_tried(before) if before else 0):
        tqdm.write(news(board, before, width=Console(stderr=True).width), file=sys.stderr)


def n_tried(board: "Leaderboard") -> int:
    return len(board.rows) + len(board.skipped)


def save_all(board: "Leaderboard", paths: "Sequence[Path]") -> list[LeadHubError]:
    """Save a board under every name; what went wrong, after all have been tried."""
    return [error for path in paths if (error := not_saved(board, path))]


def not_saved(board: "Leaderboard", path: Path) -> LeadHubError | None:
    """Save a board; why that could not be."""
    try:
        board.save(path)
    except LeadHubError as error:
        return error
    return None


def is_main_process() -> bool:
    """Whether this process is the one that speaks, of those that `accelerate launch` started."""
    from lead_hub.processes import running_processes

    return bool(running_processes().is_main_process)


def show(board: "Leaderboard", *, as_json: bool, quiet: bool) -> None:
    """The board on standard output: a table for people, JSON for programs."""
    from lead_hub.leaderboard import print_board, summary

    if as_json or not sys.stdout.isatty():
        write_json(board.to_document())
    else:
        print_board(board, Console())
    if not quiet:
        Console(stderr=True, soft_wrap=True).print(Text(summary(board)))


def show_comparison(comparison: "DemoComparison", *, as_json: bool, quiet: bool) -> None:
    """The demo's board beside the measured accuracies."""
    from lead_hub.leaderboard import summary

    if as_json or not sys.stdout.isatty():
        write_json(comparison.to_document())
    else:
        print_comparison(comparison, Console())
    if not quiet:
        Console(stderr=True, soft_wrap=True).print(Text(summary(comparison.board)))


def print_comparison(comparison: "DemoComparison", console: Console) -> None:
    """The demo's board with the measured accuracies, and how well the two agree."""
    from lead_hub.leaderboard import TerminalColumn, print_board

    accuracy = comparison.accuracy
    column = TerminalColumn("fine-tuned", lambda row: f"{accuracy[row.checkpoint]:.1f}%")
    print_board(comparison.board, console, extra=(column,))
    console.print(
        Text(
            f"weighted Kendall tau {comparison.weighted_kendall_tau:.3f} (1 is the true order, 0 is chance); regret@1"
            f" {comparison.regret_at_1:.1f} accuracy points (0: the first is truly the best)"
        )
    )


def leave(board: "Leaderboard", *, interrupted: bool) -> None:
    """Exit with the code that the board deserves."""
    if interrupted:
        raise typer.Exit(INTERRUPTED)
    if not board.rows:
        raise typer.Exit(NOTHING_SCORED)

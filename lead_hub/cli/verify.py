"""`lead-hub verify`."""

import dataclasses
import sys
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.console import Console
from rich.text import Text

from lead_hub.cli.boards import is_main_process, save_all
from lead_hub.cli.options import NOTHING_SCORED, JsonFlag, QuietFlag, TokenOption, exit_codes, write_json
from lead_hub.errors import LeadHubError

if TYPE_CHECKING:
    from lead_hub.leaderboard import Leaderboard

Number = TypeVar("Number", int, float)


class Mode(str, Enum):
    """What of a checkpoint learns."""

    full = "full"
    lora = "lora"
    probe = "probe"


def verify(
    board: Annotated[Path, typer.Argument(help="Leaderboard, saved as .json or .parquet.")],
    top: Annotated[int, typer.Option(help="How many checkpoints, from the first on.")] = 3,
    mode: Annotated[Mode, typer.Option(help="Train all weights, low-rank adapters, or a linear head.")] = Mode.full,
    learning_rates: Annotated[str | None, typer.Option(help='Separated by commas, e.g. "1e-3,1e-4".')] = None,
    epochs: Annotated[int | None, typer.Option(help="Most passes over the images.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Separated by commas.  [default: 0,1,2]")] = None,
    budget: Annotated[str | None, typer.Option(help='Time for all of it, e.g. "30m" or "2h".')] = None,
    test_split: Annotated[
        str | None, typer.Option(help='Split that measures; by default "test" if there is one.')
    ] = None,
    flip: Annotated[bool, typer.Option("--flip/--no-flip", help="Mirror training images; not for letters.")] = True,
    cache_dir: Annotated[Path | None, typer.Option(help="Keeps downloads and finished trainings.")] = None,
    token: TokenOption = None,
    allow_pickle: Annotated[bool, typer.Option("--allow-pickle", help="Accept pickled weights, weights only.")] = False,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "--output", "-o", help="Save as .json, .csv, .html or .parquet; by default in the board's own file."
        ),
    ] = None,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Fine-tune the first checkpoints of a leaderboard, and put the outcome beside the prediction."""
    with exit_codes(quiet=quiet):
        from lead_hub.leaderboard import check_ending
        from lead_hub.verification import Verification

        places = output or [board]
        for path in places:
            check_ending(path)
        verification = Verification(
            board,
            top,
            mode=mode.value,
            learning_rates=numbers(learning_rates, float, option="--learning-rates"),
            epochs=epochs,
            seeds=numbers(seeds, int, option="--seeds"),
            budget=budget,
            test_split=test_split,
            flip=flip,
            cache_dir=cache_dir,
            token=token,
            allow_pickle=allow_pickle,
            progress=not quiet,
        )
        show_board = partial(show, mode=mode.value, as_json=json, quiet=quiet)
        verified, unsaved = last_verified(verification, places, show_board=show_board)
        if not is_main_process():
            return
        show_board(verified)
        if unsaved:
            raise unsaved[0]
        if not any(row.finetuned and row.finetuned.mode == mode.value for row in verified.rows):
            raise typer.Exit(NOTHING_SCORED)


def last_verified(
    boards: "Iterable[Leaderboard]", places: Sequence[Path], *, show_board: "Callable[[Leaderboard], None]"
) -> "tuple[Leaderboard, list[LeadHubError]]":
    """The last board, saved after each checkpoint, and what went wrong when it was saved last.

    Args:
        boards: of a verification.
        places: where each is saved.
        show_board: shows the board so far where an error ends the work; the error goes on its way afterwards.
    """
    verified: Leaderboard | None = None
    unsaved: list[LeadHubError] = []
    is_over = False
    try:
        for verified in boards:
            unsaved = save_all(verified, places) if is_main_process() else []
        is_over = True
    finally:
        if not is_over and verified is not None and is_main_process():
            show_board(verified)
    assert verified is not None  # there is one after every checkpoint, or the one that was given
    return verified, unsaved


def numbers(text: str | None, kind: Callable[[str], Number], *, option: str) -> list[Number] | None:
    """Read numbers between commas."""
    try:
        return None if text is None else [kind(part) for part in text.split(",")]
    except ValueError as error:
        raise LeadHubError(f"{option} must be numbers separated by commas, found {text!r}") from error


def show(board: "Leaderboard", *, mode: str, as_json: bool, quiet: bool) -> None:
    """The board on standard output, and how well prediction and outcome agree."""
    from lead_hub.leaderboard import print_board
    from lead_hub.verification import FAILED, agreement

    found = agreement(board, mode=mode)
    if as_json or not sys.stdout.isatty():
        write_json({"leaderboard": board.to_document(), "agreement": dataclasses.asdict(found) if found else None})
    else:
        console = Console()
        print_board(board, console)
        if found:
            console.print(Text(found.in_words))
    failed = [row for row in board.rows if FAILED in row.note]
    if not quiet:
        for row in failed:
            Console(stderr=True, soft_wrap=True).print(Text(f"{row.checkpoint}: {row.note}", style="yellow"))

"""`lead-hub demo`."""

from functools import partial
from typing import Annotated

import typer

from lead_hub.cli.boards import Interrupts, is_main_process, last_board, leave, show, show_comparison
from lead_hub.cli.options import JsonFlag, QuietFlag, exit_codes


def demo(
    target: Annotated[str, typer.Option(help="Which embedded dataset to rank on; `--target list` names them.")] = "",
    method: Annotated[str, typer.Option("--score", help="Name of the score.")] = "lead",
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Rank the embedded checkpoints, offline, next to what fine-tuning them really gave."""
    with exit_codes(quiet=quiet):
        from lead_hub.demo import TARGETS, compare, pool, target_folder
        from lead_hub.recommendation import Recommendation

        if target == "list":
            typer.echo("\n".join(TARGETS))
            return
        target = target or TARGETS[0]
        interrupts = Interrupts()
        # In full precision wherever it runs: so that everybody gets the figures that its README shows.
        boards = Recommendation(
            target_folder(target), pool(target), method, dtype="float32", progress=not quiet, cancelled=interrupts
        )
        keep = partial(show, as_json=json, quiet=quiet)
        board = last_board(iter(boards), interrupts, keep=keep, quiet=quiet)
        if not is_main_process():
            return
        if interrupts() or not board.rows:
            show(board, as_json=json, quiet=quiet)
        else:
            show_comparison(compare(board, target), as_json=json, quiet=quiet)
        leave(board, interrupted=interrupts())

"""`lead-hub calibrate`."""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import typer

from lead_hub.cli.options import JsonFlag, QuietFlag, TokenOption, exit_codes, write_json


def calibrate(
    cards: Annotated[
        list[str] | None, typer.Option("--cards", help="Repository of score cards, user/name; can be given again.")
    ] = None,
    keep_all: Annotated[
        bool, typer.Option("--keep-all", help="Also use repositories that contradict all the others.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing, say what would be learnt.")] = False,
    reset: Annotated[bool, typer.Option("--reset", help="Go back to what the package ships; outcomes stay.")] = False,
    cache_dir: Annotated[Path | None, typer.Option(help="The same as of recommend and verify.")] = None,
    token: TokenOption = None,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Learn which accuracy to expect from what fine-tuning gave, here and on score cards of others."""
    with exit_codes(quiet=quiet):
        from lead_hub.verification import calibrate as fit_again
        from lead_hub.verification import forget_calibration

        if reset:
            there = forget_calibration(cache_dir=cache_dir)
            typer.echo("back to the package's own" if there else "the package's own was in use already")
            return
        found = fit_again(cards or (), keep_all=keep_all, dry_run=dry_run, cache_dir=cache_dir, token=token)
        if json or not sys.stdout.isatty():
            document = {**dataclasses.asdict(found), "path": found.path and str(found.path)}
            write_json({**document, "in_words": found.in_words()})
        else:
            typer.echo(found.in_words())

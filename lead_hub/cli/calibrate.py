"""`lead-hub calibrate`."""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import typer

from lead_hub.cli.options import JsonFlag, QuietFlag, TokenOption, exit_codes, write_json
from lead_hub.errors import LeadHubError


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
            if cards or keep_all or token is not None:
                raise LeadHubError(
                    "--reset forgets what was learnt, and learns nothing: leave out --cards, --keep-all and --token"
                )
            there = forget_calibration(cache_dir=cache_dir, dry_run=dry_run)
            show_reset(there, dry_run=dry_run, as_json=json)
            return
        found = fit_again(cards or (), keep_all=keep_all, dry_run=dry_run, cache_dir=cache_dir, token=token)
        if json or not sys.stdout.isatty():
            document = {**dataclasses.asdict(found), "path": found.path and str(found.path)}
            write_json({**document, "in_words": found.in_words()})
        else:
            typer.echo(found.in_words())


def show_reset(was_there: bool, *, dry_run: bool, as_json: bool) -> None:  # noqa: FBT001 - what there is to show
    """Say whether there was another calibration than the package's own."""
    words = "the package's own was in use already"
    if was_there:
        words = "would go back to the package's own" if dry_run else "back to the package's own"
    if as_json or not sys.stdout.isatty():
        write_json({"was_there": was_there, "in_words": words})
    else:
        typer.echo(words)

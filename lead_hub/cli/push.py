"""`lead-hub push`."""

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from lead_hub.cli.options import JsonFlag, QuietFlag, TokenOption, exit_codes, write_json
from lead_hub.errors import LeadHubError

if TYPE_CHECKING:
    from lead_hub.score_cards import Push


def push(
    board: Annotated[Path, typer.Argument(help="Leaderboard, saved as .json or .parquet.")],
    to: Annotated[str, typer.Option(help="Dataset repository, user/name; created if it is missing.")],
    private: Annotated[
        bool | None,
        typer.Option(
            "--private/--public",
            help="Who sees a new repository; by default as the ranked dataset. --public also shows private rows.",
        ),
    ] = None,
    create_pr: Annotated[bool, typer.Option("--create-pr", help="Open a pull request instead.")] = False,
    message: Annotated[str | None, typer.Option("--message", "-m", help="Title of the commit.")] = None,
    collection: Annotated[bool, typer.Option("--collection", help="Also keep a collection of the best.")] = False,
    pr_to_models: Annotated[
        bool, typer.Option("--pr-to-models", help="Also open pull requests to your own ranked models.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing, show what would be.")] = False,
    token: TokenOption = None,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Push a leaderboard's scores to the Hub as score cards; what is there already is kept."""
    with exit_codes(quiet=quiet):
        from lead_hub.leaderboard import Leaderboard

        pushed = Leaderboard.load(board).push_to_hub(
            to,
            private=private,
            create_pr=create_pr,
            commit_message=message,
            collection=collection,
            pr_to_models=pr_to_models,
            dry_run=dry_run,
            token=token,
        )
        if json or not sys.stdout.isatty():
            write_json(dataclasses.asdict(pushed))
        else:
            show_push(pushed, dry_run=dry_run)
        if not quiet:
            Console(stderr=True, soft_wrap=True).print(Text(summary(pushed, dry_run=dry_run)))
        if pushed.failed:
            failed = "; ".join(pushed.failed)
            raise LeadHubError(f"the cards are in {pushed.repo_id}, but not all else was done: {failed}")


def show_push(pushed: "Push", *, dry_run: bool) -> None:
    """Addresses of what was written; in a dry run the files with their sizes, and the README."""
    if dry_run:
        for file in pushed.files:
            typer.echo(f"{file.size_bytes:>10,}  {file.path}")
        typer.echo(f"\n{pushed.readme}" if pushed.readme else "")
        return
    for url in (pushed.commit_url, pushed.pr_url, pushed.collection_url, *pushed.model_prs):
        if url:
            typer.echo(url)


def summary(pushed: "Push", *, dry_run: bool) -> str:
    """Say in one line what a push did."""
    size_bytes = sum(file.size_bytes for file in pushed.files)
    what = f"{len(pushed.files)} files, {size_bytes:,} bytes"
    left_out = ""
    if pushed.n_left_out:
        left_out = (
            f"; left out {pushed.n_left_out} checkpoints that not everybody may read, because all can see"
            f" {pushed.repo_id}: push to a private repository, or allow it with --public"
        )
    refused = f"; {pushed.n_models_refused} models are not yours to write to" if pushed.n_models_refused else ""
    if pushed.changed:
        done = f"{'would write' if dry_run else 'wrote'} {what} to {pushed.repo_id}"
    elif pushed.pr_url:
        done = "already asked for"
    else:
        done = f"{pushed.repo_id} holds all of it already: nothing to write"
    return f"{done}{refused}{left_out}"

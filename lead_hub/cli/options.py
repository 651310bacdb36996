"""What every command shares: flags, exit codes, JSON on standard output."""

import json as json_format
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from lead_hub.errors import LeadHubError

BAD_INPUT = 2
NOTHING_SCORED = 3
INTERRUPTED = 130

JsonFlag = Annotated[bool, typer.Option("--json", help="JSON on standard output, also on a terminal.")]
QuietFlag = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no hints.")]
TokenOption = Annotated[str | None, typer.Option(help="Hub token; by default the Hub's own login.")]


@contextmanager
def exit_codes() -> Iterator[None]:
    """Errors in plain words on standard error, and the exit code that they stand for."""
    try:
        yield
    except LeadHubError as error:
        Console(stderr=True, soft_wrap=True).print(Text(f"error: {error}", style="red"))
        raise typer.Exit(BAD_INPUT) from error
    except KeyboardInterrupt as error:
        raise typer.Exit(INTERRUPTED) from error


def write_json(document: Mapping[str, Any]) -> None:
    typer.echo(json_format.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))

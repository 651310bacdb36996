"""What every command shares: flags, exit codes, JSON on standard output."""

import codecs
import io
import json as json_format
import logging
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from lead_hub.errors import LeadHubError, redacted

BAD_INPUT = 2
NOTHING_SCORED = 3
INTERRUPTED = 130

JsonFlag = Annotated[bool, typer.Option("--json", help="JSON on standard output, also on a terminal.")]
QuietFlag = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress, hints or warnings: nothing but errors on standard error.")
]
TokenOption = Annotated[str | None, typer.Option(help="Hub token; by default the Hub's own login.")]


@contextmanager
def exit_codes(*, quiet: bool = False) -> Iterator[None]:
    """Errors and warnings in plain words on standard error, and the exit code that an error stands for.

    Args:
        quiet: whether to say nothing but errors, nor let a library say anything.
    """
    try:
        with plain_warnings(quiet=quiet):
            yield
    except LeadHubError as error:
        Console(stderr=True, soft_wrap=True).print(Text(without_escapes(f"error: {error}"), style="red"))
        raise typer.Exit(BAD_INPUT) from error
    except KeyboardInterrupt as error:
        raise typer.Exit(INTERRUPTED) from error


def without_escapes(text: str) -> str:
    """The text without what a terminal obeys, which others may have written; its lines stay."""
    return "".join(sign if sign.isprintable() or sign in "\n\t" else " " for sign in text)


@contextmanager
def plain_warnings(*, quiet: bool) -> Iterator[None]:
    """Within the block, warnings are sentences without the place in the code that they come from; or none are said."""
    before, level = warnings.showwarning, logging.root.manager.disable

    def said(message: Warning | str, category: type[Warning], *place: Any, **how: Any) -> None:
        if issubclass(category, UserWarning):
            text = without_escapes(f"warning: {redacted(str(message))}")
            Console(stderr=True, soft_wrap=True).print(Text(text, style="yellow"))
        else:
            before(message, category, *place, **how)

    if not quiet:
        warnings.showwarning = said
        try:
            yield
        finally:
            warnings.showwarning = before
        return
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    has_bars = not are_progress_bars_disabled()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        disable_progress_bars()
        try:
            yield
        finally:
            logging.disable(level)
            if has_bars:
                enable_progress_bars()


def write_json(document: Mapping[str, Any]) -> None:
    """JSON on standard output: other than ASCII is spelt out unless that is UTF-8, which is what programs expect."""
    from lead_hub.hub import in_utf_8

    text = json_format.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    if not is_utf_8(sys.stdout.encoding) or in_utf_8(text) != text:
        text = json_format.dumps(document, indent=2, allow_nan=False)
    typer.echo(text)


def is_utf_8(encoding: str | None) -> bool:
    """Whether an encoding of text is UTF-8, by whatever name; a stream without one is taken for it."""
    return encoding is None or codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")


def spell_out_foreign_signs() -> None:
    """Where standard output cannot show a sign, it is spelt out: a finished run is shown, whatever it is shown on."""
    if isinstance(sys.stdout, io.TextIOWrapper) and not is_utf_8(sys.stdout.encoding):
        sys.stdout.reconfigure(errors="backslashreplace")

"""`lead-hub space`."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from lead_hub.cli.options import QuietFlag, exit_codes
from lead_hub.errors import LeadHubError

LAST_PORT = 65_535


def space(
    port: Annotated[int | None, typer.Option(help="Port of the page; by default the first free one from 7860.")] = None,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open it in the browser.")] = False,
    export: Annotated[
        Path | None, typer.Option(help="Open nothing: write a Space's repository to this folder, for `hf upload`.")
    ] = None,
    quiet: QuietFlag = False,
) -> None:
    """Open the page on this machine: pick a dataset, watch the ranks fill in, push the cards."""
    with exit_codes(quiet=quiet):
        if find_spec("gradio") is None:
            raise LeadHubError("the page needs gradio, found none: pip install 'lead-hub[space]'")
        if export is not None:
            from spaces_app.exported_space import export as export_space

            typer.echo(export_space(export))
            return
        if port is not None and not 1 <= port <= LAST_PORT:
            raise LeadHubError(f"--port must be from 1 to {LAST_PORT}, found {port}")
        if not quiet:
            typer.echo("Starting the page, which takes some seconds; Ctrl-C stops it.", err=True)
        from spaces_app.app import main

        main(port=port, open_browser=open_browser, quiet=quiet)

"""The command line: `lead-hub`, also installed as `hf-lead`.

Exit codes: 0 done, 1 an error that nobody has foreseen, 2 bad usage, dataset or Hub, 3 no candidate could be scored,
130 interrupted.
Everything that needs torch is imported inside the commands: `--version` and `--help` answer at once.
"""

import sys
from typing import Annotated

import typer

from lead_hub.cli.bench import bench
from lead_hub.cli.calibrate import calibrate
from lead_hub.cli.crawl import crawl
from lead_hub.cli.demo import demo
from lead_hub.cli.options import spell_out_foreign_signs
from lead_hub.cli.push import push
from lead_hub.cli.recommend import recommend
from lead_hub.cli.score import score
from lead_hub.cli.scores import scores
from lead_hub.cli.space import space
from lead_hub.cli.verify import verify

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # the token is one of them
    help="Which pretrained vision checkpoint to fine-tune on your dataset, ranked without fine-tuning any.",
)


def show_version(wanted: bool) -> None:  # noqa: FBT001 - Typer calls it with the flag's value
    if wanted:
        from lead_hub import __version__

        typer.echo(f"lead-hub {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of every command."""


app.command()(recommend)
app.command()(score)
app.command()(scores)
app.command()(demo)
app.command()(push)
app.command()(crawl)
app.command()(bench)
app.command()(verify)
app.command()(calibrate)
app.command()(space)


def main() -> None:
    """Run the command line."""
    spell_out_foreign_signs()
    app(obj=sys.argv[1:])  # for a command that starts further processes of itself

"""The command line: `lead-hub`, also installed as `hf-lead`.

Exit codes: 0 ranked, 2 bad usage or dataset, 3 no candidate could be scored, 130 interrupted.
"""

import json as json_format
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.text import Text

from lead_hub.errors import LeadHubError

# Everything that needs torch is imported inside the commands: `--version` and `--help` answer at once.
if TYPE_CHECKING:
    from lead_hub.demo import Comparison
    from lead_hub.leaderboard import Leaderboard

BAD_INPUT = 2
NOTHING_SCORED = 3
INTERRUPTED = 130

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Which pretrained vision checkpoint to fine-tune on your dataset, ranked without fine-tuning any.",
)


class Dtype(str, Enum):
    """Number formats of the forward pass."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


JsonFlag = Annotated[bool, typer.Option("--json", help="JSON on standard output, also on a terminal.")]
QuietFlag = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no hints.")]


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


@app.command()
def recommend(
    dataset: Annotated[str, typer.Argument(help="Hub id, image folder, parquet, or save_to_disk folder.")],
    candidates: Annotated[
        list[str] | None,
        typer.Option(
            "--candidates", "-c", help="Hub id[@revision], checkpoint folder, text file or model index; repeat."
        ),
    ] = None,
    score: Annotated[str, typer.Option(help="Name of the score.")] = "lead",
    config: Annotated[str | None, typer.Option(help="Configuration of the dataset.")] = None,
    split: Annotated[str, typer.Option(help="The one split that is read.")] = "train",
    image_column: Annotated[str | None, typer.Option(help="Column of the images.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column of the classes.")] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of the dataset.")] = None,
    max_images: Annotated[int, typer.Option(help="Largest size of the stratified sample.")] = 2000,
    seed: Annotated[int, typer.Option(help="Seed of the sample and the score.")] = 0,
    batch_size: Annotated[str, typer.Option(help='Images a forward pass, or "auto".')] = "auto",
    device: Annotated[str, typer.Option(help='"auto", "cpu", "cuda:0", ...')] = "auto",
    dtype: Annotated[Dtype, typer.Option(help="Number format of the forward pass.")] = Dtype.auto,
    cache_dir: Annotated[Path | None, typer.Option(help="Keeps downloads and outputs.")] = None,
    token: Annotated[str | None, typer.Option(help="Hub token; by default the Hub's own login.")] = None,
    allow_pickle: Annotated[bool, typer.Option("--allow-pickle", help="Accept pickled weights, weights only.")] = False,
    output: Annotated[
        list[Path] | None, typer.Option("--output", "-o", help="Save as .json, .csv or .parquet; repeat for several.")
    ] = None,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Rank checkpoints on a labelled image dataset."""
    with exit_codes():
        import lead_hub

        boards = lead_hub.recommend(
            dataset,
            candidates,
            score,
            stream=True,
            config=config,
            split=split,
            image_column=image_column,
            label_column=label_column,
            revision=revision,
            max_images=max_images,
            seed=seed,
            batch_size=parse_batch_size(batch_size),
            device=device,
            dtype=dtype.value,
            cache_dir=cache_dir,
            token=token,
            progress=not quiet,
            allow_pickle=allow_pickle,
        )
        board, interrupted = last_board(boards)
        if not is_main_process():
            return
        for path in output or []:
            board.save(path)
        show(board, as_json=json, quiet=quiet)
        leave(board, interrupted=interrupted)


@app.command()
def score(
    features: Annotated[Path, typer.Argument(help='.npz with "features" [image, number] and "labels" [image].')],
    method: Annotated[str, typer.Option(help="Name of the score.")] = "lead",
    seed: Annotated[int, typer.Option(help="For scores that draw random numbers.")] = 0,
    json: JsonFlag = False,
) -> None:
    """Score features that you extracted yourself; source logits may be in the file as "logits"."""
    with exit_codes():
        from lead_hub.feature_file import read_feature_file
        from lead_hub.transferability import transferability

        arrays = read_feature_file(features)
        result = transferability(arrays.features, arrays.labels, method, logits=arrays.logits, seed=seed)
        document = {"method": method, "score": result.value, **result.companions, "n_images": len(arrays.labels)}
        if json or not sys.stdout.isatty():
            write_json(document)
        else:
            for name, value in document.items():
                typer.echo(f"{name:14} {value}")


@app.command()
def demo(
    target: Annotated[str, typer.Option(help="Which embedded dataset to rank on; `--target list` names them.")] = "",
    method: Annotated[str, typer.Option("--score", help="Name of the score.")] = "lead",
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Rank the embedded checkpoints, offline, next to what fine-tuning them really gave."""
    with exit_codes():
        from lead_hub import recommend as recommend_checkpoints
        from lead_hub.demo import TARGETS, compare, pool, target_folder

        if target == "list":
            typer.echo("\n".join(TARGETS))
            return
        target = target or TARGETS[0]
        boards = recommend_checkpoints(target_folder(target), pool(), method, stream=True, progress=not quiet)
        board, interrupted = last_board(boards)
        if not is_main_process():
            return
        if interrupted or not board.rows:
            show(board, as_json=json, quiet=quiet)
        else:
            show_comparison(compare(board, target), as_json=json, quiet=quiet)
        leave(board, interrupted=interrupted)


def parse_batch_size(text: str) -> int | Literal["auto"]:
    """An int or "auto"."""
    if text == "auto":
        return "auto"
    if not text.isdecimal():
        raise LeadHubError(f'--batch-size must be "auto" or a whole number from 1, found {text!r}')
    return int(text)


def last_board(boards: "Iterator[Leaderboard]") -> "tuple[Leaderboard, bool]":
    """The last board, and whether Ctrl-C came before the end; what was computed until then is kept."""
    board: Leaderboard | None = None
    with remembered_interrupts() as interrupts:
        try:
            for board in boards:  # noqa: B007 - the last one is wanted
                if interrupts:
                    break
        except KeyboardInterrupt:
            if board is None:
                raise
    assert board is not None  # there is a board for every candidate, and at least one candidate
    return board, bool(interrupts)


@contextmanager
def remembered_interrupts() -> Iterator[list[int]]:
    """Ctrl-C raises KeyboardInterrupt as ever, and is noted: where Python or a library drops it, the wish remains."""
    seen: list[int] = []

    def interrupt(signal_number: int, frame: object) -> None:  # noqa: ARG001 - the signature of a handler
        seen.append(signal_number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # only the main thread may handle signals
        yield seen
        return
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)


def is_main_process() -> bool:
    """Whether this process is the one that speaks, of those that `accelerate launch` started."""
    from lead_hub.processes import running_processes

    return bool(running_processes().is_main_process)


def show(board: "Leaderboard", *, as_json: bool, quiet: bool) -> None:
    """The board on standard output: a table for people, JSON for programs."""
    from lead_hub.terminal import print_board, summary

    if as_json or not sys.stdout.isatty():
        write_json(board.to_document())
    else:
        print_board(board, Console())
    if not quiet:
        Console(stderr=True, soft_wrap=True).print(Text(summary(board)))


def show_comparison(comparison: "Comparison", *, as_json: bool, quiet: bool) -> None:
    """The demo's board beside the measured accuracies."""
    from lead_hub.terminal import print_comparison, summary

    if as_json or not sys.stdout.isatty():
        write_json(comparison.to_document())
    else:
        print_comparison(comparison, Console())
    if not quiet:
        Console(stderr=True, soft_wrap=True).print(Text(summary(comparison.board)))


def write_json(document: Mapping[str, Any]) -> None:
    typer.echo(json_format.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def leave(board: "Leaderboard", *, interrupted: bool) -> None:
    """Exit with the code that the board deserves."""
    if interrupted:
        raise typer.Exit(INTERRUPTED)
    if not board.rows:
        raise typer.Exit(NOTHING_SCORED)


def main() -> None:
    """Entry point."""
    app()

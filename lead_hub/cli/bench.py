"""`lead-hub bench`."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from lead_hub.cli.options import JsonFlag, QuietFlag, TokenOption, exit_codes, write_json
from lead_hub.errors import LeadHubError

if TYPE_CHECKING:
    from lead_hub.bench import BenchReport


class Half(str, Enum):
    """Which targets; "both" stands for held-out and all of a matrix (in a race study, not all) and for the real one."""

    both = "both"
    held_out = "held-out"
    study = "study"
    confirmation = "confirmation"
    real = "real"
    all = "all"


def bench(
    matrix: Annotated[Path | None, typer.Option(help="Folder of another ground-truth matrix.")] = None,
    half: Annotated[
        Half, typer.Option(help='Targets to compare on; "both": tables of held-out, of all, and of real networks.')
    ] = (Half.both),
    score: Annotated[
        list[str] | None,
        typer.Option(help="Name of a score to compare with lead; repeat. Default: all, with --paper lead."),
    ] = None,
    few_images: Annotated[int, typer.Option(help="Size of the small samples of train images.")] = 100,
    few_samples: Annotated[int, typer.Option(help="How many small samples; 0 leaves the column out.")] = 1,
    resamples: Annotated[int, typer.Option(help="Resamples of the paired bootstrap.")] = 2000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap and of the random orders.")] = 0,
    workers: Annotated[int | None, typer.Option(help="Processes. Default: one a core.")] = None,
    cache_dir: Annotated[Path | None, typer.Option(help="Keeps computed scores.")] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Compute every score anew.")] = False,
    output: Annotated[
        list[Path] | None,
        typer.Option("--output", "-o", help="Save as .md, .csv or .json, --speed as .json or .svg; repeat."),
    ] = None,
    race: Annotated[
        bool, typer.Option("--race", help="Instead: what a race between the checkpoints spares and costs.")
    ] = False,
    repetitions: Annotated[int, typer.Option(help="With --race: seeded samples of the images of a target.")] = 10,
    paper: Annotated[
        bool, typer.Option("--paper", help="Instead: the published checkpoints and datasets, from the Hub.")
    ] = False,
    paper_list: Annotated[Path | None, typer.Option(help="Another list of checkpoints and datasets.")] = None,
    max_images: Annotated[int, typer.Option(help="With --paper: images of each dataset.")] = 2000,
    max_disk: Annotated[str | None, typer.Option(help='With --paper: most disk for weights, e.g. "20GB".')] = None,
    speed: Annotated[
        bool, typer.Option("--speed", help="Instead: how fast a run is here, beside its floor and a user's loop.")
    ] = False,
    images: Annotated[int, typer.Option(help="With --speed: JPEG files of each size.")] = 128,
    image_size: Annotated[
        list[str] | None, typer.Option(help="With --speed: width x height; repeat. Default: 500x375 and 4000x3000.")
    ] = None,
    network: Annotated[
        list[str] | None, typer.Option(help="With --speed: a network of random weights; repeat. Default: four.")
    ] = None,
    token: TokenOption = None,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Compare every score with what fine-tuning really gave."""
    with exit_codes(quiet=quiet):
        if paper or paper_list:
            from lead_hub.access import access_of
            from lead_hub.bench.paper import PaperSettings
            from lead_hub.cli.bench_paper import bench_paper

            paper_settings = PaperSettings(
                methods=tuple(score or ("lead",)),
                max_images=max_images,
                seed=seed,
                max_disk=max_disk,
            )
            access = access_of(cache_dir=cache_dir, token=token, progress=not quiet)
            bench_paper(paper_list, paper_settings, access=access, output=output or [], as_json=json)
            return
        if race:
            from lead_hub.cli.bench_race import bench_race, show_races

            if output:
                raise LeadHubError("--race saves nothing: leave out --output, and keep what --json prints")
            with progress_bar("targets", quiet=quiet) as advance:
                races = bench_race(matrix, half=half.value, repetitions=repetitions, workers=workers, advance=advance)
            show_races(races, as_json=json)
            return
        if speed:
            from lead_hub.bench.speed import SpeedSettings, check_speed_file, run_speed
            from lead_hub.cli.bench_speed import show_speed

            for path in output or []:
                check_speed_file(path)
            usual = SpeedSettings()
            speed_settings = SpeedSettings(
                networks=tuple(network or usual.networks), n_images=images, sizes=tuple(image_size or usual.sizes)
            )
            with progress_bar("parts", quiet=quiet) as advance:
                measured = run_speed(speed_settings, advance=advance)
            show_speed(measured, output=output or [], as_json=json)
            return
        from lead_hub.bench import BenchSettings, check_format, default_cache_folder, joined, run_bench, save

        for path in output or []:
            check_format(path)
        tables = asked_tables(matrix, half)
        settings = BenchSettings(
            halves=tables[0][1],
            methods=tuple(score) if score else None,
            n_few_images=few_images,
            n_few_samples=few_samples,
            n_resamples=resamples,
            seed=seed,
        )
        reports = []
        for folder, halves in tables:
            with progress_bar("scores", quiet=quiet) as advance:
                run = partial(run_bench, folder, replace(settings, halves=halves), advance=advance, n_workers=workers)
                reports.append(run(cache_folder=None if no_cache else cache_dir or default_cache_folder()))
        report = joined(reports)
        for path in output or []:
            save(report, path)
        show_report(report, as_json=json)


def asked_tables(matrix: Path | None, half: Half) -> list[tuple[Path, tuple[str, ...]]]:
    """Matrices, and the sets of targets of each: of the clone's own two where none is named."""
    from lead_hub.bench import MATRIX_FOLDER, REAL_MATRIX_FOLDER

    if half is not Half.both:
        own = REAL_MATRIX_FOLDER if half is Half.real else MATRIX_FOLDER
        return [(matrix or own, (half.value,))]
    if matrix is not None:
        return [(matrix, ("held-out", "all"))]
    return [(MATRIX_FOLDER, ("held-out", "all")), (REAL_MATRIX_FOLDER, ("real",))]


@contextmanager
def progress_bar(what: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal's standard error while the block runs; what it gives is told how many of how many."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def show_report(report: "BenchReport", *, as_json: bool) -> None:
    """The tables for people, JSON for programs."""
    from lead_hub.bench import columns, headline, legend, notes

    if as_json or not sys.stdout.isatty():
        write_json(report.to_document())
        return
    console = Console()
    for comparison in report.comparisons:
        shown = columns(comparison, report.settings)
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in shown:
            table.add_column(column.header, justify="right" if column.align_right else "left", overflow="fold")
        for row in comparison.rows:
            table.add_row(*(Text(column.cell(row)) for column in shown), style=None if row.kind == "score" else "dim")
        console.print(Text(headline(comparison), style="bold"))
        console.print(table)
        for note in notes(comparison):
            console.print(Text(note))
        console.print()
    for sentence in legend(report):
        console.print(Text(sentence))
    console.print(Text(f"{report.duration_s:.0f} s"))

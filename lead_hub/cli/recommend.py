"""`lead-hub recommend`."""

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.text import Text

from lead_hub.cli.boards import Interrupts, is_main_process, last_board, leave, save_all, show
from lead_hub.cli.estimates import say_price, say_race, show_estimate, show_estimate_of_jobs
from lead_hub.cli.options import JsonFlag, QuietFlag, TokenOption, exit_codes
from lead_hub.errors import LeadHubError

if TYPE_CHECKING:
    from lead_hub.candidates import IndexQuery
    from lead_hub.leaderboard import Leaderboard
    from lead_hub.recommendation import JobsRequest, Recommendation

AUTO, FULL_RUN = "auto", "none"


class Dtype(str, Enum):
    """Number formats of the forward pass."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


class Preset(str, Enum):
    """Needs that the model index has an answer for, see `IndexQuery.preset`."""

    small = "small"
    fast = "fast"
    best = "best"
    self_supervised = "self-supervised"
    permissive = "permissive"
    all = "all"


def recommend(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(help="Hub id, image folder, parquet, or save_to_disk folder.")],
    candidates: Annotated[
        list[str] | None,
        typer.Option(
            "--candidates", "-c", help="Hub id[@revision], checkpoint folder, text file or model index; repeat."
        ),
    ] = None,
    preset: Annotated[
        Preset | None, typer.Option(help="Of the model index: what fits a need; the options below narrow it.")
    ] = None,
    max_params: Annotated[str | None, typer.Option(help='Of the model index: most parameters, e.g. "50M".')] = None,
    licence: Annotated[
        list[str] | None,
        typer.Option(help='Of the model index: "permissive", or an identifier such as apache-2.0; repeat.'),
    ] = None,
    family: Annotated[
        list[str] | None, typer.Option(help="Of the model index: e.g. resnet, vit, dinov2; repeat.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Of the model index: the first so many.")] = None,
    score: Annotated[
        list[str] | None, typer.Option(help="Name of the score; repeat for more, the first one ranks.  [default: lead]")
    ] = None,
    config: Annotated[str | None, typer.Option(help="Configuration of the dataset.")] = None,
    split: Annotated[str, typer.Option(help="The one split that is read.")] = "train",
    image_column: Annotated[str | None, typer.Option(help="Column of the images.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column of the classes.")] = None,
    group_column: Annotated[
        str | None, typer.Option(help="Column that is the same for images of one thing: they are left out together.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of the dataset.")] = None,
    max_images: Annotated[int, typer.Option(help="Largest size of the stratified sample.")] = 2000,
    seed: Annotated[int, typer.Option(help="Seed of the sample and the score.")] = 0,
    batch_size: Annotated[str, typer.Option(help='Images a forward pass, or "auto".')] = "auto",
    device: Annotated[str, typer.Option(help='"auto", "cpu", "cuda:0", ...')] = "auto",
    dtype: Annotated[Dtype, typer.Option(help="Number format of the forward pass.")] = Dtype.auto,
    cache_dir: Annotated[Path | None, typer.Option(help="Keeps downloads and outputs.")] = None,
    token: TokenOption = None,
    allow_pickle: Annotated[bool, typer.Option("--allow-pickle", help="Accept pickled weights, weights only.")] = False,
    max_disk: Annotated[
        str | None, typer.Option(help='Most disk for weights that this run downloads, e.g. "20GB".')
    ] = None,
    budget: Annotated[
        str,
        typer.Option(
            help='What the run may cost, e.g. "10min", "5GB" of downloads, "20%" of the passes: a race. "none": the'
            ' full run; "auto": that, or a race within 15min where it takes longer.'
        ),
    ] = AUTO,
    reuse_cards: Annotated[
        str | None, typer.Option(help="Dataset repository whose score cards may stand in for computing.")
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(help="Processes that share the run on this machine.  [default: one a visible GPU]"),
    ] = None,
    on_jobs: Annotated[
        str | None, typer.Option(help="Run as Jobs on the Hub, on hardware of this flavour, e.g. l4x1; it costs money.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="Among how many Jobs the candidates are shared.")] = 1,
    jobs_to: Annotated[
        str | None,
        typer.Option(help="Dataset repository that the Jobs write score cards to.  [default: your lead-scores]"),
    ] = None,
    output: Annotated[
        list[Path] | None,
        typer.Option("--output", "-o", help="Save as .json, .parquet, .csv or .html; repeat for several."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only estimate: checkpoints, images, downloads, minutes.")
    ] = False,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Rank checkpoints on a labelled image dataset."""
    with (
        exit_codes(quiet=quiet),
        several_processes(context.obj, processes, device=device, runs_here=not dry_run and on_jobs is None),
    ):
        from lead_hub.leaderboard import check_ending
        from lead_hub.recommendation import JobsRequest, Recommendation

        source = candidate_source(
            candidates, preset=preset, max_params=max_params, licence=licence, family=family, limit=limit
        )
        if not quiet and not isinstance(source, list) and is_main_process():
            say_left_out(source)
        for path in output or []:
            check_ending(path)
        if on_jobs is None and (jobs != 1 or jobs_to is not None):
            raise LeadHubError(
                "--jobs and --jobs-to are about a run on the Hub: name its hardware with --on-jobs, e.g. l4x1"
            )
        if on_jobs is not None and processes is not None:
            raise LeadHubError(
                "--processes are of a run on this machine, and --on-jobs runs elsewhere: give one of them"
            )
        jobs_request = JobsRequest(on_jobs, jobs, jobs_to) if on_jobs is not None else None
        interrupts = Interrupts()
        boards = Recommendation(
            dataset,
            source,
            score or "lead",
            config=config,
            split=split,
            image_column=image_column,
            label_column=label_column,
            group_column=group_column,
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
            max_disk=max_disk,
            budget=None if budget == FULL_RUN else budget,
            reuse_cards=reuse_cards,
            cancelled=interrupts,
            on_race=None if quiet else say_race,
        )
        if dry_run:
            dry_run_of(boards, processes=processes, on_jobs=jobs_request, as_json=json, quiet=quiet)
            return
        unsaved: list[LeadHubError] = []

        def keep(board: "Leaderboard") -> None:
            """Save and show; what was computed is shown also where it could not be saved."""
            unsaved.extend(save_all(board, output or []))
            show(board, as_json=json, quiet=quiet)

        if jobs_request is not None:
            board = board_of_jobs(boards, jobs_request, quiet=quiet)
        else:
            board = last_board(iter(boards), interrupts, keep=keep, quiet=quiet)
        if not is_main_process():
            return
        keep(board)
        if unsaved:
            raise unsaved[0]
        leave(board, interrupted=interrupts())


def dry_run_of(
    run: "Recommendation", *, processes: int | None, on_jobs: "JobsRequest | None", as_json: bool, quiet: bool
) -> None:
    """Estimate a run, here or on Jobs, of which none races.

    Args:
        run: to be estimated.
        processes: how many the user asked for, if so.
        on_jobs: how many on which hardware; None where it runs here.
        as_json: whether programs read it.
        quiet: whether to say nothing beside the estimate.

    Raises:
        LeadHubError: Jobs cannot do it.
    """
    from lead_hub.processes import n_to_start, n_visible_gpus

    if on_jobs is not None:
        show_estimate_of_jobs(run, on_jobs, as_json=as_json, quiet=quiet)
        return
    n_gpus = n_visible_gpus()
    n_processes = n_to_start(processes, device=run.device, n_gpus=n_gpus, environment=os.environ)
    n_used = min(n_gpus, n_processes) if run.device == "auto" else 0
    show_estimate(run, n_gpus=n_used, as_json=as_json, n_processes=n_processes)


def several_processes(
    arguments: list[str] | None, asked: int | None, *, device: str, runs_here: bool
) -> AbstractContextManager[None]:
    """What the run happens in: where asked for, and on a machine with several GPUs, several processes of the command.

    Args:
        arguments: of the command line; None where the command was called by a program.
        asked: how many processes the user asked for, if so.
        device: as the user named it.
        runs_here: whether anything is run on this machine.
    """
    if arguments is None or not runs_here:
        return nullcontext()
    from lead_hub.processes import n_to_start, n_visible_gpus, with_others

    n_gpus = n_visible_gpus()
    n_processes = n_to_start(asked, device=device, n_gpus=n_gpus, environment=os.environ)
    if n_processes == 1:
        return nullcontext()
    command = [sys.executable, "-m", "lead_hub", *arguments]
    return with_others(n_processes, command, on_cpu=device == "cpu" or not n_gpus)


def board_of_jobs(run: "Recommendation", request: "JobsRequest", *, quiet: bool) -> "Leaderboard":
    """The board of a run as Jobs on the Hub, followed on standard error."""
    from lead_hub.candidates import read_candidates
    from lead_hub.recommendation import price_per_hour, run_on_jobs

    console = Console(stderr=True, soft_wrap=True)
    candidates = read_candidates(run.candidates, api=run.access.api)
    if not quiet:
        say_price(price_per_hour(request.flavor, run.access), request, n_candidates=len(candidates))

    def tell(words: str) -> None:
        if not quiet:
            console.print(Text(words))

    return run_on_jobs(run, candidates, request, tell=tell)


def candidate_source(
    candidates: list[str] | None,
    *,
    preset: Preset | None,
    max_params: str | None,
    licence: list[str] | None,
    family: list[str] | None,
    limit: int | None,
) -> "list[str] | IndexQuery | None":
    """What is named with --candidates, else what the other options leave of the default model index."""
    from lead_hub.candidates import IndexQuery, parse_count

    bounds = {"--max-params": max_params, "--licence": licence, "--family": family, "--limit": limit}
    given = [name for name, value in {"--preset": preset, **bounds}.items() if value is not None and value != []]
    if not given:
        return candidates
    if candidates:
        raise LeadHubError(
            f"{', '.join(given)} choose from the model index, and --candidates names the candidates: give one or the"
            " other"
        )
    narrower = {
        "max_parameters": None if max_params is None else parse_count(max_params),
        "licences": tuple(licence) if licence else None,
        "families": tuple(family) if family else None,
        "limit": limit,
    }
    query = IndexQuery() if preset is None else IndexQuery.preset(preset.value)
    return replace(query, **{name: value for name, value in narrower.items() if value is not None})  # type: ignore[arg-type]


def say_left_out(source: "IndexQuery | None") -> None:
    """Say on standard error how many of the model index's checkpoints are left out, for which reasons."""
    from lead_hub.candidates import default_choice, query_index, said_of_index

    if told := said_of_index(query_index(source or default_choice())):
        Console(stderr=True, soft_wrap=True).print(Text(told))


def parse_batch_size(text: str) -> int | Literal["auto"]:
    """Read a batch size: a whole number, or "auto"."""
    if text == "auto":
        return "auto"
    if not text.isdecimal():
        raise LeadHubError(f'--batch-size must be "auto" or a whole number from 1, found {text!r}')
    return int(text)

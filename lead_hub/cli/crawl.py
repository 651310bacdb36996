"""`lead-hub crawl`."""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lead_hub.cli.options import NOTHING_SCORED, JsonFlag, QuietFlag, TokenOption, exit_codes, write_json
from lead_hub.errors import LeadHubError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

    from lead_hub.candidates import CandidateQuery, FoundCandidates, LeftOut, ModelIndex

SHOW_PROGRESS_AFTER_S = 2.0
WITH_REFRESH = ("output", "refresh", "dry_run", "token", "json", "quiet")  # the others are about a search


class Sort(str, Enum):
    """What the Hub's listings are sorted by."""

    downloads = "downloads"
    likes = "likes"
    last_modified = "last_modified"


def crawl(
    context: typer.Context,
    limit: Annotated[int, typer.Option(help="Most candidates to keep.")] = 100,
    max_params: Annotated[str | None, typer.Option(help='Most parameters, e.g. "100M".')] = None,
    min_downloads: Annotated[int, typer.Option(help="Fewest downloads of the last 30 days.")] = 0,
    licence: Annotated[
        list[str] | None, typer.Option(help='"permissive", or an identifier such as apache-2.0; repeat.')
    ] = None,
    library: Annotated[list[str] | None, typer.Option(help="transformers or timm; repeat. Default: both.")] = None,
    pipeline_tag: Annotated[
        list[str] | None, typer.Option(help="Repeat. Default: image-classification, image-feature-extraction.")
    ] = None,
    author: Annotated[list[str] | None, typer.Option(help="User or organisation; repeat.")] = None,
    search: Annotated[str | None, typer.Option(help="Text that an id must contain.")] = None,
    family: Annotated[list[str] | None, typer.Option(help="E.g. resnet, vit, dinov2; repeat.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help='Pattern of ids, e.g. "someone/*"; repeat.')] = None,
    sort: Annotated[Sort, typer.Option(help="What comes first.")] = Sort.downloads,
    copies: Annotated[bool, typer.Option("--copies", help="Keep all fine-tuned copies of one base.")] = False,
    allow_pickle: Annotated[bool, typer.Option("--allow-pickle", help="Keep what only has pickled weights.")] = False,
    dataset: Annotated[str | None, typer.Option(help="Tell which candidates were trained on this dataset.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write. Default: the index that recommend reads.")
    ] = None,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Search nothing: pin the index's checkpoints to their newest commits.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing.")] = False,
    token: TokenOption = None,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Find candidate checkpoints on the Hub and keep them, pinned, in a model index."""
    with exit_codes(quiet=quiet):
        from lead_hub.access import Access
        from lead_hub.candidates import CandidateQuery, parse_count

        api = Access(token=token).api
        if refresh:
            refuse_search_options(context)
            refresh_file(output, api=api, dry_run=dry_run, as_json=json, quiet=quiet)
            return
        defaults = CandidateQuery()
        query = CandidateQuery(
            pipeline_tags=tuple(pipeline_tag or defaults.pipeline_tags),
            libraries=tuple(library or defaults.libraries),
            max_parameters=parse_count(max_params) if max_params else None,
            min_downloads=min_downloads,
            licences=tuple(licence) if licence else None,
            authors=tuple(author or ()),
            search=search,
            families=tuple(family or ()),
            exclude=tuple(exclude or ()),
            limit=limit,
            sort=sort.value,
            allow_pickle=allow_pickle,
            copies=copies,
        )
        found, written = crawl_to_file(query, output, api=api, dataset=dataset, dry_run=dry_run, quiet=quiet)
        show_found(found, written, dataset=dataset, as_json=json)
        hint(written, output, quiet=quiet)
        if not found.candidates:
            raise typer.Exit(NOTHING_SCORED)


def refuse_search_options(context: typer.Context) -> None:
    """Refuse what would choose other checkpoints, where those of an index are pinned again.

    Raises:
        LeadHubError: an option of a search is given.
    """
    given = [name for name in context.params if getattr(context.get_parameter_source(name), "name", "") != "DEFAULT"]
    if chosen := [f"--{name.replace('_', '-')}" for name in given if name not in WITH_REFRESH]:
        raise LeadHubError(
            f"--refresh searches nothing, and pins all checkpoints of the index again: leave out {', '.join(chosen)}"
        )


def crawl_to_file(
    query: "CandidateQuery", output: Path | None, *, api: "HfApi", dataset: str | None, dry_run: bool, quiet: bool
) -> "tuple[FoundCandidates, Path | None]":
    """Crawl, and write what was found unless that is nothing; the path that was written."""
    from datetime import datetime, timezone

    from lead_hub.candidates import PRIVATE, ModelIndex, find_candidates, user_model_index, write_model_index
    from lead_hub.hub import hub_address

    progress_file = user_model_index().with_name("progress.json")
    advance = None if quiet else progress("listings")
    found = find_candidates(query, api=api, dataset=dataset, progress_file=progress_file, advance=advance)
    written = None
    if found.candidates and not dry_run:
        written = output or user_model_index()
        today = datetime.now(timezone.utc).date().isoformat()
        # An index may be published: it does not name what only this user may see.
        named = tuple(each for each in found.left_out if each.reason != PRIVATE)
        index = ModelIndex(found.candidates, named, hub_address(), today, query.to_json())
        write_model_index(written, index)
    with suppress(OSError):  # a folder that cannot be written, of which a warning has told
        progress_file.unlink(missing_ok=True)
    return found, written


def refresh_file(output: Path | None, *, api: "HfApi", dry_run: bool, as_json: bool, quiet: bool) -> None:
    """Pin an index: the output where it is there already, else the one that `recommend` reads."""
    from lead_hub.candidates import (
        default_model_index,
        read_model_index,
        refresh_index,
        user_model_index,
        write_model_index,
    )

    source = output if output and output.is_file() else default_model_index()
    written = None if dry_run else output or user_model_index()

    def save(index: "ModelIndex") -> None:
        if written:
            write_model_index(written, index)

    advance = None if quiet else progress("checkpoints")
    index, unpinned = refresh_index(read_model_index(source), api=api, save=save, advance=advance)
    show_refreshed(index, unpinned, written, as_json=as_json)
    hint(written, output, quiet=quiet)


def progress(what: str) -> Callable[[int, int], None]:
    """Tells on standard error how far the work is, once it has taken more than two seconds."""
    start = time.monotonic()
    console = Console(stderr=True, soft_wrap=True)

    def advance(done: int, total: int) -> None:
        if time.monotonic() - start > SHOW_PROGRESS_AFTER_S:
            console.print(Text(f"{done} of {total} {what}"))

    return advance


def show_found(found: "FoundCandidates", written: Path | None, *, dataset: str | None, as_json: bool) -> None:
    """How many were listed, kept, and left out for which reason: a table for people, JSON for programs."""
    if as_json or not sys.stdout.isatty():
        document = {
            "n_listed": found.n_listed,
            "n_kept": len(found.candidates),
            "n_left_out": found.n_left_out,
            "candidates": [{"id": entry.id, "sha": entry.sha} for entry in found.candidates],
            "output": str(written) if written else None,
        }
        if dataset:
            document["trained_on_dataset"] = list(found.trained_on_dataset)
        write_json(document)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("models", justify="right")
    table.add_column("")
    table.add_row(str(found.n_listed), "listed")
    table.add_row(str(len(found.candidates)), "kept", style="bold")
    for reason, count in found.n_left_out.items():
        table.add_row(str(count), f"left out: {reason}")
    console = Console()
    console.print(table)
    for trained in found.trained_on_dataset:
        console.print(Text(f"trained on {dataset}: {trained}", style="yellow"))


def show_refreshed(
    index: "ModelIndex", unpinned: "tuple[LeftOut, ...]", written: Path | None, *, as_json: bool
) -> None:
    """How many checkpoints are pinned now, and which could not be."""
    n_pinned = sum(entry.sha is not None for entry in index.entries)
    if as_json or not sys.stdout.isatty():
        write_json(
            {
                "n_pinned": n_pinned,
                "unpinned": [{"id": each.id, "reason": each.reason, "detail": each.detail} for each in unpinned],
                "output": str(written) if written else None,
            }
        )
        return
    console = Console()
    console.print(Text(f"{n_pinned} of {len(index.entries)} checkpoints are pinned to a commit"))
    for each in unpinned:
        console.print(Text(f"not pinned: {each.id}: {each.reason}, {each.detail}", style="yellow"))


def hint(written: Path | None, output: Path | None, *, quiet: bool) -> None:
    """Say on standard error where the index is and what reads it."""
    if quiet or written is None:
        return
    use = "`lead-hub recommend` reads it from now on" if output is None else "give it to recommend with --candidates"
    Console(stderr=True, soft_wrap=True).print(Text(f"wrote {written}: {use}"))

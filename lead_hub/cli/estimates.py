"""`lead-hub recommend --dry-run`: what a run would take."""

import dataclasses
import sys
from typing import TYPE_CHECKING

import typer

from lead_hub.cli.options import write_json
from lead_hub.errors import DatasetError

if TYPE_CHECKING:
    from lead_hub.access import Access
    from lead_hub.candidates import CandidateSource
    from lead_hub.labelled_images import DatasetQuery
    from lead_hub.recommendation import RunEstimate


def show_estimate(
    query: "DatasetQuery",
    source: "list[str] | CandidateSource | None",
    *,
    access: "Access",
    device: str,
    budget: str | None,
    as_json: bool,
) -> None:
    """Estimate a run without downloading weights or images: sentences for people, JSON for programs.

    Raises:
        DatasetError: there is no such dataset or split, or it has no images.
        CandidateError: the source of candidates cannot be read, or names none.
        HubError: the Hub refused or could not be reached.
        LeadHubError: no such budget.
    """
    from lead_hub.candidates import read_candidates
    from lead_hub.recommendation import estimate_run

    n_images = images_of_split(query, access)
    candidates = read_candidates(source, api=access.api)
    estimate = estimate_run(candidates, n_images=n_images, device=device, budget=budget, access=access)
    if as_json or not sys.stdout.isatty():
        write_json(dataclasses.asdict(estimate))
    else:
        typer.echo(in_words(estimate))


def images_of_split(query: "DatasetQuery", access: "Access") -> int:
    """How many images a run would use, at most: all of the split if there are fewer than it samples."""
    from lead_hub.labelled_images import describe_dataset

    found = describe_dataset(
        query.dataset,
        config=query.config,
        revision=query.revision,
        token=access.token,
        cache_dir=access.cache_dir,
    )
    n_rows = {split.name: split.n_rows for split in found.splits}
    if query.split not in n_rows and (found.configs or len(n_rows) > 1):  # any name will do for a file or saved rows
        raise DatasetError(
            f"split must be one of {query.dataset}'s ({', '.join(n_rows)}), found {query.split!r}; name the one that"
            " you will train on"
        )
    return min(query.max_images, n_rows.get(query.split, next(iter(n_rows.values()))) or query.max_images)


def in_words(estimate: "RunEstimate") -> str:
    """The estimate as a person reads it."""
    size = f"about {estimate.download_bytes / 1e9:.1f} GB of weights to download"
    unknown = f", and {estimate.n_unknown_size} of unknown size" if estimate.n_unknown_size else ""
    here = f"; those of {estimate.n_weights_here} are here" if estimate.n_weights_here else ""
    lines = [
        f"{estimate.n_checkpoints} checkpoints on {estimate.n_images} images",
        f"{size}{unknown}{here} (the images come on top)",
    ]
    if estimate.duration_s is None or estimate.full_duration_s is None:
        return "\n".join([*lines, "how long it takes cannot be told: no checkpoint's size is known"])
    time = f"roughly {minutes(estimate.duration_s)} of computing here, by a factor of 2 or 3 more or less"
    raced = (
        f"; the full run {minutes(estimate.full_duration_s)}" if estimate.duration_s != estimate.full_duration_s else ""
    )
    return "\n".join([*lines, time + raced])


def minutes(seconds: float) -> str:
    return f"{max(1, round(seconds / 60))} min"

"""`lead-hub recommend --dry-run`: what a run would take."""

import dataclasses
import sys
from functools import partial
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.text import Text

from lead_hub.cli.options import write_json
from lead_hub.errors import DatasetError

if TYPE_CHECKING:
    from lead_hub.access import Access
    from lead_hub.labelled_images import DatasetQuery
    from lead_hub.recommendation import JobsRequest, Recommendation, RunEstimate

NO_SIZE_KNOWN = "how long it takes cannot be told: no checkpoint's size is known"
# By `python -m tests.benchmarks.estimate_accuracy --runs 20 --images 96`.
MEASURED_PRECISION = (
    "(full runs of two networks on 2 idle CPU cores took 0.8 to 1.2 times as long as this said; on a busy machine 0.3"
    " to 1.6 times was seen)"
)


def show_estimate_of_jobs(run: "Recommendation", request: "JobsRequest", *, as_json: bool, quiet: bool) -> None:
    """Say what a run on Jobs takes, and what an hour of them costs.

    No duration is told: how fast their hardware is, nobody has measured here, and none of the weights here are there.

    Args:
        run: to be estimated.
        request: how many on which hardware.
        as_json: whether programs read it.
        quiet: whether to say nothing beside the estimate.

    Raises:
        LeadHubError: Jobs cannot do it, or there is no such dataset or split, or no candidate.
    """
    from lead_hub.candidates import read_candidates
    from lead_hub.recommendation import estimate_jobs, price_per_hour, refuse_what_stays_here

    candidates = read_candidates(run.candidates, api=run.access.api)
    refuse_what_stays_here(run, candidates)
    told = f"how long Jobs on {request.flavor} take cannot be told: hardware is measured where it is, not here"
    price = price_per_hour(request.flavor, run.access)
    estimate = estimate_jobs(candidates, n_images=images_of_split(run.query, run.access), usd_per_hour=price)
    say_estimate(estimate, as_json=as_json, without_time=told)
    if not quiet:
        say_price(price, request, n_candidates=len(candidates))


def say_price(price: float | None, request: "JobsRequest", *, n_candidates: int) -> None:
    """Say on standard error what an hour of a Job, in USD, and of all of them costs, if the Hub tells."""
    told = "the Hub tells no price"
    if price is not None:
        told = f"an hour of a Job on {request.flavor} costs {price:.2f} USD"
        n_jobs = min(request.n_jobs, n_candidates)
        told += f", of {n_jobs} at once {n_jobs * price:.2f} USD" if n_jobs > 1 else ""
    Console(stderr=True, soft_wrap=True).print(Text(told))


def show_estimate(run: "Recommendation", *, n_gpus: int, as_json: bool, n_processes: int = 1) -> None:
    """Estimate a run without downloading weights or images: sentences for people, JSON for programs.

    Args:
        run: to be estimated; its `on_race` is told as by the run itself.
        n_gpus: that share it.
        as_json: whether programs read it.
        n_processes: that share it, each on a GPU or all on the processor.

    Raises:
        DatasetError: there is no such dataset or split, or it has no images.
        CandidateError: the source of candidates cannot be read, or names none.
        HubError: the Hub refused or could not be reached.
    """
    from lead_hub.candidates import read_candidates
    from lead_hub.recommendation import (
        AUTO,
        auto_budget,
        can_race,
        entrants,
        estimate_run,
        measured_speed,
        speed_of_gpus,
        with_known_sizes,
        with_known_standings,
    )

    access = run.access
    n_images = images_of_split(run.query, access)
    everyone = candidates = read_candidates(run.candidates, api=access.api)
    if run.race_budget is not None and run.race_budget.download_bytes is not None:
        candidates = with_known_standings(candidates, access, dataset=run.query.dataset)
        everyone, _ = with_known_sizes(candidates, access)
        candidates, _ = entrants(everyone, run.race_budget, access)
    budget = run.budget if run.budget != AUTO or can_race(run.methods, reuse_cards=run.reuse_cards) else None
    if budget == AUTO and n_processes > 1:  # which the run decides by the speed of one of them
        get_speed = partial(measured_speed, run.device)
        budget = auto_budget(candidates, n_images=n_images, get_speed=get_speed, n_processes=n_processes)
    speed = speed_of_gpus(n_gpus) if n_gpus > 1 else None
    estimate = estimate_run(candidates, n_images=n_images, device=run.device, speed=speed, budget=budget, access=access)
    if len(candidates) < len(everyone):
        full = estimate_run(everyone, n_images=n_images, device=run.device, speed=speed)
        estimate = dataclasses.replace(estimate, full_duration_s=full.duration_s)
    if run.budget == AUTO and estimate.budget and estimate.full_duration_s and run.on_race:
        run.on_race(estimate.full_duration_s)
    say_estimate(estimate, as_json=as_json)


def say_estimate(estimate: "RunEstimate", *, as_json: bool, without_time: str = NO_SIZE_KNOWN) -> None:
    """Print it; what is said instead of a duration where it holds none."""
    if as_json or not sys.stdout.isatty():
        write_json(dataclasses.asdict(estimate))
    else:
        typer.echo(in_words(estimate, without_time=without_time))


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


def in_words(estimate: "RunEstimate", *, without_time: str = NO_SIZE_KNOWN) -> str:
    """The estimate as a person reads it; what is said instead of a duration where it holds none."""
    from lead_hub.leaderboard import duration_in_words

    size = f"about {estimate.download_bytes / 1e9:.1f} GB of weights to download"
    unknown = f", and {estimate.n_unknown_size} of unknown size" if estimate.n_unknown_size else ""
    here = f"; those of {estimate.n_weights_here} are here" if estimate.n_weights_here else ""
    lines = [
        f"{estimate.n_checkpoints} checkpoints on {estimate.n_images} images",
        f"{size}{unknown}{here} (the images come on top)",
    ]
    if estimate.duration_s is None or estimate.full_duration_s is None:
        return "\n".join([*lines, without_time])
    time = f"roughly {duration_in_words(estimate.duration_s)} of computing here"
    raced = (
        f"; the full run {duration_in_words(estimate.full_duration_s)}"
        if estimate.duration_s != estimate.full_duration_s
        else ""
    )
    return "\n".join([*lines, time + raced, *([] if estimate.budget else [MEASURED_PRECISION])])


def say_race(full_s: float) -> None:
    """Say on standard error that a run without a budget of its own is a race, and how to have the full run instead.

    Args:
        full_s: about how many seconds that would take.
    """
    from lead_hub.leaderboard import duration_in_words

    full = f"the full run would take about {duration_in_words(full_s)}"
    told = f"{full}: this is a race within 15min; for the full run, add --budget none"
    Console(stderr=True, soft_wrap=True).print(Text(told))

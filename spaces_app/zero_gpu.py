"""On ZeroGPU a run borrows a GPU for as long as it is estimated to take; anywhere else it simply runs.

ZeroGPU carries the decorated function out in a process of its own, so that what goes in and comes out is pickled, and
an event that this process sets is not seen there: a cancelled run is left, and its GPU goes back when its time is over.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol

from lead_hub.candidates import read_candidates
from lead_hub.errors import LeadHubError
from lead_hub.recommendation import AUTO, estimate_run, parse_race_budget
from spaces_app.request import FULL_RUN, RunRequest
from spaces_app.runs import Images, RunState, followed_run
from spaces_app.visitors import Deployment, Visitor

GPU = "cuda"
SHORTEST_S, LONGEST_S = 120, 300  # reading images and downloading weights, which no estimate holds, needs the first
SPARE = 2.0  # an estimate may be off by that factor
# So long before the loan ends a run is ended here, with the board so far: ZeroGPU would only end its process.
ENDING_S = 30
LONGEST_RACE_S = LONGEST_S - 2 * ENDING_S  # which ends by itself, though the images be read first


def within_loan(request: RunRequest) -> RunRequest:
    """The same question; a longer race, or by default a run that may be longer, is a race within the longest loan."""
    budget = parse_race_budget(None if request.budget in (AUTO, FULL_RUN) else request.budget)
    is_long_race = budget is not None and (budget.duration_s or 0.0) > LONGEST_RACE_S
    may_become_race = (
        request.estimated_budget == AUTO and seconds_to_lend(replace(request, budget=FULL_RUN)) == LONGEST_S
    )
    return replace(request, budget=f"{LONGEST_RACE_S}s") if is_long_race or may_become_race else request


def as_carried_out(request: RunRequest) -> RunRequest:
    """The question that this machine would carry out: `within_loan` where it has to borrow its GPU."""
    return within_loan(request) if has_zero_gpu() else request


def computing_device() -> str:
    """What `estimate_run` takes for the device of a run here: a GPU that is to be lent is not here yet."""
    return GPU if has_zero_gpu() else "auto"


def seconds_to_lend(request: RunRequest) -> int:
    """How long to borrow the GPU for a question."""
    try:
        candidates = read_candidates(request.candidates(paths_allowed=False)) if request.source != "hub" else []
        estimate = estimate_run(candidates, n_images=request.max_images, device=GPU, budget=request.estimated_budget)
    except LeadHubError:
        return SHORTEST_S
    return seconds_to_borrow(estimate.duration_s)


def seconds_to_borrow(estimated_s: float | None) -> int:
    """Twice what a run is estimated to take and the time to end it in, within what ZeroGPU lends.

    The longest where there is no estimate.
    """
    return int(min(LONGEST_S, max(SHORTEST_S, SPARE * (estimated_s or LONGEST_S) + ENDING_S)))


def gpu_seconds(
    _request: RunRequest, _visitor: Visitor, _deployment: Deployment, _images: Images | None, loan_s: int
) -> int:
    """What ZeroGPU asks before it lends: takes what `on_borrowed_gpu` takes."""
    return loan_s


def on_borrowed_gpu(
    request: RunRequest, visitor: Visitor, deployment: Deployment, images: Images | None, loan_s: int
) -> Iterator[RunState]:
    """`followed_run` that ends with the board so far shortly before the loan does."""
    is_over = threading.Event()
    clock = threading.Timer(max(0.0, loan_s - ENDING_S), is_over.set)
    clock.start()
    try:
        for state in followed_run(request, visitor, deployment=deployment, cancelled=is_over, images=images):
            yield replace(state, loan_s=loan_s) if state.outcome == "cancelled" else state
    finally:
        clock.cancel()


def has_zero_gpu() -> bool:
    """Whether this is a Space with ZeroGPU."""
    return find_spec("spaces") is not None and bool(import_module("spaces.config").Config.zero_gpu)


class Follow(Protocol):
    """What carries a run out: `followed_run`, or the same on a borrowed GPU."""

    def __call__(
        self,
        request: RunRequest,
        visitor: Visitor,
        *,
        deployment: Deployment,
        cancelled: threading.Event,
        images: Images | None = None,
    ) -> Iterator[RunState]: ...


def follow_here() -> Follow:
    """How runs are carried out on this machine; ask once at start-up, for ZeroGPU wants to know its functions then."""
    if not has_zero_gpu():
        return followed_run
    lent()
    return on_lent_gpu


def on_lent_gpu(
    request: RunRequest,
    visitor: Visitor,
    *,
    deployment: Deployment,
    cancelled: threading.Event,
    images: Images | None = None,
) -> Iterator[RunState]:
    """`followed_run` in the process that ZeroGPU lends."""
    state, question = RunState("running"), within_loan(request)
    for state in lent()(question, visitor, deployment, images, seconds_to_lend(question)):
        if cancelled.is_set():
            yield replace(state, outcome="cancelled")
            return
        yield state


def lent() -> Callable[[RunRequest, Visitor, Deployment, Images | None, int], Iterator[RunState]]:
    """The decorated function; ZeroGPU's decorator gives the same one every time."""
    decorate = import_module("spaces").GPU
    decorated: Callable[[RunRequest, Visitor, Deployment, Images | None, int], Iterator[RunState]]
    decorated = decorate(duration=gpu_seconds)(on_borrowed_gpu)
    return decorated

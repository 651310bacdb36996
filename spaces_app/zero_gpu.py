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
from lead_hub.recommendation import estimate_run
from spaces_app.request import RunRequest
from spaces_app.runs import Images, RunState, followed_run
from spaces_app.visitors import Deployment, Visitor

SHORTEST_S, LONGEST_S = 60, 300
SPARE = 2.0  # an estimate may be off by that factor, and a run that outlives its time is lost


def gpu_seconds(request: RunRequest, visitor: Visitor, deployment: Deployment, images: Images | None) -> int:  # noqa: ARG001
    """How long to borrow the GPU; takes what `_on_borrowed_gpu` takes."""
    try:
        candidates = read_candidates(request.candidates(paths_allowed=False)) if request.source != "hub" else []
        estimate = estimate_run(candidates, n_images=request.max_images, device="cuda", budget=request.estimated_budget)
    except LeadHubError:
        return SHORTEST_S
    return seconds_to_borrow(estimate.duration_s)


def seconds_to_borrow(estimated_s: float | None) -> int:
    """Twice what a run is estimated to take, within what ZeroGPU lends; the longest where there is no estimate."""
    return int(min(LONGEST_S, max(SHORTEST_S, SPARE * (estimated_s or LONGEST_S))))


def _on_borrowed_gpu(
    request: RunRequest, visitor: Visitor, deployment: Deployment, images: Images | None
) -> Iterator[RunState]:
    yield from followed_run(request, visitor, deployment=deployment, cancelled=threading.Event(), images=images)


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
    state = RunState("running")
    for state in lent()(request, visitor, deployment, images):
        if cancelled.is_set():
            yield replace(state, outcome="cancelled")
            return
        yield state


def lent() -> Callable[[RunRequest, Visitor, Deployment, Images | None], Iterator[RunState]]:
    """The decorated function; ZeroGPU's decorator gives the same one every time."""
    decorate = import_module("spaces").GPU
    decorated: Callable[[RunRequest, Visitor, Deployment, Images | None], Iterator[RunState]]
    decorated = decorate(duration=gpu_seconds)(_on_borrowed_gpu)
    return decorated

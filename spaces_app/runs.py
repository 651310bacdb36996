"""One visitor's run in a thread of its own, followed moment by moment; and the runs that can be cancelled."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Literal, TypeAlias, TypeVar

from lead_hub.errors import LeadHubError, RunCancelledError
from lead_hub.leaderboard import Leaderboard
from lead_hub.recommendation import PredictedClasses, Recommendation, RunPictures, RunProgress, SamplePictures
from spaces_app.request import RunRequest
from spaces_app.visitor_reading import visitor_access
from spaces_app.visitors import Deployment, Visitor

SHARED_DISK = "20GB"  # the most weights that one run keeps on a machine of many
TICK_S = 0.4  # a page need not be drawn more often
Outcome = Literal["running", "finished", "cancelled", "failed"]


@dataclass(frozen=True)
class Keeping:
    """Told at the start of a run.

    Attributes:
        stays: whether what it computes is there for the next run of the same question.
    """

    stays: bool


Moment: TypeAlias = Leaderboard | RunProgress | SamplePictures | PredictedClasses | Keeping


@dataclass(frozen=True)
class RunState:
    """One moment of a run, as the visitor sees it.

    Attributes:
        outcome: whether it goes on, and if not, how it ended.
        board: the checkpoints so far; None before the first.
        progress: where it is; None before it has begun.
        ranking_s: seconds since the images were read and the first checkpoint begun.
        error: what went wrong.
        pictures: of the images, for the visitor who ranks on them alone.
        loan_s: seconds that a GPU was lent for, where the end of that time ended the run.
        stays: whether what was computed is there for the next run of the same question.
    """

    outcome: Outcome
    board: Leaderboard | None = None
    progress: RunProgress | None = None
    ranking_s: float = 0.0
    error: LeadHubError | None = None
    pictures: RunPictures = field(default_factory=RunPictures)
    loan_s: int | None = None
    stays: bool = True


def share_done(state: RunState) -> float:
    """How much of a run is behind it, from 0 to 1."""
    progress = state.progress
    if progress is None or not progress.number:
        return 0.0
    within = 1.0 if progress.stage == "score" else progress.n_images / max(1, progress.total_images)
    return (progress.number - 1 + within) / progress.n_candidates


@dataclass
class UnderWay:
    """A run that waits for its turn or has begun.

    Attributes:
        session: whose it is.
        cancelled: set when it is to stop.
        has_begun: whether its turn has come.
        is_replaced: whether the session's page shows a later run by now, or nothing any more.
    """

    session: str
    cancelled: threading.Event
    has_begun: bool = False
    is_replaced: bool = False


class RunsUnderWay:
    """The runs of one app, by ticket; of a session only the last one goes on, is shown and can be cancelled."""

    def __init__(self) -> None:
        self._runs: dict[str, UnderWay] = {}
        self._lock = threading.Lock()

    def announce(self, session: str) -> tuple[str, int]:
        """The ticket of a run that will begin when its turn comes, and how many of others are under way."""
        ticket = uuid.uuid4().hex
        with self._lock:
            self._replace(session)
            others = sum(run.session != session for run in self._runs.values())
            self._runs[ticket] = UnderWay(session, threading.Event())
        return ticket, others

    @contextmanager
    def started(self, ticket: str) -> Iterator[threading.Event]:
        """The run within the block; the event says that it is to stop, also where that was wanted before its turn.

        A ticket is for one run: that of a run that has begun already, or was never announced, is to stop at once.
        """
        with self._lock:
            run = self._runs.get(ticket)
            if run is None or run.has_begun:
                run, ticket = UnderWay("", threading.Event(), is_replaced=True), ""
                run.cancelled.set()
            run.has_begun = True
        try:
            yield run.cancelled
        finally:
            run.cancelled.set()
            with self._lock:
                self._runs.pop(ticket, None)

    def is_shown(self, ticket: str) -> bool:
        """Whether the session's page still waits for what this run has to show."""
        with self._lock:
            run = self._runs.get(ticket)
            return run is not None and not run.is_replaced

    def goes_on(self, session: str) -> bool:
        """Whether the session has a run that waits or has begun, and that nobody has cancelled."""
        with self._lock:
            return any(run.session == session and not run.cancelled.is_set() for run in self._runs.values())

    def cancel(self, session: str) -> bool:
        """Stop the session's run; tells whether it had begun, so that its end will be shown."""
        with self._lock:
            return any(not run.is_replaced for run in self._stop(session))

    def forget(self, session: str) -> None:
        """Nothing of the session is shown any more, and nothing goes on."""
        with self._lock:
            self._replace(session)

    def leave(self, session: str) -> None:
        """The visitor has left: nothing is shown any more, but what has begun goes on."""
        with self._lock:
            own = {ticket: run for ticket, run in self._runs.items() if run.session == session}
            for ticket, run in own.items():
                run.is_replaced, run.session = True, ""
                if not run.has_begun:
                    run.cancelled.set()
                    del self._runs[ticket]

    def _replace(self, session: str) -> None:
        for run in self._stop(session):
            run.is_replaced = True

    def _stop(self, session: str) -> list[UnderWay]:
        """The session's runs that have begun, stopped; those that wait are gone."""
        own = {ticket: run for ticket, run in self._runs.items() if run.session == session}
        for ticket, run in own.items():
            run.cancelled.set()
            if not run.has_begun:
                del self._runs[ticket]
        return [run for run in own.values() if run.has_begun]


@dataclass(frozen=True)
class Images:
    """Images that a visitor brought along.

    Attributes:
        folder: where they are unpacked, where the server chose.
        name: what the visitor called them.
    """

    folder: Path
    name: str


def followed_run(
    request: RunRequest,
    visitor: Visitor,
    *,
    deployment: Deployment,
    cancelled: threading.Event,
    images: Images | None = None,
) -> Iterator[RunState]:
    """Carry the run out; its moments as they come, at most one a tick, the last one with its outcome.

    Closing the iterator stops the run. What only this visitor may see is kept in a folder that is gone at the end.

    Args:
        request: the question.
        visitor: whose token reads the dataset, where it needs one.
        deployment: where the app runs.
        cancelled: set by whoever wants the run to stop.
        images: instead of the request's dataset.
    """
    state = RunState("running")
    yield state
    work = partial(_work, request, visitor, deployment=deployment, cancelled=cancelled, images=images)
    started: float | None = None
    try:
        for moments in moments_of(work, cancelled):
            for moment in moments:
                if isinstance(moment, Leaderboard):
                    state = replace(state, board=moment)
                elif isinstance(moment, RunProgress):
                    started = started or (time.monotonic() if moment.number else None)
                    state = replace(state, progress=moment)
                elif isinstance(moment, Keeping):
                    state = replace(state, stays=moment.stays)
                else:
                    state = replace(state, pictures=state.pictures.told(moment))
            yield replace(state, ranking_s=time.monotonic() - started if started else 0.0)
    except RunCancelledError:
        yield replace(state, outcome="cancelled")
    except LeadHubError as error:
        yield replace(state, outcome="failed", error=error)
    else:
        # All rows of a race are there after its first stage, long before its end.
        is_whole = state.board is not None and state.board.is_complete and not state.board.settings.get("budget")
        yield replace(state, outcome="cancelled" if cancelled.is_set() and not is_whole else "finished")


Told = TypeVar("Told")


def moments_of(work: Callable[[Callable[[Told], object]], None], cancelled: threading.Event) -> Iterator[list[Told]]:
    """Do the work in a thread of its own; all that it tells, as it comes, at most once a tick. Closing it stops it.

    Args:
        work: takes what it tells each moment to.
        cancelled: set where whoever follows leaves before the end; the work is to heed it.

    Raises:
        LeadHubError: as the work does, at its end.
    """
    moments: SimpleQueue[Told] = SimpleQueue()
    with ThreadPoolExecutor(1, "lead-hub-run") as thread:
        future = thread.submit(work, moments.put)
        try:
            while not (future.done() and moments.empty()):
                yield _waiting(moments)
        except BaseException:
            cancelled.set()
            raise
    future.result()


def _waiting(moments: "SimpleQueue[Told]") -> list[Told]:
    """All that has come within a tick."""
    until = time.monotonic() + TICK_S
    found: list[Told] = []
    while (left_s := until - time.monotonic()) > 0:
        try:
            found.append(moments.get(timeout=left_s))
        except Empty:
            break
        if isinstance(found[-1], Leaderboard):  # a row is shown at once
            break
    return found


def _work(
    request: RunRequest,
    visitor: Visitor,
    tell: Callable[[Moment], object],
    *,
    deployment: Deployment,
    cancelled: threading.Event,
    images: Images | None,
) -> None:
    paths_allowed = not deployment.is_shared
    dataset = images.folder if images else request.dataset_source(paths_allowed=paths_allowed)
    candidates = request.candidates(paths_allowed=paths_allowed)
    with visitor_access(request, visitor, deployment=deployment, has_images=images is not None) as access:
        tell(Keeping(stays=access.cache_dir is None))
        boards = Recommendation(
            dataset,
            candidates,
            request.score,
            config=request.config,
            split=request.split,
            image_column=request.image_column,
            label_column=request.label_column,
            revision=request.revision,
            max_images=request.max_images,
            cache_dir=access.cache_dir,
            token=access.token,
            progress=False,
            max_disk=SHARED_DISK if deployment.is_shared else None,
            budget=request.run_budget,
            cancelled=cancelled.is_set,
            on_progress=tell,
            on_pictures=tell,
        )
        for board in boards:
            tell(board)

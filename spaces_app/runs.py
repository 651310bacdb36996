"""One visitor's run in a thread of its own, followed moment by moment; and the runs that can be cancelled."""

import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Literal

from lead_hub.access import Access
from lead_hub.errors import LeadHubError, RunCancelledError
from lead_hub.labelled_images import DatasetDescription, describe_dataset
from lead_hub.leaderboard import Leaderboard
from lead_hub.recommendation import Recommendation, RunProgress
from spaces_app.request import RunRequest
from spaces_app.visitors import Deployment, Visitor

SHARED_DISK = "20GB"  # the most weights that one run keeps on a machine of many
TICK_S = 0.4  # a page need not be drawn more often
Outcome = Literal["running", "finished", "cancelled", "failed"]


@dataclass(frozen=True)
class RunState:
    """One moment of a run, as the visitor sees it.

    Attributes:
        outcome: whether it goes on, and if not, how it ended.
        board: the checkpoints so far; None before the first.
        progress: where it is; None before it has begun.
        ranking_s: seconds since the images were read and the first checkpoint begun.
        error: what went wrong.
    """

    outcome: Outcome
    board: Leaderboard | None = None
    progress: RunProgress | None = None
    ranking_s: float = 0.0
    error: LeadHubError | None = None


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
        """The visitor has left: nothing is shown any more."""
        with self._lock:
            self._replace(session)

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
    moments: SimpleQueue[Leaderboard | RunProgress] = SimpleQueue()
    yield state
    with ThreadPoolExecutor(1, "lead-hub-run") as thread:
        work = thread.submit(
            _work, request, visitor, deployment=deployment, cancelled=cancelled, moments=moments, images=images
        )
        started: float | None = None
        try:
            while not (work.done() and moments.empty()):
                for moment in _waiting(moments):
                    if isinstance(moment, Leaderboard):
                        state = replace(state, board=moment)
                        continue
                    if moment.number and started is None:
                        started = time.monotonic()
                    state = replace(state, progress=moment)
                yield replace(state, ranking_s=time.monotonic() - started if started else 0.0)
            was_cancelled = cancelled.is_set()
        finally:
            cancelled.set()
    yield _ended(state, work, was_cancelled=was_cancelled)


def _ended(state: RunState, work: "Future[None]", *, was_cancelled: bool) -> RunState:
    try:
        work.result()
    except RunCancelledError:
        return replace(state, outcome="cancelled")
    except LeadHubError as error:
        return replace(state, outcome="failed", error=error)
    is_whole = state.board is not None and state.board.is_complete
    return replace(state, outcome="cancelled" if was_cancelled and not is_whole else "finished")


def _waiting(moments: "SimpleQueue[Leaderboard | RunProgress]") -> list[Leaderboard | RunProgress]:
    """All that has come within a tick."""
    until = time.monotonic() + TICK_S
    found = []
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
    *,
    deployment: Deployment,
    cancelled: threading.Event,
    moments: "SimpleQueue[Leaderboard | RunProgress]",
    images: Images | None,
) -> None:
    paths_allowed = not deployment.is_shared
    dataset = images.folder if images else request.dataset_source(paths_allowed=paths_allowed)
    candidates = request.candidates(paths_allowed=paths_allowed)
    with _access(request, visitor, deployment=deployment, has_images=images is not None) as access:
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
            cancelled=cancelled.is_set,
            on_progress=moments.put,
        )
        for board in boards:
            moments.put(board)


@contextmanager
def _access(request: RunRequest, visitor: Visitor, *, deployment: Deployment, has_images: bool) -> Iterator[Access]:
    """Whose token a run uses and where it keeps things: nobody's and for all, or the visitor's and for this run alone.

    On a shared machine what the visitor's token reads must not be found by the next visitor, so it is used only where
    nobody's would not do, with a cache that disappears.
    """
    lists_own = request.source == "own" and visitor.is_signed_in
    if not has_images and (not deployment.is_shared or request.is_demo):
        yield Access(None, visitor.token)
        return
    reads_own = not has_images and visitor.is_signed_in and not _is_public(request)
    if not has_images and not reads_own and not lists_own:
        yield Access(token=False)
        return
    with tempfile.TemporaryDirectory(prefix="lead-hub-visitor-") as folder:
        own = Path(folder)
        if not lists_own:  # candidates that everybody may read are downloaded once for all
            shared = Access().hub_folder
            shared.mkdir(parents=True, exist_ok=True)
            (own / "hub").symlink_to(shared, target_is_directory=True)
        yield Access(own, visitor.token if reads_own or lists_own or not deployment.is_shared else False)


def look_at(request: RunRequest, visitor: Visitor, *, deployment: Deployment) -> DatasetDescription:
    """What the request's dataset holds, as the visitor may see it; nothing of it is kept for the next visitor.

    Raises:
        DatasetError, HubError: there is none, or not for this visitor.
    """
    dataset = str(request.dataset_source(paths_allowed=not deployment.is_shared))
    reads_own = deployment.is_shared and visitor.is_signed_in
    with tempfile.TemporaryDirectory(prefix="lead-hub-visitor-") if reads_own else nullcontext() as folder:
        return describe_dataset(
            dataset,
            config=request.config,
            revision=request.revision,
            token=visitor.token,
            cache_dir=Path(folder) if folder else None,
        )


def _is_public(request: RunRequest) -> bool:
    """Whether everybody may read the dataset."""
    try:
        description = describe_dataset(request.dataset, config=request.config, revision=request.revision, token=False)
    except LeadHubError:  # the Hub calls what it hides missing
        return False
    return not description.is_private

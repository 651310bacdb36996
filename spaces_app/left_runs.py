"""Runs whose page was left: they go on by themselves, few and not for ever, and their owner finds them again."""

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from spaces_app.request import RunRequest

MOST_LEFT = 2  # beside those that are watched; of one owner one
LONGEST_LEFT_S = 3600.0


@dataclass(eq=False)
class LeftRun:
    """One of them.

    Attributes:
        run_id: its address.
        owner: who may see and stop it.
        question: what was asked.
        is_of_zip: whether its images came in a zip.
        cancelled: set when it is to stop.
        left_at: when its page was left, by the registry's clock.
        status: where it is, as HTML.
    """

    run_id: str
    owner: str
    question: RunRequest
    is_of_zip: bool
    cancelled: threading.Event
    left_at: float = 0.0
    status: str = field(default="", repr=False)


class LeftRuns:
    """Those of one server."""

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._runs: dict[str, LeftRun] = {}
        self._now = now
        self._lock = threading.Lock()

    def add(self, run: LeftRun) -> None:
        """The run's page was left; an earlier one of its owner stops, and the oldest where there are too many."""
        with self._lock:
            run.left_at = self._now()
            for other in self._runs.values():
                if other.owner == run.owner:
                    other.cancelled.set()
            self._runs[run.run_id] = run
            for oldest in [other for other in self._runs.values() if not other.cancelled.is_set()][:-MOST_LEFT]:
                oldest.cancelled.set()

    def tell(self, run: LeftRun, status: str) -> None:
        """Say where it is; one that has gone on for too long stops."""
        run.status = status
        if self._now() - run.left_at > LONGEST_LEFT_S:
            run.cancelled.set()

    def end(self, run: LeftRun) -> None:
        """It is over."""
        with self._lock:
            if self._runs.get(run.run_id) is run:
                del self._runs[run.run_id]

    def find(self, run_id: str, *, owners: Collection[str]) -> LeftRun | None:
        """The run of that address, for its owner; None for all others, and once it is over."""
        with self._lock:
            run = self._runs.get(run_id)
        return run if run is not None and run.owner and run.owner in owners else None

"""The next candidate's network, loaded while images run through the current one: two are in memory at the most.

Nothing is decided here. What goes wrong ahead is met again, and said, when the candidate has its own turn.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lead_hub.candidates import Candidate
from lead_hub.checkpoint_files import CheckpointFiles, Downloads
from lead_hub.checkpoint_outputs import LoadedCheckpoint, give_freed_memory_back, load_checkpoint
from lead_hub.processes import to_one_core


@dataclass(eq=False)
class LoadAhead:
    """Networks of a run's candidates, one after the other, for the thread that runs the images.

    Attributes:
        downloads: of the run's candidates; None where nothing is loaded ahead, as in a run of several processes.
        allow_pickle: as for `load_checkpoint`.
        meanwhile: done with a network that was loaded ahead, as long as there is time.
    """

    downloads: Downloads | None
    allow_pickle: bool
    meanwhile: Callable[[LoadedCheckpoint, Callable[[], bool]], object] | None = None
    following: Candidate | None = None  # whose turn is next
    _ahead: Future[tuple[Path, LoadedCheckpoint] | None] | None = None
    _is_due: threading.Event = field(default_factory=threading.Event)  # the turn of what is ahead
    _thread: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, "lead-hub-load", initializer=to_one_core())
    )

    @contextmanager
    def running(self) -> Iterator[None]:
        """Within the block networks are loaded ahead; a network that is on the way at its end is forgotten."""
        try:
            yield
        finally:
            self._is_due.set()
            self._thread.shutdown(wait=True, cancel_futures=True)
            self._ahead = None

    def take(self, files: CheckpointFiles) -> LoadedCheckpoint:
        """The network of the candidate whose turn it is; that of the following one is loaded from now on.

        Raises:
            CandidateError: it cannot be loaded (stage "load").
        """
        give_freed_memory_back()  # of the network before and its passes
        network = self._loaded_ahead(files.folder) or load_checkpoint(files.folder, allow_pickle=self.allow_pickle)
        if self.downloads is not None and self.following is not None:
            self._is_due = threading.Event()
            self._ahead = self._thread.submit(self._load, self.following, self.downloads, self._is_due)
        return network

    def _loaded_ahead(self, folder: Path) -> LoadedCheckpoint | None:
        """What was loaded ahead, if it is this candidate's. Another's is given up before a network is loaded."""
        ahead, self._ahead = self._ahead, None
        if ahead is None:
            return None
        self._is_due.set()
        wait_for([ahead])
        found = None if ahead.cancelled() or ahead.exception() else ahead.result()
        return found[1] if found and found[0] == folder else None

    def _load(
        self, candidate: Candidate, downloads: Downloads, is_due: threading.Event
    ) -> tuple[Path, LoadedCheckpoint] | None:
        """The network of a candidate once its files are there; none where its outputs are known, or it has no files."""
        files = downloads.when_there(candidate)
        if files is None or not downloads.needs_weights(candidate, files):
            return None
        downloads.access.check_wanted()  # raises where the run is over
        network = load_checkpoint(files.folder, allow_pickle=self.allow_pickle)
        if self.meanwhile is not None:
            self.meanwhile(network, lambda: not is_due.is_set())
        return files.folder, network

"""The files of the next candidates, fetched while the current one is scored, on a disk of bounded size."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from huggingface_hub import HFCacheInfo, scan_cache_dir

from lead_hub.access import Access
from lead_hub.candidates import Candidate
from lead_hub.checkpoint_files.local_files import CheckpointFiles, fetch_weights, find_checkpoint
from lead_hub.errors import CandidateError
from lead_hub.hub import LONGEST_NAP_S, HubDownError

AHEAD = 2  # candidates
SILENCES = 2  # of one candidate's files alone the Hub may be unable to give one, for ever
AHEAD_BYTES = 4 << 30


@dataclass
class DownloadedWeights:
    """What a run downloaded for one candidate and has not deleted."""

    paths: tuple[Path, ...]
    size_bytes: int
    score: float | None = None
    is_scored: bool = False


@dataclass
class Downloads:
    """The files of a run's candidates, in order.

    Attributes:
        candidates: in the order in which they will be taken.
        access: whose token, and where to; cancelling is asked for while one waits for a candidate's files.
        needs_weights: whether a candidate's weights are needed, judged by its other files.
        max_disk_bytes: the most that weights downloaded by this run may take; None for no limit.
        every: of the candidates every so many-th is fetched ahead, where so many processes take them in turn.
        ahead: how many are fetched ahead.
    """

    candidates: Sequence[Candidate]
    access: Access
    needs_weights: Callable[[Candidate, CheckpointFiles], bool]
    max_disk_bytes: int | None = None
    every: int = 1
    ahead: int = AHEAD
    _futures: dict[Candidate, Future[CheckpointFiles]] = field(default_factory=dict)
    _held: dict[Candidate, DownloadedWeights] = field(default_factory=dict)
    _turn: int = -1  # place of the furthest candidate that was taken
    _over: threading.Event = field(default_factory=threading.Event)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _silences: int = 0  # candidates for which the Hub had no answer, since it last gave weights
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "lead-hub-downloads"))
    # For a candidate whose turn comes while others, which were to be next, are fetched.
    _own_thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "lead-hub-downloads-own"))

    @contextmanager
    def running(self) -> Iterator["Downloads"]:
        """Fetch ahead within the block; a download that is under way at its end is broken off."""
        try:
            yield self
        finally:
            with self._changed:
                self._over.set()
                self._changed.notify_all()
            for thread in (self._thread, self._own_thread):
                thread.shutdown(wait=True, cancel_futures=True)

    def take(self, candidate: Candidate) -> CheckpointFiles:
        """The files of the candidate, waiting for them; the next ones are fetched from now on.

        Raises:
            CandidateError: this candidate has no usable files.
            HubDownError: the Hub does not answer, and the cache has no copy of this one.
            RunCancelledError: cancelled while they were on the way.
        """
        turn = self._place(candidate)
        with self._changed:
            self._turn = max(turn, self._turn)  # what another process left undone comes late
            self._changed.notify_all()
        self._begin_now(candidate)
        for next_one in self.candidates[turn :: self.every][: self.ahead + 1]:
            self.begin(next_one)
        while wait_for([self._futures[candidate]], timeout=LONGEST_NAP_S).not_done:
            self.access.check_wanted()
        return self._futures[candidate].result()

    def begin(self, candidate: Candidate) -> None:
        """Fetch the files of a candidate, if they are not under way."""
        if candidate not in self._futures:
            self._futures[candidate] = self._thread.submit(self._fetch, candidate)

    def _begin_now(self, candidate: Candidate) -> None:
        """The same, not behind what is fetched ahead: that may wait for room until this one has had its turn."""
        queued = self._futures.get(candidate)
        if queued is None or queued.cancel():
            is_busy = any(not future.done() for future in self._futures.values())
            thread = self._own_thread if is_busy else self._thread
            self._futures[candidate] = thread.submit(self._fetch, candidate)

    def when_there(self, candidate: Candidate) -> CheckpointFiles | None:
        """The files of a candidate that is fetched ahead, once they are there; None where it is not, by now.

        Raises:
            Exception: whatever `take` will raise of it.
        """
        future = self._futures.get(candidate)
        return None if future is None else future.result()

    def scored(self, candidate: Candidate, score: float | None) -> None:
        """The candidate is done with; what it takes on the disk may be needed for others."""
        with self._changed:
            if candidate in self._held:
                self._held[candidate].score = score
                self._held[candidate].is_scored = True
            self._changed.notify_all()

    def _place(self, candidate: Candidate) -> int:
        return self.candidates.index(candidate)

    def _fetch(self, candidate: Candidate) -> CheckpointFiles:
        hub_is_down = self._silences >= SILENCES and candidate.folder is None
        access = replace(self.access, cancelled=self._over.is_set, hub_is_down=hub_is_down)
        try:
            files = find_checkpoint(candidate, access)
            if not self.needs_weights(candidate, files):
                return files
            is_new = self._fetch_weights(candidate, files, access, make_room=self._make_room)
        except HubDownError:
            self._silences += 1
            raise
        if is_new:
            self._silences = 0
        return files

    def fetch_again(self, files: CheckpointFiles) -> None:
        """Have the weights of files that were taken before, and maybe deleted for others, within the same limit.

        Raises:
            CandidateError, HubDownError: they cannot be had.
        """
        for candidate, future in self._futures.items():
            if future.done() and not future.exception() and future.result() == files:
                self._fetch_weights(candidate, files, self.access, make_room=self._room_at_once)
                return
        fetch_weights(files, self.access)

    def _room_at_once(self, candidate: Candidate, size_bytes: int) -> int:
        """Delete what is scored, and wait for nothing: whoever takes the turns would be the one that waits."""
        with self._changed:
            self._held.pop(candidate, None)  # its files are gone
            if self.max_disk_bytes is not None:
                self._evict(self.max_disk_bytes - size_bytes)
        return size_bytes

    def _fetch_weights(
        self,
        candidate: Candidate,
        files: CheckpointFiles,
        access: Access,
        *,
        make_room: Callable[[Candidate, int], int],
    ) -> bool:
        """Download what is not there, where there is room, and remember it; whether there was any."""
        sizes: list[int] = []
        paths = fetch_weights(files, access, make_room=lambda size: sizes.append(make_room(candidate, size)))
        if paths:
            with self._changed:
                self._held[candidate] = DownloadedWeights(paths, sum(sizes))
        return bool(paths)

    def _make_room(self, candidate: Candidate, size_bytes: int) -> int:
        """Wait until the bytes may come, deleting scored checkpoints, the worst first, where the disk is limited."""
        limit = self.max_disk_bytes
        if limit is not None and size_bytes > limit:
            raise CandidateError(
                f"the weights need {size_bytes / 1e9:.3f} GB and max_disk allows {limit / 1e9:.3f} GB: raise it to rank"
                " this checkpoint",
                stage="download",
            )
        place = self._place(candidate)
        with self._changed:
            while not self._over.is_set():
                ahead = sum(held.size_bytes for other, held in self._held.items() if self._place(other) > self._turn)
                if place <= self._turn or ahead + size_bytes <= AHEAD_BYTES:
                    if limit is None:
                        break
                    self._evict(limit - size_bytes)
                    if sum(held.size_bytes for held in self._held.values()) + size_bytes <= limit:
                        break
                self._changed.wait()
        return size_bytes

    def _evict(self, allowed_bytes: int) -> None:
        """Delete what was downloaded for scored candidates until no more than the allowed bytes are held."""
        while sum(held.size_bytes for held in self._held.values()) > allowed_bytes:
            done = [candidate for candidate, held in self._held.items() if held.is_scored]
            if not done:
                return
            worst = min(done, key=lambda one: (self._held[one].score is not None, self._held[one].score or 0.0))
            delete_files(self._held.pop(worst).paths, self.access.hub_folder)


def delete_files(paths: Sequence[Path], cache_folder: Path) -> None:
    """Delete files of a Hub cache, and their content where no other cached file shares it."""
    # The scan tells places without links on their way, and not relative to where this process works.
    paths = [path.parent.resolve() / path.name for path in paths]
    info = scan_cache_dir(cache_folder)
    files = [
        file
        for repository in info.repos
        for revision in repository.revisions
        for file in revision.files
        if file.file_path in paths
    ]
    if hasattr(HFCacheInfo, "delete_files"):  # from huggingface_hub 2 on, which also keeps content across repositories
        info.delete_files(*files).execute()
        return
    for file in files:
        shared = [
            other
            for repository in info.repos
            for revision in repository.revisions
            for other in revision.files
            if other.blob_path == file.blob_path and other.file_path not in paths
        ]
        file.file_path.unlink(missing_ok=True)
        if not shared:
            file.blob_path.unlink(missing_ok=True)

"""Numbered pieces of work that the processes of a run take from one queue, whichever of them live to do it.

Everything is in the TCPStore of torch.distributed through which the processes met: a counter that whoever is free adds
one to, who took what, what came of it, and a beat of every process. No process waits for another's message, so one that
is killed costs what it was computing: its piece is taken again once its beat has stood still. A process that was
only slow is then done twice, and the first answer counts.
"""

import os
import pickle
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from torch.distributed import DistError, PrefixStore, Store, TCPStore  # type: ignore[attr-defined]  # public

from lead_hub.errors import LeadHubError
from lead_hub.processes import Processes, on_main_process

BEAT_S = 0.5
LOST_S = 15.0  # without a beat
NAP_S = 0.05
MOST_BYTES = 4 << 20  # of a message; a connection breaks over one of 8 MiB
PATIENCE = timedelta(seconds=60)  # with the store


def can_meet() -> bool:
    """Whether the environment names the store through which the processes of this run met."""
    return {"MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys()


def run_store(processes: Processes) -> Store:
    """A connection of this process to the store, and in it names that no other run of these processes uses."""
    store = TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False, timeout=PATIENCE)
    run = on_main_process(lambda: store.add("lead-hub runs", 1), processes)
    return PrefixStore(f"lead-hub run {run}", store)


class WorkQueue:
    """Pieces in the order in which they are added, each answered by whoever took it.

    `running` must surround all use. Only the main process may `add` pieces, ask for `answers` and say that the work is
    `over`.
    """

    def __init__(
        self,
        store: Store,
        *,
        process_index: int,
        n_processes: int,
        lost_s: float = LOST_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._me, self.n_processes = process_index, n_processes
        self._lost_s, self._clock = lost_s, clock
        self._n_answered = 0  # by this process
        self._n_read = [0] * n_processes
        self._works: list[object] = []  # that this process has read
        self._read: set[int] = set()  # pieces
        self._answered: set[int] = set()  # by anybody
        self._beats: dict[int, tuple[int, float]] = {}  # of a process: the last one that was seen, and when it came
        self._stopped, self._is_over, self._is_alone = threading.Event(), threading.Event(), threading.Event()

    @property
    def is_main(self) -> bool:
        return self._me == 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Within the block the others can see that this process lives."""
        beating = threading.Thread(target=self._beat, name="lead-hub-beat", daemon=True)
        beating.start()
        try:
            yield
        finally:
            self._stopped.set()
            beating.join()

    def _beat(self) -> None:
        try:
            while True:
                self._store.add(f"beat {self._me}", 1)
                if self._store.check(["over"]):
                    self._is_over.set()
                if self._stopped.wait(BEAT_S):
                    return
        except DistError:  # the main process is gone, and the store with it
            self._is_alone.set()

    def is_over(self) -> bool:
        """Whether nobody wants further answers, or nobody is left to take them; half a second late at most."""
        return self._is_over.is_set() or self._is_alone.is_set()

    def add(self, works: Sequence[object]) -> int:
        """Further pieces, and what is to be done for each; the number of the first of them."""
        first = self._store.add("pieces", 0)
        for piece, work in enumerate(works, start=first):
            self._put(f"work {piece}", work)
        # Of those before all are taken; who counted beyond them did not take the first of these.
        self._store.set("taken", str(first))
        self._store.add("pieces", len(works))
        return first

    def works(self) -> Sequence[object]:
        """What is to be done for each piece that has been added until now."""
        for piece in range(len(self._works), self._store.add("pieces", 0)):
            self._works.append(self._got(f"work {piece}"))
        return self._works

    def take(self) -> int | None:
        """The next piece that nobody has taken, or one that a lost process had; None if there is none at present."""
        n_pieces = self._store.add("pieces", 0)
        # Nobody counts beyond what there is but those who do so at the same moment.
        while self._store.add("taken", 0) < n_pieces and (piece := self._store.add("taken", 1) - 1) < n_pieces:
            if self._becomes_mine(piece, of=""):
                return piece
        for piece in range(n_pieces):
            if piece in self._answered or self._store.check([f"answered {piece}"]):
                self._answered.add(piece)
                continue
            holder = self._holder(piece)
            if (holder == "" or self._is_lost(int(holder))) and self._becomes_mine(piece, of=holder):
                return piece
        return None

    def _holder(self, piece: int) -> str:
        """Who took it; nobody where a process was killed between taking and saying so."""
        key = f"holder {piece}"
        return self._store.get(key).decode() if self._store.check([key]) else ""

    def _becomes_mine(self, piece: int, *, of: str) -> bool:
        is_mine = bool(self._store.compare_set(f"holder {piece}", of, str(self._me)).decode() == str(self._me))
        if is_mine:
            self._store.add(f"takers {piece}", 1)
        return is_mine

    def n_takers(self, piece: int) -> int:
        """How many processes have taken it, this one included: all others were lost over it."""
        return self._store.add(f"takers {piece}", 0)

    def n_left(self) -> int:
        """How many pieces nobody has taken yet, at the least: those that lost processes had are not counted."""
        return max(0, self._store.add("pieces", 0) - self._store.add("taken", 0))

    def is_still_mine(self, piece: int) -> bool:
        """Whether this process has the piece, and nobody has answered it."""
        return self._holder(piece) == str(self._me) and not self._store.check([f"answered {piece}"])

    def give_back(self, piece: int) -> None:
        """Let another process take a piece that this one has not begun."""
        self._store.add(f"takers {piece}", -1)
        self._store.set(f"holder {piece}", "")

    def _is_lost(self, process: int) -> bool:
        if process == self._me:
            return False
        beat, now = self._store.add(f"beat {process}", 0), self._clock()
        seen, since = self._beats.get(process, (-1, now))
        self._beats[process] = (seen, since) if seen == beat else (beat, now)
        return now - self._beats[process][1] > self._lost_s

    def answer(self, piece: int, content: object) -> None:
        """What came of a piece."""
        self._put(f"answer {self._me} {self._n_answered}", (piece, content))
        self._n_answered += 1
        self._store.set(f"answered {piece}", "")

    def answers(self) -> Iterator[tuple[int, object]]:
        """Answers that have come since this was asked last, the first one to every piece."""
        for process in range(self.n_processes):
            while self._store.check([key := f"answer {process} {self._n_read[process]}"]):
                self._n_read[process] += 1
                piece, content = self._got(key)
                self._forget(key)
                if piece not in self._read:
                    self._read.add(piece)
                    # Whoever answered may have been killed before it said so.
                    self._answered.add(piece)
                    self._store.set(f"answered {piece}", "")
                    yield piece, content

    def _put(self, key: str, content: object) -> None:
        """Whatever it is, in messages that the store takes; the last one says how many."""
        whole = pickle.dumps(content)
        starts = range(0, len(whole), MOST_BYTES)
        for number, start in enumerate(starts):
            self._store.set(f"{key} part {number}", whole[start : start + MOST_BYTES])  # type: ignore[arg-type]  # bytes, too
        self._store.set(key, str(len(starts)))
        self._store.check([key])  # whose answer comes when the store has read all of it

    def _got(self, key: str) -> Any:
        parts = [self._store.get(f"{key} part {number}") for number in range(int(self._store.get(key)))]
        return pickle.loads(b"".join(parts))  # noqa: S301 - of a process of this run

    def _forget(self, key: str) -> None:
        for number in range(int(self._store.get(key))):
            self._store.delete_key(f"{key} part {number}")
        self._store.delete_key(key)

    def stop(self) -> None:
        """Nobody wants further answers."""
        self._store.set("over", "")
        self._is_over.set()

    def over(self, last: object) -> None:
        """Nobody wants further answers; this is what came of all, and the others may now take it.

        Waits for those that live, because the store may end with this process.
        """
        self._put("last", last)
        self.stop()
        waiting = set(range(self.n_processes)) - {self._me}
        while waiting := {each for each in waiting if not self._store.check([f"left {each}"])}:
            waiting = {each for each in waiting if not self._is_lost(each)}
            time.sleep(NAP_S)

    def last(self) -> object:
        """What came of all, once the main process says so.

        Raises:
            LeadHubError: the main process is gone.
        """
        try:
            while not self._store.check(["last"]):
                if self._is_lost(0):
                    raise LeadHubError(MAIN_IS_GONE)
                time.sleep(NAP_S)
            last: object = self._got("last")
            self._store.set(f"left {self._me}", "")
        except DistError as error:
            raise LeadHubError(MAIN_IS_GONE) from error
        return last


MAIN_IS_GONE = (
    "the main process of the run must live until its end, it is gone: start the run again, and it goes on from what is"
    " kept in the cache"
)

"""Boards of runs, to be found again by their address: public ones on the disk for anybody, all others for their owner.

What not everybody may read never reaches the disk: it is kept in memory, for a shorter time, and found by its owner
alone. Everything is bounded: how many, how large, how long.
"""

import json
import re
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from lead_hub.errors import LeadHubError
from lead_hub.hub import written_whole
from lead_hub.leaderboard import Leaderboard
from spaces_app.request import RunRequest
from spaces_app.shown import NO_PICTURES, Shown

RUN_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
MOST_ON_DISK, MOST_IN_MEMORY = 200, 50
PUBLIC_S, PRIVATE_S = 7 * 86_400.0, 3600.0
LARGEST_BYTES = 2 * 10**6
THIS_MACHINE = "machine"  # the owner of all that is ranked on one's own
Outcome = Literal["running", "left", "finished", "cancelled", "failed"]


@dataclass(frozen=True, eq=False)
class KeptBoard:
    """What a run has found.

    Attributes:
        shown: the question, and the board as whoever asked may read it.
        outcome: how the run ended; "left" where its page was closed before.
        owner: who may see it; everybody, with the address, where it is public.
    """

    shown: Shown
    outcome: Outcome
    owner: str

    @property
    def is_public(self) -> bool:
        """Whether everybody may read the dataset and all checkpoints; of one that was skipped nobody knows."""
        question, board = self.shown.question, self.shown.board
        if self.shown.brought or (question.source == "own" and board.skipped):
            return False
        is_open = question.is_demo or board.dataset.is_private is False
        return is_open and (question.source == "demo" or all(row.is_private is False for row in board.rows))


class KeptBoards:
    """The boards that one server keeps."""

    def __init__(self, folder: Path, *, now: Callable[[], float] = time.time) -> None:
        self._folder, self._now = folder, now
        self._private: dict[str, tuple[float, KeptBoard]] = {}
        self._lock = threading.Lock()

    def keep(self, run_id: str, kept: KeptBoard) -> None:
        """Keep the run's board so far, without a picture, instead of an earlier one of the same run."""
        if not RUN_ID.fullmatch(run_id):
            return
        if kept.shown.pictures is not NO_PICTURES:
            kept = replace(kept, shown=replace(kept.shown, pictures=NO_PICTURES))
        is_over = kept.outcome != "running"
        with self._lock:
            if kept.is_public and is_over and self._write(run_id, kept):
                self._private.pop(run_id, None)
                return
            self._private.pop(run_id, None)  # to the end of the line
            self._private[run_id] = (self._now(), kept)
            for oldest in list(self._private)[:-MOST_IN_MEMORY]:
                del self._private[oldest]

    def leave(self, run_id: str) -> None:
        """The run's page was closed: nothing comes after what there is."""
        with self._lock:
            found = self._private.get(run_id)
        if found and found[1].outcome == "running":
            self.keep(run_id, replace(found[1], outcome="left"))

    def add_outcomes(self, run_id: str, shown: Shown) -> None:
        """What fine-tuning on one's own machine has given since the run, also of one that is no longer kept."""
        kept = self.find(run_id, owners=(THIS_MACHINE,))
        self.keep(run_id, replace(kept, shown=shown) if kept else KeptBoard(shown, "finished", THIS_MACHINE))

    def find(self, run_id: str, *, owners: Collection[str]) -> KeptBoard | None:
        """The run's board, for those who may see it; None for all others, and for what is no longer kept."""
        if not RUN_ID.fullmatch(run_id):
            return None
        with self._lock:
            at, kept = self._private.get(run_id, (0.0, None))
        if kept is None:
            return self._read(run_id)
        if self._now() - at > PRIVATE_S or not (kept.is_public or kept.owner in owners):
            return None
        return kept

    def _write(self, run_id: str, kept: KeptBoard) -> bool:
        document = {"question": asdict(kept.shown.question), "outcome": kept.outcome}
        text = json.dumps({**document, "board": kept.shown.board.to_document()}, ensure_ascii=False)
        if len(text.encode()) > LARGEST_BYTES:
            return False
        try:
            with written_whole(self._folder / f"{run_id}.json", private=True) as part:
                part.write_text(text, encoding="utf-8")
            self._make_room()
        except OSError:  # a full disk costs the address, not the answer
            return False
        return True

    def _make_room(self) -> None:
        files = sorted(self._folder.glob("*.json"), key=lambda file: file.stat().st_mtime)
        old = [file for file in files if self._now() - file.stat().st_mtime > PUBLIC_S]
        for file in {*old, *files[:-MOST_ON_DISK]}:
            file.unlink(missing_ok=True)

    def _read(self, run_id: str) -> KeptBoard | None:
        file = self._folder / f"{run_id}.json"
        try:
            if self._now() - file.stat().st_mtime > PUBLIC_S:
                return None
            document = json.loads(file.read_text(encoding="utf-8"))
            question = document["question"]
            lists = {name: tuple(question[name]) for name in ("families", "own_candidates")}
            request = RunRequest(**{**question, **lists})
            shown = Shown(request, Leaderboard.from_document(document["board"]))
            return KeptBoard(shown, document["outcome"], owner="")
        except (OSError, ValueError, KeyError, TypeError, LeadHubError):  # gone, or of another version
            return None

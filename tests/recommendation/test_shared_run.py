"""Which runs are shared by whole checkpoints, in which order, and how much of the disk each process may take."""

import fcntl
import os
import struct
import sys
import termios
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from itertools import islice
from pathlib import Path

import pytest
import torch
from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
from torch.distributed import TCPStore

from lead_hub.access import Access
from lead_hub.candidates import Candidate
from lead_hub.checkpoint_files import CheckpointFiles, Downloads
from lead_hub.checkpoint_outputs import ExtractionSettings
from lead_hub.confidence import find_calibration
from lead_hub.errors import CandidateError
from lead_hub.labelled_images import DatasetQuery, load_labelled_images
from lead_hub.leaderboard import Leaderboard
from lead_hub.processes import OneProcess
from lead_hub.recommendation.board_rows import empty_board
from lead_hub.recommendation.estimate import POSITIONS, multiply_adds_of_all
from lead_hub.recommendation.judging import ScoredCandidate
from lead_hub.recommendation.progress import RunFollower
from lead_hub.recommendation.race_budget import SpentBudget, parse_race_budget
from lead_hub.recommendation.racing import FullRun, Race, Turn
from lead_hub.recommendation.shared_run import SharedRun, longest_first, taken_in_turn, takes_whole
from lead_hub.recommendation.steps import OutputsOfImages
from lead_hub.recommendation.turn_scoring import RunEdges, TurnScoring
from lead_hub.recommendation.work_queue import WorkQueue
from lead_hub.transferability import SCORES
from tests.cli.test_interrupted import pool_of
from tests.loopback_hub import HubServer


@pytest.mark.parametrize(
    ("many", "n_processes", "whole"),
    [
        ([1.0] * 4, 2, True),  # two each
        ([1.0] * 3, 2, False),  # one process would have nothing to do for a third of the time
        ([1.0] * 5, 2, True),  # 3 where an even share is 2.5
        ([1.0] * 9, 2, True),  # 5 where an even share is 4.5
        ([4.0, 1.0, 1.0, 1.0, 1.0], 2, True),  # the long one first: 4 and 4
        ([9.0, 1.0, 1.0, 1.0, 1.0], 2, False),  # 9 where an even share is 6.5
        ([1.0] * 71, 8, True),
        ([1.0] * 15, 8, False),  # fewer than two each
    ],
)
def test_whole_checkpoints_where_they_keep_all_busy(many: list[float], n_processes: int, whole: bool) -> None:
    assert takes_whole(many, n_processes) is whole


def test_the_longest_is_first_and_the_unknown_is_average() -> None:
    sizes = {"a": 1, "b": None, "c": 5, "d": 3, "e": 3}
    candidates = [Candidate(name, parameters=size) for name, size in sizes.items()]
    assert multiply_adds_of_all(candidates) == [number * POSITIONS for number in (1, 3, 5, 3, 3)]
    assert [candidate.checkpoint for candidate in longest_first(candidates)] == ["c", "b", "d", "e", "a"]


def test_weights_that_come_again_fit_into_the_share_of_one_process(
    hub: HubServer, tiny_pool: Path, colour_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    first, second = [
        Candidate(f"org/{name}", revision=hub.add_repo(f"org/{name}", folder=tiny_pool / "vit"))
        for name in ("first", "second")
    ]
    size_bytes = (tiny_pool / "vit" / "model.safetensors").stat().st_size
    access, processes = Access(tmp_path, progress=False), OneProcess(torch.device("cpu"))
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    queue = WorkQueue(store, process_index=0, n_processes=2)

    def weights_of(name: str) -> list[Path]:
        return list((tmp_path / "hub" / f"models--org--{name}").rglob("model.safetensors"))

    run = RunEdges(
        access, processes, RunFollower(2, access=access, on_progress=None), SpentBudget(None, n_candidates=2)
    )
    with closing(load_labelled_images(DatasetQuery(str(colour_folder)), access)) as images:
        outputs_of = OutputsOfImages(
            images, ExtractionSettings(), access=access, processes=processes, with_network_kernel=False
        )
        # Room for two of them on this machine, of which each process may fill the half.
        of_run = Downloads([first, second], access, lambda *_: True, max_disk_bytes=2 * size_bytes)
        downloads = taken_in_turn(of_run, queue)
        scoring = TurnScoring(run, outputs_of, downloads, None, methods=("lead",), seed=0)
        with outputs_of.networks.running(), downloads.running():
            found: dict[Candidate, CheckpointFiles] = {}
            for number, candidate in enumerate((first, second, first), start=1):
                for kept in (tmp_path / "outputs").glob("*"):
                    kept.unlink()
                files = found.get(candidate)
                turn = Turn(candidate, images, None, len(images), number=number, following=(), files=files)
                scored = scoring.score(scoring.outputs(turn))
                found[candidate] = scored.files
                downloads.scored(candidate, scored.candidate.row.score)
                assert weights_of(candidate.checkpoint.removeprefix("org/"))
                other = "second" if candidate == first else "first"
                assert weights_of(other) == []


@contextmanager
def drawn_bars() -> Iterator[list[str]]:
    """Within the block standard error is a terminal; after it the list holds the bars that were drawn there."""
    shown, terminal = os.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 200, 0, 0))
    said, bars = bytearray(), list[str]()

    def read() -> None:
        with suppress(OSError):  # once the other end is closed
            while True:
                said.extend(os.read(shown, 1 << 12))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    with pytest.MonkeyPatch.context() as patched, os.fdopen(terminal, "w") as text:
        patched.setattr(sys.modules["huggingface_hub.utils.tqdm"], "HF_HUB_DISABLE_PROGRESS_BARS", None)
        patched.setattr(sys, "stderr", text)
        had_none = are_progress_bars_disabled()
        enable_progress_bars()
        try:
            yield bars
        finally:
            if had_none:
                disable_progress_bars()
    reader.join()
    os.close(shown)
    bars += [bar.strip() for bar in said.decode().split("\r") if "images" in bar]


def test_the_bar_is_of_the_stage_though_another_process_took_all_of_it(
    tiny_pool: Path, colour_folder: Path, tmp_path: Path
) -> None:
    """Four checkpoints see nine images here; on nine more each of them fails, in the other process."""
    pool = pool_of(4, tiny_pool / "vit", tmp_path / "pool")
    candidates = [Candidate(str(folder)) for folder in sorted(pool.iterdir())]
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    queue, other = (WorkQueue(store, process_index=process, n_processes=2) for process in range(2))
    left_for_the_other = deque(range(4, 8))

    def other_works() -> bool:
        while left_for_the_other and store.add("pieces", 0) == 8:
            other.answer(left_for_the_other.popleft(), CandidateError("there is no more of it", stage="extract"))
        return False

    access, processes = Access(tmp_path, progress=False, cancelled=other_works), OneProcess(torch.device("cpu"))
    spent = SpentBudget(parse_race_budget("100%"), n_candidates=4)
    follower = RunFollower(4, access=access, on_progress=None)
    calibration = find_calibration("lead", SCORES["lead"].version)
    assert calibration is not None
    with drawn_bars() as drawn, closing(load_labelled_images(DatasetQuery(str(colour_folder)), access)) as images:
        outputs_of = OutputsOfImages(
            images, ExtractionSettings(), access=access, processes=processes, with_network_kernel=False
        )
        downloads = taken_in_turn(Downloads(candidates, access, lambda *_: True), queue)
        run = RunEdges(access, processes, follower, spent)
        scoring = TurnScoring(run, outputs_of, downloads, None, methods=("lead",), seed=0)
        race = Race(images, calibration, seed=0, spent=spent, processes=processes)
        shared = SharedRun(queue, scoring, race, candidates, lambda *_: None)
        with outputs_of.networks.running(), downloads.running(), follower.ranks(n_images=36, device="cpu", shown=True):
            boards = shared.boards(empty_board(images, "lead", settings={}, n_candidates=4), candidates)
            first = list(islice(boards, 4))[-1]
            for piece in range(4, 8):
                store.set(f"holder {piece}", "1")
            store.set("left 1", "")
            last = list(boards)[-1]
    of_run, *bars = drawn
    assert "| 0/144 images [" in of_run  # before it is known how many a stage has
    begun = [place for place, bar in enumerate(bars) if bar.startswith("0/4:   0%")]
    done = [place for place, bar in enumerate(bars) if bar.startswith("4/4: 100%") and "| 36/36 images [" in bar]
    assert begun[0] < done[0] < begun[-1] < done[-1] == len(bars) - 1
    assert [row.checkpoint for row in last.rows] == [row.checkpoint for row in first.rows]
    assert all("on more it failed: there is no more of it" in row.note for row in last.rows)


class JudgesAllButOne(FullRun):
    """A full run in which judging one candidate meets what nobody has foreseen."""

    def board(self, board: Leaderboard, turn: Turn, one: ScoredCandidate) -> Leaderboard:
        if turn.candidate.checkpoint.endswith("b"):
            raise ValueError("eigenvalues did not converge")
        return super().board(board, turn, one)


def test_what_judging_meets_costs_one_checkpoint(tiny_pool: Path, colour_folder: Path, tmp_path: Path) -> None:
    """As in a run of one process: the others keep their rows, and the run comes to its end."""
    candidates = []
    for name in ("a", "b", "c"):
        (tmp_path / name).symlink_to(tiny_pool / "vit")
        candidates.append(Candidate(str(tmp_path / name)))
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    store.set("left 1", "")
    queue = WorkQueue(store, process_index=0, n_processes=2)
    access, processes = Access(tmp_path / "cache", progress=False), OneProcess(torch.device("cpu"))
    follower = RunFollower(3, access=access, on_progress=None)
    with closing(load_labelled_images(DatasetQuery(str(colour_folder)), access)) as images:
        outputs_of = OutputsOfImages(
            images, ExtractionSettings(), access=access, processes=processes, with_network_kernel=False
        )
        downloads = taken_in_turn(Downloads(candidates, access, lambda *_: True), queue)
        edges = RunEdges(access, processes, follower, SpentBudget(None, n_candidates=3))
        scoring = TurnScoring(edges, outputs_of, downloads, None, methods=("lead",), seed=0)
        ranking = JudgesAllButOne(images, None, candidates, seed=0)
        shared = SharedRun(queue, scoring, ranking, candidates, lambda *_: None)
        with outputs_of.networks.running(), downloads.running(), follower.ranks(n_images=36, device="cpu", shown=False):
            last = list(shared.boards(empty_board(images, "lead", settings={}, n_candidates=3), candidates))[-1]
    assert [Path(row.checkpoint).name for row in last.rows] == ["a", "c"]
    (skip,) = last.skipped
    assert (Path(skip.checkpoint).name, skip.stage) == ("b", "score")
    assert "ValueError: eigenvalues did not converge" in skip.reason

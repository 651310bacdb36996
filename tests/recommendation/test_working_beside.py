"""What the processor does beside the passes of another device: the same boards. Here both are on the processor."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from torch.distributed import TCPStore

from lead_hub import Leaderboard
from lead_hub.access import Access
from lead_hub.candidates import Candidate
from lead_hub.checkpoint_files import CheckpointFiles, Downloads, downloads
from lead_hub.checkpoint_outputs import ExtractionSettings
from lead_hub.errors import CandidateError
from lead_hub.labelled_images import DatasetQuery, load_labelled_images
from lead_hub.leaderboard import RankedCheckpoint
from lead_hub.processes import OneProcess
from lead_hub.recommendation.board_rows import empty_board
from lead_hub.recommendation.progress import RunFollower, RunProgress
from lead_hub.recommendation.race_budget import SpentBudget
from lead_hub.recommendation.racing import FullRun
from lead_hub.recommendation.recommendation import Recommendation
from lead_hub.recommendation.scoring import where_memory_suffices
from lead_hub.recommendation.shared_run import SharedRun, taken_in_turn
from lead_hub.recommendation.steps import OutputsOfImages
from lead_hub.recommendation.turn_scoring import RunEdges, TurnScoring
from lead_hub.recommendation.work_queue import WorkQueue
from tests.cli.test_interrupted import pool_of
from tests.loopback_hub import HubServer
from tests.tiny_checkpoints import save_checkpoint, tiny_processor
from tests.tiny_families import FAMILIES


class Beside(Recommendation):
    """A run as it is where passes are on another device."""

    @property
    def extraction(self) -> ExtractionSettings:
        return replace(super().extraction, works_beside=True)


@pytest.fixture(scope="module")
def pool(tiny_pool: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five checkpoints: one whose weights are broken, one whose features are the same for all images."""
    pool = tmp_path_factory.mktemp("beside") / "pool"
    shutil.copytree(tiny_pool, pool)
    shutil.copytree(tiny_pool / "vit", pool / "a broken one")
    weights = pool / "a broken one" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    model = FAMILIES["vit"].build(head=False)
    with torch.no_grad():
        for part in model.parameters():
            part.zero_()
    save_checkpoint(pool / "blind", model, tiny_processor())
    return pool


def run(kind: type[Recommendation], images: Path, pool: Path, cache: Path, **options: object) -> list[Leaderboard]:
    settings: dict[str, object] = {"cache_dir": cache, "progress": False, "dtype": "float32", **options}
    return list(kind(images, pool, **settings))  # type: ignore[arg-type]


def timeless(row: RankedCheckpoint) -> RankedCheckpoint:
    return replace(row, images_per_s=None)


def said(board: Leaderboard) -> tuple[list[RankedCheckpoint], tuple[object, ...], bool]:
    return [timeless(row) for row in board.rows], board.skipped, board.is_complete


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "n_rows", "stages"),
    [
        ({}, 3, {"a broken one": "load", "blind": "extract"}),
        ({"budget": "100%"}, 3, {"a broken one": "load", "blind": "extract"}),
        ({"budget": "40%"}, 3, {"a broken one": "load", "blind": "extract"}),
        # Of those without a head there is none, which their scores tell.
        ({"score": "leep"}, 2, {"a broken one": "load", "blind": "extract", "dinov2": "score"}),
    ],
)
def test_every_board_is_the_same(
    options: dict[str, str], n_rows: int, stages: dict[str, str], colour_folder: Path, pool: Path, tmp_path: Path
) -> None:
    in_turn = run(Recommendation, colour_folder, pool, tmp_path / "in turn", batch_size=3, **options)
    beside = run(Beside, colour_folder, pool, tmp_path / "beside", batch_size=3, **options)
    assert [said(board) for board in beside] == [said(board) for board in in_turn]
    assert len(beside[-1].rows) == n_rows
    assert {Path(skip.checkpoint).name: skip.stage for skip in beside[-1].skipped} == stages


def scoring_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("lead-hub-score")]


@pytest.mark.slow
def test_a_turn_is_scored_beside_the_next_but_the_first_row_is_there_at_once(
    colour_folder: Path, tiny_pool: Path, tmp_path: Path
) -> None:
    told: list[tuple[str, int]] = []
    n_rows: list[int] = []

    def note(progress: RunProgress) -> None:
        told.append((progress.stage, progress.number))

    settings = {"cache_dir": tmp_path, "progress": False, "on_progress": note}
    for board in Beside(colour_folder, tiny_pool, **settings):  # type: ignore[arg-type]
        n_rows.append(len(board.rows))
        assert scoring_threads()
        # The first before the second begins, the second after the passes of the third.
        assert told[-1] == {1: ("score", 1), 2: ("score", 3), 3: ("score", 3)}[len(board.rows)]
    assert n_rows == [1, 2, 3]
    assert not scoring_threads()


@pytest.mark.slow
def test_where_scores_free_the_disk_for_what_follows_they_come_first(
    colour_folder: Path, tiny_pool: Path, tmp_path: Path
) -> None:
    settings = {"cache_dir": tmp_path, "progress": False, "max_disk": "1GB"}
    for board in Beside(colour_folder, tiny_pool, **settings):  # type: ignore[arg-type]
        assert board.rows
        assert not scoring_threads()


@pytest.mark.slow
def test_what_had_its_passes_is_on_the_last_board_of_a_cancelled_run(
    colour_folder: Path, tiny_pool: Path, tmp_path: Path
) -> None:
    over = threading.Event()

    def note(progress: RunProgress) -> None:
        if (progress.stage, progress.number) == ("extract", 3):
            over.set()

    settings = {"cache_dir": tmp_path, "progress": False, "on_progress": note, "cancelled": over.is_set}
    boards = list(Beside(colour_folder, tiny_pool, **settings))  # type: ignore[arg-type]
    assert [len(board.rows) for board in boards] == [1, 2, 2]
    assert not boards[-1].is_complete


@pytest.mark.slow
def test_an_error_of_the_callers_own_ends_the_run(colour_folder: Path, tiny_pool: Path, tmp_path: Path) -> None:
    def fail(progress: RunProgress) -> None:
        if (progress.stage, progress.number) == ("extract", 3):
            raise ZeroDivisionError("the caller's own")

    settings = {"cache_dir": tmp_path, "progress": False, "on_progress": fail}
    boards: Iterator[Leaderboard] = iter(Beside(colour_folder, tiny_pool, **settings))  # type: ignore[arg-type]
    assert [len(next(boards).rows)] == [1]
    with pytest.raises(ZeroDivisionError, match="the caller's own"):
        list(boards)
    assert not scoring_threads()


@pytest.mark.slow
def test_leaving_early_leaves_no_thread(colour_folder: Path, tiny_pool: Path, tmp_path: Path) -> None:
    boards = iter(Beside(colour_folder, tiny_pool, cache_dir=tmp_path, progress=False))
    next(boards)
    next(boards)
    boards.close()  # type: ignore[attr-defined]  # a generator
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("lead-hub")]


@dataclass
class Shared:
    """The part of the main process of a run of two, of which the other is never there."""

    images: Path
    cache: Path
    works_beside: bool
    on_progress: Callable[[RunProgress], object] | None = None
    cancelled: Callable[[], bool] = bool
    store: TCPStore = field(default_factory=lambda: TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False))

    loaded_ahead: list[str] = field(default_factory=list)

    def needs_weights(self, candidate: Candidate, _files: CheckpointFiles) -> bool:
        if threading.current_thread().name.startswith("lead-hub-load"):
            self.loaded_ahead.append(Path(candidate.checkpoint).name)
        return True

    def boards(self, candidates: list[Candidate]) -> list[Leaderboard]:
        self.store.set("left 1", "")
        queue = WorkQueue(self.store, process_index=0, n_processes=2, lost_s=0.1)
        access = Access(self.cache, progress=False, cancelled=self.cancelled)
        processes = OneProcess(torch.device("cpu"))
        follower = RunFollower(len(candidates), access=access, on_progress=self.on_progress)
        extraction = ExtractionSettings(dtype="float32", works_beside=self.works_beside)
        with closing(load_labelled_images(DatasetQuery(str(self.images)), access)) as images:
            outputs_of = OutputsOfImages(
                images, extraction, access=access, processes=processes, with_network_kernel=False
            )
            files = taken_in_turn(Downloads(candidates, access, self.needs_weights), queue)
            edges = RunEdges(access, processes, follower, SpentBudget(None, n_candidates=len(candidates)))
            scoring = TurnScoring(edges, outputs_of, files, None, methods=("lead",), seed=0)
            ranking = FullRun(images, None, candidates, seed=0)
            shared = SharedRun(queue, scoring, ranking, candidates, lambda *_: None)
            empty = empty_board(images, "lead", settings={}, n_candidates=len(candidates))
            with (
                outputs_of.networks.running(),
                files.running(),
                follower.ranks(n_images=36, device="cpu", shown=False),
            ):
                return list(shared.boards(empty, candidates))


@pytest.mark.slow
def test_every_board_of_a_shared_run_is_the_same(colour_folder: Path, pool: Path, tmp_path: Path) -> None:
    candidates = [Candidate(str(folder)) for folder in sorted(pool.iterdir())]
    in_turn, beside = (
        Shared(colour_folder, tmp_path / str(works_beside), works_beside).boards(candidates)
        for works_beside in (False, True)
    )
    assert [said(board) for board in beside] == [said(board) for board in in_turn]
    assert [Path(skip.checkpoint).name for skip in beside[-1].skipped] == ["a broken one", "blind"]
    assert not scoring_threads()


def copies_of(checkpoint: Path, names: str, folder: Path) -> list[Candidate]:
    for name in names:
        (folder / name).symlink_to(checkpoint)
    return [Candidate(str(folder / name)) for name in names]


@pytest.mark.slow
def test_a_turn_over_which_a_process_was_lost_takes_no_other_with_it(
    colour_folder: Path, tiny_pool: Path, tmp_path: Path
) -> None:
    """Of four turns the third is told before the last begins, which may have ended the process that had it."""
    candidates = copies_of(tiny_pool / "vit", "abcd", tmp_path)
    told: dict[str, list[bool]] = {}

    def note(progress: RunProgress) -> None:
        if progress.stage == "download":
            name = Path(progress.checkpoint).name
            told[name] = [shared.store.check([f"answered {piece}"]) for piece in range(4)]

    shared = Shared(colour_folder, tmp_path / "cache", works_beside=True, on_progress=note)
    shared.store.set("holder 3", "1")
    shared.store.add("takers 3", 1)
    last = shared.boards(candidates)[-1]
    assert told["a"] == [False] * 4
    assert told["b"] == [True, False, False, False]
    assert told["c"][::2] == [True, False]  # the second is scored meanwhile
    assert told["d"] == [True, True, True, False]
    assert len(last.rows) == 4


@pytest.mark.slow
def test_of_several_processes_each_loads_ahead_what_it_has_next(
    colour_folder: Path, tiny_pool: Path, tmp_path: Path
) -> None:
    """As long as there is a piece for each of the two: of six the second to the fifth are taken one ahead."""
    pool = sorted(pool_of(6, tiny_pool / "vit", tmp_path / "pool").iterdir())
    candidates = [Candidate(str(folder)) for folder in pool]
    shared = Shared(colour_folder, tmp_path / "cache", works_beside=True)
    last = shared.boards(candidates)[-1]
    assert len(last.rows) == 6
    assert shared.loaded_ahead == [folder.name for folder in pool[1:5]]
    in_turn = Shared(colour_folder, tmp_path / "in turn", works_beside=False)
    assert said(in_turn.boards(candidates)[-1]) == said(last)
    assert in_turn.loaded_ahead == []


@pytest.mark.slow
def test_what_may_have_ended_a_process_is_not_held_beside_another(
    colour_folder: Path, tiny_pool: Path, tmp_path: Path
) -> None:
    candidates = copies_of(tiny_pool / "vit", "abcdef", tmp_path)
    holders: dict[str, str] = {}

    def note(progress: RunProgress) -> None:
        if progress.stage == "load":
            holders[Path(progress.checkpoint).name] = shared.store.get("holder 1").decode()

    shared = Shared(colour_folder, tmp_path / "cache", works_beside=True, on_progress=note)
    shared.store.add("takers 1", 1)  # by a process that was killed before it said that it has it
    last = shared.boards(candidates)[-1]
    assert len(last.rows) == 6
    assert holders["a"] == ""
    assert "b" not in shared.loaded_ahead
    assert shared.store.add("takers 1", 0) == 2


@pytest.mark.parametrize(
    ("device", "fills", "asked"),
    [
        ("cpu", None, ["cpu"]),
        ("mps", None, ["cpu"]),  # which has no double precision
        ("cuda", None, ["cuda"]),
        ("cuda", torch.OutOfMemoryError("tried to allocate 3 GiB"), ["cuda", "cpu"]),
        ("cuda", RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"), ["cuda", "cpu"]),
    ],
)
def test_scores_are_of_the_processor_where_the_gpu_is_full(
    device: str, fills: Exception | None, asked: list[str]
) -> None:
    tried: list[str] = []

    def work(place: torch.device) -> str:
        tried.append(place.type)
        if fills and place.type == "cuda":
            raise fills
        return place.type

    assert where_memory_suffices(torch.device(device), work) == asked[-1]
    assert tried == asked


def test_what_else_goes_wrong_on_a_gpu_is_no_want_of_memory() -> None:
    def work(_place: torch.device) -> None:
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        where_memory_suffices(torch.device("cuda"), work)


@pytest.mark.slow
def test_a_piece_that_another_process_has_done_meanwhile_is_not_done_again(
    colour_folder: Path, tiny_pool: Path, tmp_path: Path
) -> None:
    """The process did not beat for a while, and the piece that it had reserved was taken and answered."""
    candidates = copies_of(tiny_pool / "vit", "abcdef", tmp_path)
    begun: list[str] = []

    def note(progress: RunProgress) -> None:
        if progress.stage == "download":
            begun.append(Path(progress.checkpoint).name)
        if begun == ["a"] and progress.stage == "load":
            other = WorkQueue(shared.store, process_index=1, n_processes=2)
            other.answer(1, CandidateError("the other process could not read it", stage="load"))

    shared = Shared(colour_folder, tmp_path / "cache", works_beside=True, on_progress=note)
    last = shared.boards(candidates)[-1]
    assert begun == list("acdef")
    assert [Path(row.checkpoint).name for row in last.rows] == list("acdef")
    assert [Path(skip.checkpoint).name for skip in last.skipped] == ["b"]


@pytest.mark.slow
def test_files_come_in_the_order_in_which_they_are_needed(
    hub: HubServer, colour_folder: Path, tiny_pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where what is fetched ahead must wait for room until its turn."""
    monkeypatch.setattr(downloads, "AHEAD_BYTES", 1)
    pool = sorted(pool_of(5, tiny_pool / "vit", tmp_path / "pool").iterdir())
    names = [f"org/{folder.name}" for folder in pool]
    candidates = [
        Candidate(name, revision=hub.add_repo(name, folder=folder)) for name, folder in zip(names, pool, strict=True)
    ]
    shared = Shared(colour_folder, tmp_path / "cache", works_beside=True)
    last = shared.boards(candidates)[-1]
    assert last.is_complete
    assert [row.checkpoint for row in last.rows] == names
    # The fourth is fetched at its turn: the fifth, which this process was to have, waits for room before it.
    assert shared.loaded_ahead[:2] == ["01", "02"]


@pytest.mark.slow
def test_what_had_its_passes_is_on_the_last_board_of_a_cancelled_shared_run(
    colour_folder: Path, tiny_pool: Path, tmp_path: Path
) -> None:
    over = threading.Event()

    def note(progress: RunProgress) -> None:
        if (progress.stage, Path(progress.checkpoint).name) == ("extract", "02"):
            over.set()

    pool = sorted(pool_of(4, tiny_pool / "vit", tmp_path / "pool").iterdir())
    shared = Shared(colour_folder, tmp_path / "cache", works_beside=True, on_progress=note, cancelled=over.is_set)
    last = shared.boards([Candidate(str(folder)) for folder in pool])[-1]
    assert sorted(Path(row.checkpoint).name for row in last.rows) == ["00", "01"]

"""A race that two processes share, seen between its stages: what changes there changes neither board nor requests."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from torch.distributed import TCPStore

from lead_hub import Leaderboard, recommend
from lead_hub.processes import meeting_point
from tests.cli.test_interrupted import pool_of
from tests.loopback_hub import HubServer

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
N_CHECKPOINTS = 16  # eight for each of two processes, or they share the images of each; the stages have 9, 18 and 36
SCRIPT = """
import json, sys
from lead_hub import recommend
from lead_hub.processes import running_processes
images, cache, budget, pause, *candidates = sys.argv[1:]
is_main = running_processes().is_main_process
boards = recommend(images, candidates, budget=budget, cache_dir=cache, progress=False, stream=True)
for number, board in enumerate(boards, start=1):
    if is_main and number == int(pause):
        print("paused", flush=True)
        sys.stdin.readline()
if is_main:
    print(json.dumps(board.to_document()))
"""


@pytest.fixture(scope="module")
def pool(tiny_pool: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pool_of(N_CHECKPOINTS, tiny_pool / "vit", tmp_path_factory.mktemp("many"))


def raced(
    images: Path,
    candidates: Sequence[object],
    cache: Path,
    *,
    budget: str = "100%",
    n_first: int = N_CHECKPOINTS,
    meanwhile: Callable[[], object] = lambda: None,
) -> Leaderboard:
    """The board of a race of two processes; after its first stage, of so many checkpoints, something happens."""
    arguments = [str(images), str(cache), budget, str(n_first), *map(str, candidates)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    meeting = os.environ | meeting_point(2, store.port, on_cpu=True)
    main, other = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, *arguments],
            env=meeting | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            text=True,
            cwd=ROOT,
            **pipes,
        )
        for rank in range(2)
    ]
    assert main.stdout is not None
    assert main.stdout.readline() == "paused\n", main.communicate()
    meanwhile()
    stdout, stderr = main.communicate("\n", timeout=900)
    assert stdout, stderr
    assert other.communicate(timeout=900)[0] == ""
    return untimed(Leaderboard.from_document(json.loads(stdout)))


def raced_alone(
    images: Path,
    candidates: Sequence[object],
    cache: Path,
    *,
    budget: str = "100%",
    n_first: int = N_CHECKPOINTS,
    meanwhile: Callable[[], object] = lambda: None,
) -> Leaderboard:
    """The same of this process alone."""
    names = [*map(str, candidates)]
    boards = iter(recommend(images, names, budget=budget, cache_dir=cache, progress=False, stream=True))
    board = list(islice(boards, n_first))[-1]
    meanwhile()
    for board in boards:  # noqa: B007 - the last one
        pass
    return untimed(Leaderboard.from_document(json.loads(json.dumps(board.to_document()))))


def untimed(board: Leaderboard) -> Leaderboard:
    """The board without what differs between two runs."""
    return replace(board, rows=tuple(replace(row, images_per_s=None) for row in board.rows))


def gone(hub: HubServer) -> None:
    hub.repositories.clear()


def moved(hub: HubServer) -> None:
    for _, name in hub.repositories:
        settings = hub.repo(name).files_at(hub.repo(name).head)["preprocessor_config.json"]
        changed = {**json.loads(settings), "image_mean": [0.9] * 3}
        hub.commit(name, files={"preprocessor_config.json": json.dumps(changed).encode()})


@pytest.mark.parametrize("change", [moved, gone])
def test_all_stages_see_the_commit_of_the_first(
    hub: HubServer, colour_folder: Path, pool: Path, tmp_path: Path, change: Callable[[HubServer], None]
) -> None:
    first = {f"org/{folder.name}": hub.add_repo(f"org/{folder.name}", folder=folder) for folder in pool.iterdir()}
    expected = raced_alone(colour_folder, [*first], tmp_path / "one")
    assert {row.n_images for row in expected.rows} == {None}
    found = raced(colour_folder, [*first], tmp_path / "two", meanwhile=lambda: change(hub))
    assert {row.checkpoint: row.sha for row in found.rows} == first
    assert found == expected


def test_a_checkpoint_that_fails_later_costs_itself_alone(colour_folder: Path, pool: Path, tmp_path: Path) -> None:
    own = shutil.copytree(pool, tmp_path / "pool")
    candidates = sorted(own.iterdir())
    damaged = [candidates[place] / "model.safetensors" for place in (3, 4, 11)]
    weights = damaged[0].read_bytes()

    def damage() -> None:
        for file in damaged:
            file.write_bytes(weights[:200])

    expected = raced_alone(colour_folder, candidates, tmp_path / "one", meanwhile=damage)
    for file in damaged:
        file.write_bytes(weights)
    found = raced(colour_folder, candidates, tmp_path / "two", meanwhile=damage)
    failed = {row.checkpoint: row for row in found.rows if row.n_images is not None}
    assert set(failed) == {str(file.parent) for file in damaged}
    assert {row.n_images for row in failed.values()} == {9}
    assert all("judged on 9 of 36 images; on more it failed: " in row.note for row in failed.values())
    assert not found.skipped
    assert found == expected


def test_a_budget_of_downloads_is_kept_though_the_repositories_move(
    hub: HubServer, colour_folder: Path, pool: Path, tmp_path: Path
) -> None:
    names = [f"org/{folder.name}" for folder in sorted(pool.iterdir())]
    for name in names:
        hub.add_repo(name, folder=pool / name.removeprefix("org/"))
    size_bytes = (pool / "00" / "model.safetensors").stat().st_size
    budget = {"budget": f"{(5.5 * size_bytes) / 1e6:.6f}MB", "n_first": 5}
    expected = raced_alone(colour_folder, names, tmp_path / "one", **budget)  # type: ignore[arg-type]
    hub.requests.clear()
    found = raced(colour_folder, names, tmp_path / "two", **budget, meanwhile=lambda: moved(hub))  # type: ignore[arg-type]
    fetched = [each for each in hub.requests if "model.safetensors" in each.path and each.status in (200, 206)]
    assert len([each for each in fetched if each.method == "GET"]) == 5
    assert (len(found.rows), len(found.skipped)) == (5, 11)
    assert found == expected


# Of 16 x 36 passes 1% are 5, fewer than the nine of one first turn; 27% leave eleven after the first stage: one turn.
@pytest.mark.parametrize(("budget", "n_rows", "n_first"), [("1%", 0, 1), ("27%", N_CHECKPOINTS, N_CHECKPOINTS)])
def test_a_stage_of_nobody_and_one_of_fewer_than_the_processes(
    colour_folder: Path, pool: Path, tmp_path: Path, budget: str, n_rows: int, n_first: int
) -> None:
    candidates = sorted(pool.iterdir())
    expected = raced_alone(colour_folder, candidates, tmp_path / "one", budget=budget, n_first=n_first)
    found = raced(colour_folder, candidates, tmp_path / "two", budget=budget, n_first=n_first)
    assert (len(found.rows), len(found.skipped)) == (n_rows, N_CHECKPOINTS - n_rows)
    assert len([row for row in found.rows if row.n_images == 18]) == min(1, n_rows)
    assert found == expected

"""A race that two processes share, seen between its stages: what changes there changes neither board nor requests."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch.distributed import TCPStore

from lead_hub import Leaderboard
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
    n_processes: int,
    budget: str = "100%",
    meanwhile: Callable[[], object] = lambda: None,
) -> Leaderboard:
    """The board of a race, without what differs between two runs; after its first stage something happens."""
    arguments = [str(images), str(cache), budget, str(N_CHECKPOINTS), *map(str, candidates)]
    command = [sys.executable, "-c", SCRIPT, *arguments]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    meeting = meeting_point(n_processes, store.port, on_cpu=True) if n_processes > 1 else {}
    processes = [
        subprocess.Popen(
            command,
            text=True,
            cwd=ROOT,
            env={**os.environ, **meeting, **({"RANK": str(rank), "LOCAL_RANK": str(rank)} if meeting else {})},
            **pipes,
        )
        for rank in range(n_processes)
    ]
    main, *others = processes
    assert main.stdout is not None
    assert main.stdout.readline() == "paused\n", main.communicate()
    meanwhile()
    stdout, stderr = main.communicate("\n", timeout=900)
    assert stdout, stderr
    for other in others:
        assert other.communicate(timeout=900)[0] == ""
    board = Leaderboard.from_document(json.loads(stdout))
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
    expected = raced(colour_folder, [*first], tmp_path / "one", n_processes=1)
    assert {row.n_images for row in expected.rows} == {None}
    found = raced(colour_folder, [*first], tmp_path / "two", n_processes=2, meanwhile=lambda: change(hub))
    assert {row.checkpoint: row.sha for row in found.rows} == first
    assert found == expected

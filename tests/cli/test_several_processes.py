"""One command, several processes of it: the board of one, also where some of them die."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from torch.distributed import TCPStore

from lead_hub import Leaderboard
from lead_hub.processes import meeting_point
from tests.cli.test_interrupted import pool_of

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
N_CHECKPOINTS = 24
FROM_CACHE = "from cache"


@pytest.fixture(scope="module")
def pool(tiny_pool: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pool_of(N_CHECKPOINTS, tiny_pool / "vit", tmp_path_factory.mktemp("many"))


def started(
    images: Path, pool: Path, cache: Path, *options: str, environment: Mapping[str, str] = MappingProxyType({})
) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "lead_hub", "recommend", str(images), "-c", str(pool), "--cache-dir", str(cache)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": os.environ | environment}
    return subprocess.Popen([*command, *options], text=True, cwd=ROOT, **pipes)


def ended(process: subprocess.Popen[str]) -> tuple[int, dict[str, Any], str]:
    """The exit code, the board without what differs between two runs of one command, and what else was said.

    What a killed process had kept is not computed again: its row then comes from the cache, and says so.
    """
    stdout, stderr = process.communicate(timeout=900)
    assert stdout, stderr
    board = Leaderboard.from_document(json.loads(stdout))
    untimed = tuple(replace(row, images_per_s=None, note=row.note.replace(FROM_CACHE, "")) for row in board.rows)
    return process.returncode, replace(board, rows=untimed).to_document(), stderr


def wait_for(process: subprocess.Popen[str], cache: Path, n_outputs: int) -> None:
    deadline = time.monotonic() + 900
    while len(list(cache.glob("outputs/*.safetensors"))) < n_outputs:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def test_the_board_of_one_process_though_one_of_four_is_killed(colour_folder: Path, pool: Path, tmp_path: Path) -> None:
    _, expected, _ = ended(started(colour_folder, pool, tmp_path / "one"))
    process = started(colour_folder, pool, tmp_path / "four", "--processes", "4")
    wait_for(process, tmp_path / "four", 2)
    others = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(others) == 3
    os.kill(int(others[0]), signal.SIGKILL)
    code, board, said = ended(process)
    assert (code, board) == (0, expected)
    assert "warning: a process of the run died (-9: it said nothing); the others did its share" in said


# Seven checkpoints or more for each process, or they share the images of each.
# Of 24 x 36 passes the first stage, of nine images, takes 216; 30% leave 43 for the second: four of nine more images.
@pytest.mark.parametrize(("budget", "stages"), [("100%", {None}), ("30%", {9, 18})])
def test_a_race_of_one_process_though_one_of_three_is_killed(
    colour_folder: Path, pool: Path, tmp_path: Path, budget: str, stages: set[int | None]
) -> None:
    _, expected, _ = ended(started(colour_folder, pool, tmp_path / "one", "--budget", budget))
    assert {row["n_images"] for row in expected["rows"]} == stages
    process = started(colour_folder, pool, tmp_path / "three", "--budget", budget, "--processes", "3")
    wait_for(process, tmp_path / "three", 2)
    others = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(others[0]), signal.SIGKILL)
    code, board, said = ended(process)
    assert (code, board) == (0, expected), said
    assert "the others did its share" in said


def test_each_process_of_a_race_runs_checkpoints_of_its_own(colour_folder: Path, pool: Path, tmp_path: Path) -> None:
    """Whoever shared the images of each would be told of every checkpoint of a stage."""
    script = (
        "import os, sys; from lead_hub import recommend; told = set();"
        "recommend(sys.argv[1], sys.argv[2], budget='100%', cache_dir=sys.argv[3], progress=False,"
        " on_progress=lambda one: told.add((one.total_images, one.checkpoint)) if one.stage == 'score' else None);"
        "print(len([each for each in told if each[0] == 9]), len(told))"
    )
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    processes = []
    for rank in range(2):
        own = {"RANK": str(rank), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": "2"}
        environment = os.environ | meeting_point(2, store.port, on_cpu=True) | own
        command = [sys.executable, "-c", script, str(colour_folder), str(pool), str(tmp_path / "cache")]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment}
        processes.append(subprocess.Popen(command, text=True, cwd=ROOT, **pipes))
    counts = [[int(number) for number in one.communicate(timeout=900)[0].split()] for one in processes]
    assert all(1 <= n_first < N_CHECKPOINTS for n_first, _ in counts), counts
    # The second stage adds nine images as well: of a candidate that is in both, both are told as one.
    assert sum(n_first for n_first, _ in counts) >= N_CHECKPOINTS


@pytest.mark.parametrize("budget", ["none", "100%"])
def test_ctrl_c_ends_all_processes_with_the_board_so_far(
    colour_folder: Path, pool: Path, tmp_path: Path, budget: str
) -> None:
    options = ("--processes", "2", "--budget", budget, "--quiet", "--json")
    process = started(colour_folder, pool, tmp_path / "cache", *options)
    wait_for(process, tmp_path / "cache", 2)
    process.send_signal(signal.SIGINT)
    code, board, said = ended(process)
    assert code == 130
    assert 1 <= len(board["rows"]) < N_CHECKPOINTS
    assert "Stopping" in said
    assert "warning" not in said


def test_bad_input_is_said_once(pool: Path, tmp_path: Path) -> None:
    process = started(tmp_path / "no images here", pool, tmp_path / "cache", "--processes", "2")
    stdout, stderr = process.communicate(timeout=900)
    assert (process.returncode, stdout) == (2, "")
    assert stderr.count("error:") == 1


def test_the_board_of_one_process_though_one_of_two_machines_is_lost(
    colour_folder: Path, pool: Path, tmp_path: Path
) -> None:
    """Two processes each, with disks of their own, that meet at a store which outlives them: one machine is killed."""
    _, expected, _ = ended(started(colour_folder, pool, tmp_path / "one"))
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    processes = []
    for rank in range(4):
        machine, local_rank = divmod(rank, 2)
        disk = tmp_path / f"machine-{machine}"
        (disk / "tmp").mkdir(parents=True, exist_ok=True)
        meeting = {
            **meeting_point(4, store.port, on_cpu=True),
            **{"RANK": str(rank), "LOCAL_RANK": str(local_rank), "LOCAL_WORLD_SIZE": "2", "GROUP_RANK": str(machine)},
            **{"HF_HOME": str(disk / "home"), "TMPDIR": str(disk / "tmp")},
        }
        processes.append(started(colour_folder, pool, disk / "cache", environment=meeting))
    first, lost = processes[0], tmp_path / "machine-1" / "cache"
    wait_for(first, lost, 1)
    for process in processes[2:]:
        process.kill()
        process.communicate()
    code, board, said = ended(first)
    assert (code, board) == (0, expected), said
    assert processes[1].wait(timeout=900) == 0
    assert processes[1].communicate()[0] == ""
    assert 1 <= len(list(lost.glob("outputs/*.safetensors"))) < N_CHECKPOINTS

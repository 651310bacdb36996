"""Runs on the command line that are interrupted, killed, or share a cache with another one."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lead_hub import Leaderboard
from lead_hub.cli.boards import Interrupts
from tests.loopback_hub import HubServer
from tests.loopback_hub.faults import Fault

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def pool_of(number: int, template: Path, folder: Path) -> Path:
    """Copies of a checkpoint, each with another normalisation and so another checkpoint for the cache."""
    for copy in range(number):
        checkpoint = shutil.copytree(template, folder / f"{copy:02}")
        settings = json.loads((checkpoint / "preprocessor_config.json").read_text())
        settings["image_mean"] = [copy / 100] * 3
        (checkpoint / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder


def started(images: Path, pool: Path, cache: Path, *, until: int = 0) -> subprocess.Popen[str]:
    """A run in a process of its own, with at least so many outputs in its cache."""
    command = [sys.executable, "-m", "lead_hub", "recommend", str(images), "-c", str(pool), "--cache-dir", str(cache)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    deadline = time.monotonic() + 200
    while len(list(cache.glob("outputs/*.safetensors"))) < until:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    return process


def board_of(process: subprocess.Popen[str]) -> tuple[int, Leaderboard]:
    stdout, stderr = process.communicate(timeout=200)
    assert stdout, stderr
    return process.returncode, Leaderboard.from_document(json.loads(stdout))


def test_ctrl_c_shows_the_board_so_far(colour_folder: Path, tiny_pool: Path, tmp_path: Path) -> None:
    pool, cache = pool_of(60, tiny_pool / "vit", tmp_path / "pool"), tmp_path / "cache"
    process = started(colour_folder, pool, cache, until=2)
    process.send_signal(signal.SIGINT)
    code, board = board_of(process)
    assert code == 130
    assert 1 <= len(board.rows) < 60
    assert not board.is_complete
    assert not list(cache.glob("outputs/.*"))


def test_ctrl_c_while_the_dataset_is_read_ends_without_a_board(
    hub: HubServer, colour_folder: Path, tiny_pool: Path, tmp_path: Path
) -> None:
    hub.add_repo("org/colours", kind="dataset", folder=colour_folder)
    hub.add_fault(Fault("slow", match=".png", times=None, seconds=0.5))
    command = [sys.executable, "-m", "lead_hub", "recommend", "org/colours", "-c", str(tiny_pool)]
    environment = os.environ | {"HF_HOME": str(tmp_path / "home")}
    process = subprocess.Popen(
        [*command, "--cache-dir", str(tmp_path / "cache")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
    )
    deadline = time.monotonic() + 200
    while not any(".png" in request.path for request in hub.requests):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (130, ""), stderr
    assert "Stopping" in stderr
    assert "Traceback" not in stderr


def test_the_second_ctrl_c_ends_the_run_at_once() -> None:
    before = signal.getsignal(signal.SIGINT)  # a shell's background jobs ignore it
    interrupts = Interrupts()
    with interrupts.noted():
        with pytest.raises(KeyboardInterrupt):  # nobody looks out for it yet
            signal.raise_signal(signal.SIGINT)
        interrupts = Interrupts()
    with interrupts.noted():
        assert not interrupts()
        signal.raise_signal(signal.SIGINT)
        assert interrupts()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_killed_run_loses_nothing_that_was_finished(colour_folder: Path, tiny_pool: Path, tmp_path: Path) -> None:
    pool, cache = pool_of(30, tiny_pool / "vit", tmp_path / "pool"), tmp_path / "cache"
    process = started(colour_folder, pool, cache, until=2)
    process.kill()
    process.communicate()
    finished = len(list(cache.glob("outputs/*.safetensors")))
    code, board = board_of(started(colour_folder, pool, cache))
    assert code == 0
    assert len(board.rows) == 30
    assert sum(row.note == "from cache" for row in board.rows) == finished < 30


def test_two_runs_at_once_share_a_cache_without_harm(colour_folder: Path, tiny_pool: Path, tmp_path: Path) -> None:
    pool, cache = pool_of(8, tiny_pool / "resnet", tmp_path / "pool"), tmp_path / "cache"
    (code, board), (other_code, other) = map(board_of, [started(colour_folder, pool, cache) for _ in range(2)])
    assert code == other_code == 0
    assert [(row.checkpoint, row.score) for row in board.rows] == [(row.checkpoint, row.score) for row in other.rows]
    assert len(list((cache / "outputs").iterdir())) == 8

"""recommend() by Hub ids alone: the real client against a Hub on loopback, then again without any Hub."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lead_hub import Leaderboard
from tests.loopback_hub import Repository, loopback_hub

ROOT = Path(__file__).parents[1]
TOKEN = "hf_thisTokenMustNeverBeWrittenAnywhere"
DATASET_SHA, RESNET_SHA, VIT_SHA = "a" * 40, "b" * 40, "c" * 40
CANDIDATES = ["org/resnet", f"org/vit@{VIT_SHA}", "org/vit@nowhere", "org/gated", "org/missing"]

RECOMMEND = """
import sys
from lead_hub import recommend
board = recommend("org/colours", sys.argv[2].split(","), token=sys.argv[3], progress=False)
board.save(sys.argv[1])
"""


def recommend_there(endpoint: str, home: Path, board: Path, *, offline: bool) -> tuple[Leaderboard, str]:
    """The board of a fresh process, because the endpoint is read at import; and what the process printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1"}
    environment |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": str(int(offline)), "PYTHONPATH": str(ROOT)}
    finished = subprocess.run(
        [sys.executable, "-c", RECOMMEND, str(board), ",".join(CANDIDATES), TOKEN],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return Leaderboard.load(board), finished.stdout + finished.stderr


@pytest.fixture(scope="module")
def runs(
    tmp_path_factory: pytest.TempPathFactory, colour_folder: Path, tiny_pool: Path
) -> tuple[Leaderboard, Leaderboard, list[str], Path]:
    """The board with a Hub, the board of the same call without one, the requests, and all that was written."""
    folder = tmp_path_factory.mktemp("hub")
    repositories = {
        "org/colours": Repository(colour_folder, DATASET_SHA),
        "org/resnet": Repository(tiny_pool / "resnet", RESNET_SHA),
        "org/vit": Repository(tiny_pool / "vit", VIT_SHA),
        "org/gated": Repository(tiny_pool / "vit", "d" * 40, refusal=(403, "GatedRepo")),
    }
    with loopback_hub(repositories) as (endpoint, requests):
        online, printed = recommend_there(endpoint, folder / "home", folder / "online.json", offline=False)
    offline, printed_offline = recommend_there(endpoint, folder / "home", folder / "offline.json", offline=True)
    (folder / "printed.txt").write_text(printed + printed_offline)
    return online, offline, requests, folder


def test_checkpoints_and_dataset_are_pinned_to_their_commits(runs: tuple[Leaderboard, ...]) -> None:
    online = runs[0]
    assert online.dataset.sha == DATASET_SHA
    assert {row.checkpoint: row.sha for row in online.rows} == {"org/resnet": RESNET_SHA, "org/vit": VIT_SHA}


def test_every_refusal_says_what_to_do(runs: tuple[Leaderboard, ...]) -> None:
    reasons = {(skip.checkpoint, skip.revision): skip for skip in runs[0].skipped}
    assert {skip.stage for skip in reasons.values()} == {"download"}
    assert "this revision does not" in reasons["org/vit", "nowhere"].reason
    assert "ask for access on its Hub page" in reasons["org/gated", None].reason
    assert "the Hub has no such model, or it is private" in reasons["org/missing", None].reason


def test_only_needed_files_are_asked_for_at_the_commit(runs: tuple[Leaderboard, Leaderboard, list[str], Path]) -> None:
    files = {request.rpartition("/")[2] for request in runs[2] if f"/resolve/{RESNET_SHA}/" in request}
    assert {"config.json", "preprocessor_config.json", "model.safetensors"} <= files
    assert not [request for request in runs[2] if "/org/resnet/resolve/main" in request]


def test_without_a_hub_the_same_board_comes_from_the_caches(runs: tuple[Leaderboard, ...]) -> None:
    online, offline = runs[:2]
    assert [(row.checkpoint, row.sha, row.score) for row in online.rows] == [
        (row.checkpoint, row.sha, row.score) for row in offline.rows
    ]
    assert {row.note for row in offline.rows} == {"from cache"}
    assert {skip.stage for skip in offline.skipped} == {"download"}


def test_the_token_is_written_nowhere(runs: tuple[Leaderboard, Leaderboard, list[str], Path]) -> None:
    written = [path for path in runs[3].rglob("*") if path.is_file()]
    assert any(path.suffix == ".safetensors" for path in written)
    assert json.loads((runs[3] / "online.json").read_text())["settings"]["seed"] == 0
    assert [path for path in written if TOKEN.encode() in path.read_bytes()] == []

"""recommend() by Hub ids alone: the real client against a Hub on loopback, then again without any Hub."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from lead_hub import Leaderboard
from tests.loopback_hub import HubServer
from tests.loopback_hub.wire import Request

pytestmark = pytest.mark.slow

RECOMMEND = """
import sys
from lead_hub import recommend
board = recommend("org/colours", sys.argv[2].split(","), token=sys.argv[3], progress=False)
board.save(sys.argv[1])
"""


@dataclass(frozen=True)
class Runs:
    """The board with a Hub, the board of the same call without one, and all that was asked for and written."""

    online: Leaderboard
    offline: Leaderboard
    shas: dict[str, str]
    requests: list[Request]
    folder: Path
    token: str


def recommend_there(environment: dict[str, str], board: Path, candidates: list[str], token: str) -> str:
    """Save the board of a fresh process, because the endpoint is read at import; gives what the process printed."""
    finished = subprocess.run(
        [sys.executable, "-c", RECOMMEND, str(board), ",".join(candidates), token],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout + finished.stderr


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, colour_folder: Path, tiny_pool: Path) -> Runs:
    folder = tmp_path_factory.mktemp("hub")
    with HubServer() as hub:
        token = hub.add_user("bob")
        shas = {
            "org/colours": hub.add_repo("org/colours", kind="dataset", folder=colour_folder),
            "org/resnet": hub.add_repo("org/resnet", folder=tiny_pool / "resnet"),
            "org/vit": hub.add_repo("org/vit", folder=tiny_pool / "vit"),
        }
        hub.commit("org/vit", files={"README.md": b"A later commit than the one that is asked for."})
        hub.add_repo("org/gated", folder=tiny_pool / "vit", gated="manual")
        candidates = ["org/resnet", f"org/vit@{shas['org/vit']}", "org/vit@nowhere", "org/gated", "org/missing"]
        there = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(folder / "home")}
        printed = recommend_there(there, folder / "online.json", candidates, token)
        requests = list(hub.requests)
    printed += recommend_there(there | {"HF_HUB_OFFLINE": "1"}, folder / "offline.json", candidates, token)
    (folder / "printed.txt").write_text(printed)
    boards = (Leaderboard.load(folder / name) for name in ("online.json", "offline.json"))
    return Runs(*boards, shas, requests, folder, token)


def test_checkpoints_and_dataset_are_pinned_to_their_commits(runs: Runs) -> None:
    assert runs.online.dataset.sha == runs.shas["org/colours"]
    ranked = {row.checkpoint: row.sha for row in runs.online.rows}
    assert ranked == {name: runs.shas[name] for name in ("org/resnet", "org/vit")}


def test_every_refusal_says_what_to_do(runs: Runs) -> None:
    reasons = {(skip.checkpoint, skip.revision): skip for skip in runs.online.skipped}
    assert {skip.stage for skip in reasons.values()} == {"download"}
    assert "has no such revision" in reasons["org/vit", "nowhere"].reason
    assert "accept its terms at" in reasons["org/gated", None].reason
    assert "has no such model for you" in reasons["org/missing", None].reason


def test_only_needed_files_are_asked_for_at_the_commit(runs: Runs) -> None:
    asked = [request.path for request in runs.requests]
    files = {path.rpartition("/")[2] for path in asked if f"/org/resnet/resolve/{runs.shas['org/resnet']}/" in path}
    assert {"config.json", "preprocessor_config.json", "model.safetensors"} <= files
    assert not [path for path in asked if "/org/resnet/resolve/main" in path]


def test_the_token_goes_to_the_hub_and_to_no_other_origin(runs: Runs) -> None:
    """The server of large files refuses whoever brings a token."""
    large = [request for request in runs.requests if request.path.startswith("/_cdn/")]
    assert {request.status for request in large} == {200}
    assert {request.user for request in runs.requests if request not in large} == {"bob"}


def test_without_a_hub_the_same_board_comes_from_the_caches(runs: Runs) -> None:
    assert [(row.checkpoint, row.sha, row.score) for row in runs.online.rows] == [
        (row.checkpoint, row.sha, row.score) for row in runs.offline.rows
    ]
    assert {row.note.partition("; ")[0] for row in runs.offline.rows} == {"from cache"}
    assert {skip.stage for skip in runs.offline.skipped} == {"download"}


def test_the_token_is_written_nowhere(runs: Runs) -> None:
    written = [path for path in runs.folder.rglob("*") if path.is_file()]
    assert any(path.suffix == ".safetensors" for path in written)
    assert json.loads((runs.folder / "online.json").read_text())["settings"]["seed"] == 0
    assert [path for path in written if runs.token.encode() in path.read_bytes()] == []

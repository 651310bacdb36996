"""`lead-hub push`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.loopback_hub import HubServer
from tests.score_cards.boards import BOARD

pytestmark = pytest.mark.slow


def lead_hub(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lead_hub", *arguments], capture_output=True, text=True, check=False, env=os.environ
    )


def test_push_from_a_file(hub: HubServer, tmp_path: Path) -> None:
    token = hub.add_user("alice")
    board = str(BOARD.save(tmp_path / "board.json"))
    planned = lead_hub("push", board, "--to", "alice/scores", "--token", token, "--dry-run")
    assert planned.returncode == 0, planned.stderr
    assert ("dataset", "alice/scores") not in hub.repositories
    done = lead_hub("push", board, "--to", "alice/scores", "--token", token, "--private")
    assert done.returncode == 0, done.stderr
    assert json.loads(planned.stdout)["files"] == json.loads(done.stdout)["files"]
    assert json.loads(planned.stdout)["readme"].startswith("---\n")
    assert hub.repo("alice/scores", kind="dataset").private
    assert "wrote 5 files" in done.stderr
    again = lead_hub("push", board, "--to", "alice/scores", "--token", token)
    assert "holds all of it already" in again.stderr
    assert token not in planned.stdout + planned.stderr + done.stdout + done.stderr + again.stderr


def test_a_refusal_is_plain_words_and_a_code(hub: HubServer, tmp_path: Path) -> None:
    board = str(BOARD.save(tmp_path / "board.json"))
    refused = lead_hub("push", board, "--to", "bob/scores", "--token", hub.add_user("alice"))
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: cannot write score cards to bob/scores: ")
    assert "Traceback" not in refused.stderr

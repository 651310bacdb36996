"""`lead-hub push`."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.loopback_hub import HubServer
from tests.loopback_hub.faults import Fault
from tests.score_cards.boards import BOARD, FAIR, GOOD, board_of

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
    hidden = str(board_of(GOOD, replace(FAIR, checkpoint="alice/hidden", is_private=True)).save(tmp_path / "two.json"))
    # README, table and one card.
    for words in ("wrote 3 files", "holds all of it already: nothing to write"):
        two = lead_hub("push", hidden, "--to", "alice/open", "--token", token)
        assert words in two.stderr
        assert "left out 1 checkpoints that not everybody may read" in two.stderr
    hub.add_fault(Fault("status", match="/api/collections", method="POST", status=403))
    failed = lead_hub("push", hidden, "--to", "alice/open", "--token", token, "--collection")
    assert failed.returncode == 2
    assert json.loads(failed.stdout)["failed"]
    assert "error: the cards are in alice/open, but not all else was done: cannot keep a collection" in failed.stderr
    assert token not in planned.stdout + planned.stderr + done.stdout + done.stderr + again.stderr


def test_a_refusal_is_plain_words_and_a_code(hub: HubServer, tmp_path: Path) -> None:
    board = str(BOARD.save(tmp_path / "board.json"))
    refused = lead_hub("push", board, "--to", "bob/scores", "--token", hub.add_user("alice"))
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: cannot write score cards to bob/scores: ")
    assert "Traceback" not in refused.stderr

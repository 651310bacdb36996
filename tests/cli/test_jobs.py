"""`lead-hub recommend --on-jobs`: what is said and written of a run that happens on the Hub."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_recommend import on_terminal
from tests.loopback_hub import HubServer
from tests.recommendation.job_machine import Machine

pytestmark = pytest.mark.slow
POOL = ("--candidates", "org/vit", "--candidates", "org/resnet", "--max-images", "30")


def recommend(token: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lead_hub", "recommend", "org/colours", "--token", token, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)


@pytest.fixture
def token(hub: HubServer, tiny_pool: Path, colour_folder: Path) -> str:
    hub.add_repo("org/colours", kind="dataset", folder=colour_folder)
    for name in ("vit", "resnet"):
        hub.add_repo(f"org/{name}", folder=tiny_pool / name)
    return hub.add_user("alice")


def test_a_dry_run_tells_the_price_and_starts_nothing(hub: HubServer, token: str) -> None:
    done = recommend(token, *POOL, "--on-jobs", "l4x1", "--jobs", "3", "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    assert "an hour of a Job on l4x1 costs 0.80 USD, of 2 at once 1.60 USD" in done.stderr
    estimate = json.loads(done.stdout)
    # This machine's speed says nothing of a Job's, and the price of an hour times its hours would be nobody's bill.
    assert (estimate["n_checkpoints"], estimate["duration_s"], estimate["full_duration_s"]) == (2, None, None)
    code, seen = on_terminal("recommend", "org/colours", "--token", token, *POOL, "--on-jobs", "l4x1", "--dry-run")
    assert code == 0
    assert "how long Jobs on l4x1 take cannot be told" in " ".join(seen.split())
    assert "of computing here" not in seen
    assert hub.jobs == {}
    assert ("dataset", "alice/lead-scores") not in hub.repositories
    quiet = recommend(token, *POOL, "--on-jobs", "l4x1", "--dry-run", "--json", "-q")
    assert (quiet.returncode, quiet.stderr) == (0, "")
    assert json.loads(quiet.stdout)["job_usd_per_hour"] == pytest.approx(0.8, abs=1e-4)  # 0.013333 a minute


def test_the_board_of_what_came_to_its_end(hub: HubServer, token: str, tmp_path: Path) -> None:
    machine = Machine(hub, tmp_path)
    machine.start()
    board = tmp_path / "board.csv"
    where = ("--on-jobs", "l4x1", "--jobs", "2", "--jobs-to", "alice/colours-ranked")
    done = recommend(token, *POOL, *where, "--json", "--output", str(board))
    machine.join()
    # One of the two Jobs failed: its checkpoint is left out with the reason, as one that fails here.
    assert done.returncode == 0, done.stderr
    assert "1 skipped" in done.stderr
    found = json.loads(done.stdout)
    assert [row["checkpoint"] for row in found["rows"]] == ["org/vit"]
    assert [(skip["checkpoint"], skip["stage"]) for skip in found["skipped"]] == [("org/resnet", "extract")]
    assert "Job 2 of 2 on l4x1, 1 checkpoints" in done.stderr
    assert "Job 1 of 2: completed" in done.stderr
    assert board.read_text().splitlines()[1].split(",")[1] == "org/vit"
    assert hub.repo("alice/colours-ranked", kind="dataset").private
    assert ("dataset", "alice/lead-scores") not in hub.repositories
    assert token not in done.stdout + done.stderr + machine.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--jobs", "2"), "name its hardware with --on-jobs"),
        (("--jobs-to", "alice/ranked"), "name its hardware with --on-jobs"),
        (("--on-jobs", "l4x1", "--jobs", "0"), "the number of Jobs must be at least 1, found 0"),
        (("--on-jobs", "l4x1", "--budget", "5min"), "Jobs do not race"),
        (("--on-jobs", "l4x1", "--device", "cpu"), "a Job has the device of its flavour"),
        (("--on-jobs", "l4x1", "--processes", "2"), "--processes are of a run on this machine"),
        (("--on-jobs", "l4x1", "--dry-run", "--device", "cpu"), "a Job has the device of its flavour"),
    ],
)
def test_what_does_not_fit_together_is_refused_before_it_costs(
    hub: HubServer, token: str, arguments: tuple[str, ...], said: str
) -> None:
    done = recommend(token, *POOL, *arguments)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert said in done.stderr.replace("\n", " ")
    assert hub.jobs == {}

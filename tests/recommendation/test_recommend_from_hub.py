"""recommend() on Hub candidates: what is asked for, what is kept on the disk, and what a Hub that is down does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lead_hub import CandidateQuery, HubError, LeadHubError, recommend
from lead_hub.candidates import Candidate
from tests.loopback_hub import HubServer
from tests.loopback_hub.faults import Fault

NAMES = ("resnet", "vit", "dinov2")


def add_models(hub: HubServer, tiny_pool: Path) -> list[Candidate]:
    return [Candidate(f"org/{name}", revision=hub.add_repo(f"org/{name}", folder=tiny_pool / name)) for name in NAMES]


def asked(hub: HubServer, text: str) -> list[str]:
    return [request.path for request in hub.requests if text in request.path and request.status in (200, 206)]


@pytest.mark.slow
def test_a_second_run_of_pinned_candidates_asks_for_nothing(
    hub: HubServer, tiny_pool: Path, colour_folder: Path, tmp_path: Path
) -> None:
    candidates = add_models(hub, tiny_pool)
    first = recommend(colour_folder, candidates, cache_dir=tmp_path, progress=False)
    assert len(first.rows) == len(NAMES)
    hub.requests.clear()
    second = recommend(colour_folder, candidates, cache_dir=tmp_path, progress=False)
    assert hub.requests == []
    assert [(row.checkpoint, row.score) for row in second.rows] == [(row.checkpoint, row.score) for row in first.rows]


@pytest.mark.slow
def test_known_outputs_need_no_weights(hub: HubServer, tiny_pool: Path, colour_folder: Path, tmp_path: Path) -> None:
    candidates = add_models(hub, tiny_pool)
    recommend(colour_folder, candidates, cache_dir=tmp_path, progress=False, max_disk="1MB")
    for weights in (tmp_path / "hub").rglob("model.safetensors"):
        weights.resolve().unlink()
        weights.unlink()
    hub.requests.clear()
    assert len(recommend(colour_folder, candidates, cache_dir=tmp_path, progress=False).rows) == len(NAMES)
    assert asked(hub, "model.safetensors") == []


@pytest.mark.slow
def test_a_limited_disk_ranks_all_and_keeps_the_best(
    hub: HubServer, tiny_pool: Path, colour_folder: Path, tmp_path: Path
) -> None:
    candidates = add_models(hub, tiny_pool)
    sizes = [(tiny_pool / name / "model.safetensors").stat().st_size for name in NAMES]
    board = recommend(colour_folder, candidates, cache_dir=tmp_path, progress=False, max_disk=max(sizes))
    assert len(board.rows) == len(NAMES)
    kept = [path for path in (tmp_path / "hub").glob("*/blobs/*") if path.stat().st_size in sizes]
    assert sum(path.stat().st_size for path in kept) <= max(sizes)


def test_a_size_must_be_one(colour_folder: Path, tiny_pool: Path) -> None:
    with pytest.raises(LeadHubError, match="max_disk must be a number of bytes above 0 or a size such as '20GB'"):
        recommend(colour_folder, tiny_pool, max_disk="much")


def test_a_query_is_a_source_of_candidates(
    hub: HubServer, tiny_pool: Path, colour_folder: Path, tmp_path: Path
) -> None:
    for candidate in add_models(hub, tiny_pool):
        card = "---\nlibrary_name: transformers\npipeline_tag: image-classification\nlicense: mit\n---\n"
        hub.commit(candidate.checkpoint, files={"README.md": card.encode()})
    query = CandidateQuery(licences=("permissive",), families=("resnet", "vit"))
    board = recommend(colour_folder, query, cache_dir=tmp_path, progress=False)
    assert {row.checkpoint: row.sha for row in board.rows} == {
        f"org/{name}": hub.repo(f"org/{name}").head for name in ("resnet", "vit")
    }
    assert {row.licence for row in board.rows} == {"mit"}


def test_a_hub_that_is_down_is_one_clear_error(
    hub: HubServer, tiny_pool: Path, colour_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lead_hub.hub.requests.SILENCE_S", 0.5)
    candidates = add_models(hub, tiny_pool)
    hub.add_fault(Fault("status", times=None, status=503))
    boards = []
    with pytest.raises(HubError, match=f"{hub.endpoint} cannot be reached"):
        boards.extend(recommend(colour_folder, candidates, cache_dir=tmp_path, progress=False, stream=True))
    assert [len(board.skipped) for board in boards] == [1, 2, 3]
    asked = {f"/api/models/{candidate.checkpoint}/revision/{candidate.revision}" for candidate in candidates[:2]}
    assert {request.path for request in hub.requests} == asked
    # What needs no Hub is ranked all the same, and the board says what is missing.
    board = recommend(colour_folder, [*candidates, tiny_pool / "vit"], cache_dir=tmp_path, progress=False)
    assert len(board.rows) == 1
    assert [skip.stage for skip in board.skipped] == ["download"] * 3


TWO_PROCESSES = """
import sys
from lead_hub import Candidate, recommend
pinned = [Candidate(*part.split("@")) for part in sys.argv[3].split(",")]
board = recommend(sys.argv[1], [*pinned, "org/none", "org/resnet"], cache_dir=sys.argv[2] + "/cache", progress=False)
from accelerate import PartialState
board.save(f"{sys.argv[2]}/board-{PartialState().process_index}.json")
"""


@pytest.mark.slow
def test_two_processes_download_once_and_agree(
    hub: HubServer, tiny_pool: Path, colour_folder: Path, tmp_path: Path
) -> None:
    candidates = add_models(hub, tiny_pool)
    (tmp_path / "run.py").write_text(TWO_PROCESSES)
    named = ",".join(f"{candidate.checkpoint}@{candidate.revision}" for candidate in candidates)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    finished = subprocess.run(
        [*command, str(tmp_path / "run.py"), str(colour_folder), str(tmp_path), named],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    one, other = (json.loads((tmp_path / f"board-{number}.json").read_text()) for number in range(2))
    assert one == other
    assert len(one["rows"]) == len(NAMES) + 1  # org/resnet by branch and by commit
    assert [skip["checkpoint"] for skip in one["skipped"]] == ["org/none"]
    # At most: from the CDN origin one GET a checkpoint, whichever process asked.
    assert len([path for path in asked(hub, "model.safetensors") if path.startswith("/_cdn")]) == len(NAMES)

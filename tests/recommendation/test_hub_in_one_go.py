"""The whole Hub edge as a user meets it: crawl, recommend by dataset id alone, push, push again, read, reuse.

Alice owns a private dataset and ten checkpoints. Bob may read her dataset and her scores, Carol and the signed out may
not. Everything goes through the command line and the real client; then all of it again while the Hub misbehaves.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from huggingface_hub import HfApi
from safetensors.torch import load_file, save_file

from lead_hub import HubError, Leaderboard
from tests.loopback_hub import HubServer
from tests.loopback_hub.faults import Fault
from tests.tiny_checkpoints import save_checkpoint, tiny_processor
from tests.tiny_families import FAMILIES

pytestmark = pytest.mark.slow

CARD = "---\nlibrary_name: transformers\npipeline_tag: {tag}\nlicense: apache-2.0\n{more}---\n# {name}\n"
USABLE = {"resnet": "resnet", "vit": "vit", "swin": "swin", "convnext": "convnextv2", "backbone": "dinov2"}


@dataclass(frozen=True)
class Place:
    """A Hub with Alice's repositories, and three users' tokens; None is nobody's."""

    hub: HubServer
    alice: str
    bob: str
    carol: str


def write_checkpoint(folder: Path, family: str, *, head: bool, more: str = "") -> Path:
    torch.manual_seed(len(folder.name))
    save_checkpoint(folder, FAMILIES[family].build(head=head), tiny_processor(FAMILIES[family].processor))
    tag = "image-classification" if head else "image-feature-extraction"
    (folder / "README.md").write_text(CARD.format(tag=tag, more=more, name=folder.name))
    return folder


def write_checkpoints(root: Path) -> None:
    """Ten: five to rank, two copies of one of them, one gated, one pickled, one broken."""
    for name, family in USABLE.items():
        more = "datasets:\n- alice/pets\n" if name == "swin" else ""
        write_checkpoint(root / name, family, head=family != "dinov2", more=more)
    for name in ("copy", "other-copy"):
        write_checkpoint(root / f"resnet-{name}", "resnet", head=True, more="base_model: alice/resnet\n")
    write_checkpoint(root / "gated", "vit", head=True)
    pickled = write_checkpoint(root / "pickled", "vit", head=True)
    torch.save(load_file(pickled / "model.safetensors"), pickled / "pytorch_model.bin")
    (pickled / "model.safetensors").unlink()
    broken = write_checkpoint(root / "broken", "vit", head=True) / "model.safetensors"
    weights = load_file(broken)
    save_file({name: tensor.flatten() for name, tensor in weights.items()}, broken, metadata={"format": "pt"})


@pytest.fixture
def place(hub: HubServer, tmp_path: Path, colour_folder: Path) -> Place:
    tokens = Place(hub, *(hub.add_user(name) for name in ("alice", "bob", "carol")))
    api = HfApi(token=tokens.alice)
    api.create_repo("alice/pets", repo_type="dataset", private=True)
    api.upload_folder(repo_id="alice/pets", repo_type="dataset", folder_path=colour_folder)
    write_checkpoints(tmp_path / "checkpoints")
    for folder in sorted((tmp_path / "checkpoints").iterdir()):
        api.create_repo(f"alice/{folder.name}")
        api.upload_folder(repo_id=f"alice/{folder.name}", folder_path=folder)
    api.update_repo_settings("alice/gated", gated="auto")
    return tokens


def lead_hub(home: Path, token: str | None, *arguments: str, code: int = 0) -> str:
    """Standard output of the command line, with caches of its own."""
    finished = subprocess.run(
        [sys.executable, "-m", "lead_hub", *arguments],
        env=os.environ | {"HF_HOME": str(home)} | ({"HF_TOKEN": token} if token else {}),
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    home.mkdir(exist_ok=True)
    (home / f"printed-{arguments[0]}.txt").write_text(finished.stdout + finished.stderr)
    assert finished.returncode == code, finished.stderr
    return finished.stdout


def downloaded_weights(hub: HubServer) -> list[str]:
    return [
        r.path for r in hub.requests if r.method == "GET" and "model.safetensors" in r.path and r.status in (200, 206)
    ]


def scores(board: Leaderboard) -> list[tuple[str, str, float]]:
    return [(row.checkpoint, row.sha, row.score) for row in board.rows]


def check_crawl(report: dict[str, object], hub: HubServer) -> None:
    kept = {f"alice/{name}" for name in (*USABLE, "broken")}
    assert {entry["id"]: entry["sha"] for entry in report["candidates"]} == {id_: hub.repo(id_).head for id_ in kept}
    left_out = report["n_left_out"]
    assert (left_out["gated"], left_out["pickle only"], report["n_listed"]) == (1, 1, 10)
    assert sum(count for reason, count in left_out.items() if reason.startswith("copy")) == 2


def check_board(board: Leaderboard, hub: HubServer) -> None:
    assert (board.dataset.dataset, board.dataset.is_private) == ("alice/pets", True)
    assert board.dataset.sha == hub.repo("alice/pets", kind="dataset").head
    assert {row.checkpoint: row.sha for row in board.rows} == {
        f"alice/{name}": hub.repo(f"alice/{name}").head for name in USABLE
    }
    assert [(skip.checkpoint, skip.stage) for skip in board.skipped] == [("alice/broken", "load")]
    assert {row.checkpoint for row in board.rows if row.trained_on_dataset} == {"alice/swin"}


def test_in_one_go(place: Place, tmp_path: Path) -> None:
    hub, home, file = place.hub, tmp_path / "home", tmp_path / "board.json"

    check_crawl(json.loads(lead_hub(home, place.alice, "crawl")), hub)
    lead_hub(home, place.alice, "recommend", "alice/pets", "--output", str(file))
    board = Leaderboard.load(file)
    check_board(board, hub)

    pushed = json.loads(lead_hub(home, place.alice, "push", str(file), "--to", "alice/scores"))
    cards = hub.repo("alice/scores", kind="dataset")
    assert pushed["changed"]
    assert cards.private
    n_commits = len(cards.commits)
    again = json.loads(lead_hub(home, place.alice, "push", str(file), "--to", "alice/scores"))
    assert not again["changed"]
    assert len(cards.commits) == n_commits

    for stranger in (place.carol, place.bob, None):
        with pytest.raises(HubError, match="alice/scores"):
            Leaderboard.from_hub("alice/scores", dataset="alice/pets", token=stranger)
    for repository in ("alice/scores", "alice/pets"):
        hub.repo(repository, kind="dataset").granted.add("bob")
    assert scores(Leaderboard.from_hub("alice/scores", dataset="alice/pets", token=place.bob)) == scores(board)

    # Bob, on another machine: the cards stand in for every forward pass and every weight.
    hub.requests.clear()
    other = tmp_path / "bob"
    lead_hub(other, place.bob, "crawl", "--quiet")
    lead_hub(
        other,
        place.bob,
        "recommend",
        "alice/pets",
        "--reuse-cards",
        "alice/scores",
        "--output",
        str(tmp_path / "b.json"),
    )
    reused = Leaderboard.load(tmp_path / "b.json")
    assert scores(reused) == scores(board)
    # What its author's processor did beside it is said, too.
    assert {row.note.partition("; ")[0] for row in reused.rows} == {"score card alice/scores"}
    assert {path.split("/")[-1] for path in downloaded_weights(hub) if "broken" not in path} == set()

    written = [path for folder in (home, other) for path in folder.rglob("*") if path.is_file()]
    pushed_bytes = cards.files_at(cards.head)
    for token in (place.alice, place.bob):
        assert [path for path in written if token.encode() in path.read_bytes()] == []
        assert [path for path, content in pushed_bytes.items() if token.encode() in content] == []
        assert token not in file.read_text()


FAULTS = [
    Fault("status", match="/api/models", method="GET", status=429, headers={"Retry-After": "0"}),
    Fault("cut", match="/api/models", method="GET"),
    Fault("status", match="/api/datasets/alice/pets", status=503),
    Fault("status", match="/api/models/alice/vit", status=503, times=2),
    Fault("status", match="/api/models/alice/swin", status=429, headers={"RateLimit": '"api";r=0;t=1'}),
    Fault("cut", match="/api/models/alice/resnet"),
    Fault("cut", match="model.safetensors", method="GET", after_bytes=900),
    Fault("status", match="config.json", method="GET", status=503),
    Fault("wrong_bytes", match="model.safetensors", method="GET"),
    Fault("status", match="/api/repos/create", status=503),
    Fault("status", match="/preupload/", status=429, headers={"Retry-After": "0"}),
    Fault("status", match="/api/datasets/alice/scores/commit", status=503),
    Fault("lost_reply", match="/api/datasets/alice/scores/commit"),  # carried out, and asked for again
]


def test_in_one_go_while_the_hub_misbehaves(place: Place, tmp_path: Path) -> None:
    hub = place.hub
    homes = [tmp_path / "calm", tmp_path / "rough"]
    boards = []
    for home in homes:
        hub.requests.clear()
        if home == homes[1]:
            for fault in FAULTS:
                hub.add_fault(fault)
        check_crawl(json.loads(lead_hub(home, place.alice, "crawl")), hub)
        lead_hub(home, place.alice, "recommend", "alice/pets", "--output", str(home / "board.json"))
        boards.append(Leaderboard.load(home / "board.json"))
        check_board(boards[-1], hub)
    lead_hub(homes[1], place.alice, "push", str(homes[1] / "board.json"), "--to", "alice/scores")
    assert scores(boards[0]) == scores(boards[1])
    assert hub.faults.left() == []  # every one of them was met
    assert {429, 503} <= {request.status for request in hub.requests}
    assert scores(Leaderboard.from_hub("alice/scores", dataset="alice/pets", token=place.alice)) == scores(boards[0])
    cards = hub.repo("alice/scores", kind="dataset")
    assert len([path for path in cards.files_at(cards.head) if path.startswith("cards/")]) == len(USABLE)

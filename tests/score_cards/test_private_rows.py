"""Which rows a push may show to all: those of checkpoints that everybody may read, and others only if asked for."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lead_hub import HubError, Leaderboard, recommend
from lead_hub.cli import app
from lead_hub.leaderboard import RankedCheckpoint
from tests.conftest import COLOURS, coloured_images
from tests.loopback_hub import HubServer
from tests.score_cards.boards import FAIR, GOOD, POOR, PRIVATE, board_of
from tests.score_cards.test_push import files_of

SCORES = "alice/scores"
SECRET = replace(POOR, checkpoint="alice/secret-model", sha="4" * 40, score=-0.125, is_private=True)
FOLDER = replace(POOR, checkpoint="/home/alice/models/codename", sha="e" * 64, is_private=True)
MIXED = board_of(GOOD, FAIR, SECRET, FOLDER)


def everything(hub: HubServer) -> bytes:
    files = files_of(hub)
    return b"\n".join([*files.values(), *map(str.encode, files)])


def checkpoints(hub: HubServer) -> set[str]:
    cards = [content for path, content in files_of(hub).items() if path.startswith("cards/")]
    return {json.loads(card)["checkpoint"] for card in cards}


@pytest.mark.parametrize("is_there", [False, True])
@pytest.mark.parametrize("create_pr", [False, True])
def test_a_public_repository_gets_no_private_row(hub: HubServer, *, is_there: bool, create_pr: bool) -> None:
    token = hub.add_user("alice")
    if is_there:
        hub.add_repo(SCORES, kind="dataset")
    planned = MIXED.push_to_hub(SCORES, token=token, dry_run=True)
    pushed = MIXED.push_to_hub(SCORES, token=token, create_pr=create_pr)
    assert (pushed.changed, pushed.n_left_out, planned.n_left_out) == (True, 2, 2)
    assert (planned.files, planned.readme) == (pushed.files, pushed.readme)
    if not create_pr:
        assert checkpoints(hub) == {"org/good", "org/fair"}
    written = b"".join(hub.blobs.values()) + b"".join(
        path.encode() + file.content
        for commit in hub.repo(SCORES, kind="dataset").commits
        for path, file in commit.files.items()
    )
    for secret in (b"secret-model", b"codename", b"4" * 40, b"e" * 64, b"-0.125"):
        assert secret not in written


def test_a_private_repository_gets_every_row(hub: HubServer) -> None:
    token = hub.add_user("alice")
    hub.add_repo(SCORES, kind="dataset", private=True)
    assert MIXED.push_to_hub(SCORES, token=token).n_left_out == 0
    assert len(checkpoints(hub)) == 4
    hub.add_repo("alice/other", kind="dataset", private=True)
    board = replace(MIXED, dataset=PRIVATE)
    assert board.push_to_hub("alice/other", token=token).n_left_out == 0


@pytest.mark.parametrize("private", [True, False])
def test_what_is_asked_for_is_done(hub: HubServer, *, private: bool) -> None:
    assert MIXED.push_to_hub(SCORES, token=hub.add_user("alice"), private=private).n_left_out == 0
    assert hub.repo(SCORES, kind="dataset").private is private
    assert len(checkpoints(hub)) == 4


def test_nothing_but_private_rows_is_refused_before_anything_is_made(hub: HubServer) -> None:
    token = hub.add_user("alice")
    board = board_of(SECRET, FOLDER)
    for options in ({}, {"dry_run": True}, {"create_pr": True}, {"collection": True}):
        with pytest.raises(HubError, match=r"each of its 2 checkpoints .*: push to a private repository, or allow it"):
            board.push_to_hub(SCORES, token=token, **options)
    assert ("dataset", SCORES) not in hub.repositories
    assert board.push_to_hub(SCORES, token=token, private=False).changed


def test_a_collection_gets_no_private_row_and_is_as_private_as_its_repository(hub: HubServer) -> None:
    token = hub.add_user("alice")
    hub.add_repo(SCORES, kind="dataset", private=True)
    for model in ("org/good", "org/fair", "alice/secret-model"):
        hub.add_repo(model, files={"config.json": b"{}"}, private=model.startswith("alice"))
    MIXED.push_to_hub(SCORES, token=token, collection=True)
    (collection,) = hub.collections.values()
    assert collection.private
    assert {item["id"] for item in collection.items} == {"org/good", "org/fair"}


def test_who_may_read_a_checkpoint_is_asked_where_the_run_did_not(hub: HubServer) -> None:
    token = hub.add_user("alice")
    hub.add_repo("org/open", files={"config.json": b"{}"})
    hub.add_repo("org/gated", files={"config.json": b"{}"}, gated="auto", granted=("alice",))
    hub.add_repo("alice/hidden", files={"config.json": b"{}"}, private=True)
    rows = [
        RankedCheckpoint(name, -float(place), sha=f"{place}" * 40, is_private=True)
        for place, name in enumerate(("org/open", "org/gated", "alice/hidden", "org/gone"))
    ]
    assert board_of(*rows).push_to_hub(SCORES, token=token).n_left_out == 3
    assert checkpoints(hub) == {"org/open"}


def test_older_boards_load_and_count_as_private(tmp_path: Path) -> None:
    document = MIXED.to_document()
    for row in document["rows"]:
        del row["is_private"]
    (tmp_path / "old.json").write_text(json.dumps(document))
    assert {row.is_private for row in Leaderboard.load(tmp_path / "old.json").rows} == {True}
    assert Leaderboard.load(MIXED.save(tmp_path / "new.parquet")) == MIXED


def test_no_card_says_who_may_read_its_checkpoint(hub: HubServer) -> None:
    token = hub.add_user("alice")
    MIXED.push_to_hub(SCORES, token=token, private=True)
    cards = [json.loads(content) for path, content in files_of(hub).items() if path.startswith("cards/")]
    assert all("is_private" not in result["row"] for card in cards for result in card["results"])
    assert {row.is_private for row in Leaderboard.from_hub(SCORES, dataset="org/flowers", token=token).rows} == {True}


@pytest.mark.slow
def test_a_run_knows_who_may_read_what_it_ranked(hub: HubServer, tiny_pool: Path, tmp_path: Path) -> None:
    token = hub.add_user("alice")
    coloured_images(tmp_path / "repo", classes=COLOURS, n_images=4)
    hub.add_repo("org/colours", kind="dataset", folder=tmp_path / "repo")
    hub.add_repo("org/open", folder=tiny_pool / "resnet")
    hub.add_repo("alice/hidden", folder=tiny_pool / "vit", private=True)
    hub.add_repo("org/gated", folder=tiny_pool / "dinov2", gated="auto", granted=("alice",))
    board = recommend(
        "org/colours",
        ["org/open", "alice/hidden", "org/gated", tiny_pool / "vit"],
        token=token,
        cache_dir=tmp_path / "cache",
        progress=False,
    )
    assert {row.checkpoint: row.is_private for row in board.rows} == {
        "org/open": False,
        "alice/hidden": True,
        "org/gated": True,
        str(tiny_pool / "vit"): True,
    }
    saved = board.save(tmp_path / "board.json")
    pushed = CliRunner().invoke(app, ["push", str(saved), "--to", SCORES, "--token", token])
    assert pushed.exit_code == 0, pushed.stderr
    assert json.loads(pushed.stdout)["n_left_out"] == 3
    assert "left out 3 checkpoints that not everybody may read" in pushed.stderr
    assert "allow it with --public" in pushed.stderr
    assert checkpoints(hub) == {"org/open"}
    assert tiny_pool.name.encode() not in everything(hub)


def test_the_row_keeps_it_as_a_fact() -> None:
    assert asdict(GOOD)["is_private"] is False
    assert RankedCheckpoint("org/x", 0.0).is_private

"""What a push writes, and what it leaves alone."""

import json
from dataclasses import asdict, replace
from io import BytesIO
from pathlib import Path

import pandas as pd
import pytest
import yaml
from datasets import load_dataset

from lead_hub.errors import HubError, LeadHubError
from lead_hub.leaderboard import Leaderboard
from tests.leaderboard.made_boards import SURE
from tests.loopback_hub import HubServer
from tests.score_cards.boards import BOARD, FAIR, FLOWERS, GOOD, POOR, PRIVATE, board_of

SCORES = "alice/scores"


def files_of(hub: HubServer, repo_id: str = SCORES, revision: str = "main") -> dict[str, bytes]:
    return hub.repo(repo_id, kind="dataset").files_at(revision)


def n_commits(hub: HubServer) -> int:
    return len(hub.repo(SCORES, kind="dataset").commits)


def writes(hub: HubServer) -> list[str]:
    """Requests that ask for a change; paths-info only reads, although it is a POST."""
    return [
        f"{request.method} {request.path}"
        for request in hub.requests
        if request.method not in {"GET", "HEAD"} and "/paths-info/" not in request.path
    ]


def test_every_number_of_the_board_is_on_the_cards(hub: HubServer) -> None:
    push = BOARD.push_to_hub(SCORES, token=hub.add_user("alice"))
    files = files_of(hub)
    assert push.changed
    assert push.commit_url == f"{hub.endpoint}/datasets/{SCORES}/commit/{hub.repo(SCORES, kind='dataset').head}"
    for row in BOARD.rows:
        card = json.loads(files[f"cards/org--flowers/{row.checkpoint.replace('/', '--')}@{row.sha}.json"])
        assert (card["checkpoint"], card["sha"], card["dataset"]) == (row.checkpoint, row.sha, "org/flowers")
        (result,) = card["results"]
        elsewhere = {"rank", "downloads", "is_private", "n_images", "rows_sha256"}
        kept = {key: value for key, value in asdict(row).items() if key not in elsewhere}
        assert result["row"] == kept
        # Groups of images are named where there are any, so that cards without them are as they always were.
        images = {key: value for key, value in asdict(FLOWERS).items() if key != "groups_sha256"}
        assert result["dataset"] == json.loads(json.dumps(images))
        assert (result["method"], result["method_version"]) == (BOARD.method, BOARD.method_version)
        assert result["settings"] == BOARD.settings
        assert result["versions"] == BOARD.versions


def test_a_row_of_fewer_images_names_them_as_its_dataset_s(hub: HubServer) -> None:
    """So that it never stands in for a score of all images, nor is ranked with such scores."""
    few = replace(BOARD.rows[1], n_images=20, rows_sha256="f" * 64)
    replace(BOARD, rows=(BOARD.rows[0], few)).push_to_hub(SCORES, token=hub.add_user("alice"))
    files = files_of(hub)
    images = []
    for row in BOARD.rows[:2]:
        card = json.loads(files[f"cards/org--flowers/{row.checkpoint.replace('/', '--')}@{row.sha}.json"])
        (result,) = card["results"]
        images.append((result["dataset"]["n_images"], result["dataset"]["rows_sha256"]))
        assert not {"n_images", "rows_sha256"} & set(result["row"])
    assert images == [(FLOWERS.n_images, FLOWERS.rows_sha256), (20, "f" * 64)]


def test_the_planned_files_are_the_written_ones(hub: HubServer) -> None:
    push = BOARD.push_to_hub(SCORES, token=hub.add_user("alice"))
    written = {path: len(content) for path, content in files_of(hub).items() if path != ".gitattributes"}
    assert {file.path: file.size_bytes for file in push.files} == written


def test_the_table_is_what_the_viewer_and_datasets_load(hub: HubServer, tmp_path: Path) -> None:
    token = hub.add_user("alice")
    BOARD.push_to_hub(SCORES, token=token)
    table = pd.read_parquet(BytesIO(files_of(hub)["data/scores.parquet"]))
    assert dict(zip(table["checkpoint"], table["score"], strict=True)) == {
        "org/good": -0.25,
        "org/fair": -0.5,
        "alice/poor": -2.0,
    }
    loaded = load_dataset(SCORES, "scores", split="train", token=token, cache_dir=str(tmp_path))
    assert loaded["parameters"][:] == [11_000_000, 5_000_000, 86_000_000]
    assert json.loads(loaded["companions"][0]) == {"loo_accuracy": 0.9375, "lead_p": 1e-30}


def test_pushing_the_same_board_again_makes_no_commit_even_if_it_was_computed_again(hub: HubServer) -> None:
    token = hub.add_user("alice")
    BOARD.push_to_hub(SCORES, token=token)
    before = n_commits(hub)
    again = board_of(replace(GOOD, images_per_s=99.0, score=-0.25 - 1e-9), FAIR, POOR)
    push = again.push_to_hub(SCORES, token=token)
    assert not push.changed
    assert push.commit_url is None
    assert n_commits(hub) == before


def test_a_new_board_adds_and_keeps_the_old(hub: HubServer) -> None:
    token = hub.add_user("alice")
    board_of(GOOD, FAIR).push_to_hub(SCORES, token=token)
    old = files_of(hub)
    sample = replace(FLOWERS, rows_sha256="c" * 64)
    board_of(replace(GOOD, score=-0.3), POOR, dataset=sample).push_to_hub(SCORES, token=token)
    new = files_of(hub)
    untouched = f"cards/org--flowers/org--fair@{FAIR.sha}.json"
    grown = f"cards/org--flowers/org--good@{GOOD.sha}.json"
    assert new[untouched] == old[untouched]
    assert json.loads(new[grown])["results"][0] == json.loads(old[grown])["results"][0]
    assert [result["row"]["score"] for result in json.loads(new[grown])["results"]] == [-0.25, -0.3]
    assert pd.read_parquet(BytesIO(new["data/scores.parquet"]))["score"].tolist() == [-0.25, -0.5, -0.3, -2.0]
    assert new["README.md"].decode().count("## [org/flowers]") == 2


@pytest.mark.parametrize("damaged", [None, b"no parquet"], ids=["missing", "damaged"])
def test_a_lost_table_is_made_anew_from_the_cards(hub: HubServer, damaged: bytes | None) -> None:
    token = hub.add_user("alice")
    board_of(GOOD, FAIR).push_to_hub(SCORES, token=token)
    if damaged is None:
        hub.commit(SCORES, kind="dataset", deleted=("data/scores.parquet",))
    else:
        hub.commit(SCORES, kind="dataset", files={"data/scores.parquet": damaged})
    with pytest.warns(UserWarning, match=r"scores\.parquet is missing or damaged"):
        board_of(POOR).push_to_hub(SCORES, token=token)
    table = pd.read_parquet(BytesIO(files_of(hub)["data/scores.parquet"]))
    assert sorted(table["checkpoint"]) == ["alice/poor", "org/fair", "org/good"]


def test_a_dry_run_writes_nothing_and_foretells_the_push(hub: HubServer) -> None:
    token = hub.add_user("alice")
    planned = BOARD.push_to_hub(SCORES, token=token, dry_run=True, collection=True, pr_to_models=True)
    assert writes(hub) == []
    done = BOARD.push_to_hub(SCORES, token=token)
    assert (planned.files, planned.readme, planned.changed) == (done.files, done.readme, True)
    hub.requests.clear()
    assert not BOARD.push_to_hub(SCORES, token=token, dry_run=True).changed
    assert board_of(replace(GOOD, sha="9" * 40)).push_to_hub(SCORES, token=token, dry_run=True).changed
    assert writes(hub) == []


@pytest.mark.parametrize(("dataset", "expected"), [(FLOWERS, False), (PRIVATE, True)])
def test_a_new_repository_is_as_private_as_the_dataset(hub: HubServer, dataset, expected: bool) -> None:
    board_of(GOOD, dataset=dataset).push_to_hub(SCORES, token=hub.add_user("alice"))
    assert hub.repo(SCORES, kind="dataset").private is expected


def test_scores_on_a_private_dataset_become_public_only_if_asked_for(hub: HubServer) -> None:
    token = hub.add_user("alice")
    hub.add_repo(SCORES, kind="dataset")
    board = board_of(GOOD, dataset=PRIVATE)
    for arguments in ({}, {"dry_run": True}, {"create_pr": True}, {"private": True}):
        with pytest.raises(HubError, match="alice/scores is public: name another one"):
            board.push_to_hub(SCORES, token=token, **arguments)
    with pytest.raises(HubError, match="is public"):
        BOARD.push_to_hub(SCORES, token=token, private=True)
    assert n_commits(hub) == 1
    assert board.push_to_hub(SCORES, token=token, private=False).changed


def test_unknown_privacy_counts_as_private(hub: HubServer) -> None:
    from lead_hub.hub import hub_api
    from lead_hub.score_cards.push import push_scores

    document = BOARD.to_document()
    del document["dataset"]["is_private"]
    push_scores(document, SCORES, api=hub_api(hub.add_user("alice")))
    assert hub.repo(SCORES, kind="dataset").private


def test_no_path_and_no_token_is_in_any_pushed_file(hub: HubServer, tmp_path: Path) -> None:
    token = hub.add_user("alice")
    images = tmp_path / "my images"
    folder = tmp_path / "checkpoints" / "mine"
    dataset = replace(
        FLOWERS,
        dataset=str(images),
        sha="d" * 64,
        is_local=True,
        is_private=True,
        notes=(f"{images}/rose/7.png could not be read", "3 more in /srv/data/x.png", "kept: 4/5 of org/flowers"),
    )
    row = replace(GOOD, checkpoint=str(folder), sha="e" * 64, note=f"read from {folder}")
    board_of(row, FAIR, dataset=dataset).push_to_hub(SCORES, token=token)
    everything = b"\n".join([*files_of(hub).values(), *map(str.encode, files_of(hub))])
    for secret in (str(tmp_path), tmp_path.name, "/srv/data", str(Path.home()), token):
        assert secret.encode() not in everything
    (path,) = [path for path in files_of(hub) if path.endswith(f"/local--mine@{'e' * 64}.json")]
    result = json.loads(files_of(hub)[path])["results"][0]
    assert result["row"]["note"] == "read from local--mine"
    assert result["dataset"]["notes"][1:] == ["3 more in x.png", "kept: 4/5 of org/flowers"]
    assert result["dataset"]["dataset"].startswith("local--my-images-")


def test_others_text_in_the_readme_is_kept(hub: HubServer) -> None:
    token = hub.add_user("alice")
    readme = (
        b"---\nlicense: mit\ntags:\n- mine\nconfigs:\n- config_name: other\n  data_files: x.csv\n---\n\nMy own words.\n"
    )
    hub.add_repo(SCORES, kind="dataset", files={"README.md": readme, "x.csv": b"a\n1\n"})
    board_of(GOOD).push_to_hub(SCORES, token=token)
    board_of(POOR).push_to_hub(SCORES, token=token)
    text = files_of(hub)["README.md"].decode()
    matter = yaml.safe_load(text.split("---\n")[1])
    assert matter["license"] == "mit"
    assert matter["tags"] == [
        *("lead-hub", "transferability", "dataset:org/flowers"),
        *("base_model:alice/poor", "base_model:org/good", "mine"),
    ]
    assert [config["config_name"] for config in matter["configs"]] == ["scores", "other"]
    assert text.count("My own words.") == 1
    assert text.count("# Transferability scores") == 1


@pytest.mark.parametrize("role", ["read", None])
def test_who_may_not_write_is_told_why(hub: HubServer, role) -> None:
    token = False if role is None else hub.add_user("alice", role=role)
    words = "does not know who asks for alice/scores: log in" if role is None else "use a token with write access"
    with pytest.raises(HubError, match=words) as caught:
        BOARD.push_to_hub(SCORES, token=token)
    assert "hf_" not in str(caught.value)
    hub.add_repo(SCORES, kind="dataset")
    with pytest.raises(HubError, match=words):
        BOARD.push_to_hub(SCORES, token=token)


def test_a_foreign_namespace_is_refused(hub: HubServer) -> None:
    with pytest.raises(HubError, match="cannot write score cards to bob/scores"):
        BOARD.push_to_hub("bob/scores", token=hub.add_user("alice"))


def test_a_misspelt_repository_is_refused(hub: HubServer) -> None:
    with pytest.raises(HubError, match="a repository is named 'user/name'"):
        BOARD.push_to_hub("a/b/c", token=hub.add_user("alice"))


def test_a_repository_without_its_owner_is_refused_before_one_is_made(hub: HubServer) -> None:
    with pytest.raises(HubError, match="a repository is named 'user/name'"):
        BOARD.push_to_hub("scores", token=hub.add_user("alice"))
    assert [each for each in hub.requests if each.method == "POST"] == []


def test_nothing_to_push(hub: HubServer) -> None:
    token = hub.add_user("alice")
    with pytest.raises(LeadHubError, match="nothing to push"):
        board_of().push_to_hub(SCORES, token=token)
    with pytest.raises(LeadHubError, match="found '' for 'org/good'"):
        board_of(replace(GOOD, sha="")).push_to_hub(SCORES, token=token)
    assert hub.requests == []


def test_a_pushed_board_is_read_back_equal(hub: HubServer) -> None:
    token = hub.add_user("alice")
    BOARD.push_to_hub(SCORES, token=token)
    assert Leaderboard.from_hub(SCORES, dataset="org/flowers", token=token) == BOARD


def test_another_days_downloads_make_no_commit(hub: HubServer) -> None:
    token = hub.add_user("alice")
    assert BOARD.push_to_hub(SCORES, token=token).changed
    rows = tuple(replace(row, downloads=1234 + row.rank) for row in BOARD.rows)
    assert not replace(BOARD, rows=rows).push_to_hub(SCORES, token=token).changed


def test_the_readme_opens_with_the_newest_ranking(hub: HubServer) -> None:
    """And keeps that opening where nothing new is pushed; a private row that is left out is not named in it."""
    token = hub.add_user("alice")
    sure = replace(SURE, rank_low=1, rank_high=2)
    rows = [replace(row, confidence=sure) for row in (GOOD, FAIR)]
    secret = replace(GOOD, checkpoint="/home/me/secret", sha="c" * 64, score=-0.1, is_private=True, confidence=sure)
    board_of(*rows).push_to_hub(SCORES, token=token)
    once = files_of(hub)["README.md"].decode()
    opening = once.partition("# Transferability scores\n\n")[2]
    assert opening.startswith("**The newest ranking, on org/flowers:** no clear winner among 2")
    assert "├" in opening
    assert not board_of(*rows).push_to_hub(SCORES, token=token).changed
    other = replace(FLOWERS, rows_sha256="d" * 64)
    pushed = board_of(*rows, secret, dataset=other).push_to_hub(SCORES, token=token)
    assert pushed.n_left_out == 1
    again = files_of(hub)["README.md"].decode()
    assert again == pushed.readme
    assert "1 more was ranked with these" in again
    assert "secret" not in again
    assert not board_of(*rows).push_to_hub(SCORES, token=token).changed

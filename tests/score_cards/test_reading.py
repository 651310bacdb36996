"""Reading a repository of score cards: by whom, which ranking, and what was changed."""

import hashlib
import json
from dataclasses import replace
from io import BytesIO
from typing import Any

import pandas as pd
import pytest

from lead_hub.errors import HubError, LeadHubError
from lead_hub.hub import hub_api
from lead_hub.leaderboard import Leaderboard
from lead_hub.score_cards.reading import load_cards
from tests.loopback_hub import HubServer
from tests.score_cards.boards import BOARD, FAIR, FLOWERS, GOOD, POOR, PRIVATE, board_of

SCORES = "alice/scores"
CARD = f"cards/org--flowers/org--good@{GOOD.sha}.json"


def of_unknown_access(board: Leaderboard) -> Leaderboard:
    """The board as a private repository tells it: of no checkpoint that everybody may read it."""
    return replace(board, rows=tuple(replace(row, is_private=True) for row in board.rows))


def test_who_may_read_a_private_repository(hub: HubServer) -> None:
    board = board_of(GOOD, FAIR, dataset=PRIVATE)
    alice, bob, eve = (hub.add_user(name) for name in ("alice", "bob", "eve"))
    board.push_to_hub(SCORES, token=alice)
    hub.repo(SCORES, kind="dataset").granted.add("bob")
    assert Leaderboard.from_hub(SCORES, dataset="alice/secret", token=alice) == of_unknown_access(board)
    assert Leaderboard.from_hub(SCORES, dataset="alice/secret", token=bob) == of_unknown_access(board)
    with pytest.raises(HubError, match="has no such repository for you"):
        Leaderboard.from_hub(SCORES, dataset="alice/secret", token=eve)
    with pytest.raises(HubError, match=r"does not know who asks|no such repository for you"):
        Leaderboard.from_hub(SCORES, dataset="alice/secret", token=False)


def test_a_gated_repository_says_how_to_ask(hub: HubServer) -> None:
    BOARD.push_to_hub(SCORES, token=hub.add_user("alice"))
    hub.repo(SCORES, kind="dataset").gated = "manual"
    for token in (hub.add_user("eve"), False):
        with pytest.raises(HubError, match="is gated: accept its terms"):
            Leaderboard.from_hub(SCORES, dataset="org/flowers", token=token)


def test_anyone_reads_a_public_repository(hub: HubServer) -> None:
    BOARD.push_to_hub(SCORES, token=hub.add_user("alice"))
    assert Leaderboard.from_hub(SCORES, dataset="org/flowers", token=False) == BOARD


def test_the_ranking_pushed_last_is_read_unless_a_method_is_named(hub: HubServer) -> None:
    token = hub.add_user("alice")
    by_logme = board_of(replace(GOOD, score=1.5), FAIR, method="logme")
    newer = board_of(POOR, dataset=replace(FLOWERS, rows_sha256="c" * 64))
    for board in (BOARD, by_logme, newer):
        board.push_to_hub(SCORES, token=token)
    assert Leaderboard.from_hub(SCORES, dataset="org/flowers", token=token) == newer
    assert Leaderboard.from_hub(SCORES, dataset="org/flowers", method="logme", token=token) == by_logme
    with pytest.raises(HubError, match=r"'org/flowers' by 'leep', found org/flowers \(lead\), org/flowers \(logme\)"):
        Leaderboard.from_hub(SCORES, dataset="org/flowers", method="leep", token=token)
    with pytest.raises(HubError, match="must hold scores on 'org/other'"):
        Leaderboard.from_hub(SCORES, dataset="org/other", token=token)


def test_an_older_commit_of_the_cards_can_be_read(hub: HubServer) -> None:
    token = hub.add_user("alice")
    board_of(GOOD).push_to_hub(SCORES, token=token)
    old = hub.repo(SCORES, kind="dataset").head
    board_of(FAIR).push_to_hub(SCORES, token=token)
    assert Leaderboard.from_hub(SCORES, dataset="org/flowers", revision=old, token=token) == board_of(GOOD)
    assert Leaderboard.from_hub(SCORES, dataset="org/flowers", token=token) == board_of(GOOD, FAIR)
    with pytest.raises(HubError, match="has no such revision"):
        Leaderboard.from_hub(SCORES, dataset="org/flowers", revision="nope", token=token)


def test_local_data_is_read_by_its_folders_name(hub: HubServer) -> None:
    token = hub.add_user("alice")
    local = replace(FLOWERS, dataset="/data/sets/flowers", sha="d" * 64, is_local=True, is_private=True)
    board_of(GOOD, dataset=local).push_to_hub(SCORES, token=token)
    public = replace(local, dataset="local--flowers")
    for name in ("flowers", "local--flowers"):
        read = Leaderboard.from_hub(SCORES, dataset=name, token=token)
        assert read == of_unknown_access(board_of(GOOD, dataset=public))


def changed_card(hub: HubServer, change) -> None:
    """Somebody edits a card by hand."""
    card = json.loads(hub.repo(SCORES, kind="dataset").files_at("main")[CARD])
    change(card["results"][0])
    hub.commit(SCORES, kind="dataset", files={CARD: json.dumps(card).encode()})


@pytest.mark.parametrize(
    "change",
    [
        lambda result: result["row"].update(score=0.99),
        lambda result: result["dataset"].update(rows_sha256="0" * 64),
        lambda result: result.update(content_sha256="0" * 64),
        lambda result: result["row"].update(checkpoint="org/fair"),
        lambda result: result.pop("content_sha256"),
    ],
    ids=["score", "sample", "hash", "checkpoint", "no hash"],
)
def test_a_changed_card_is_ignored_with_a_warning(hub: HubServer, change) -> None:
    token = hub.add_user("alice")
    board_of(GOOD, FAIR).push_to_hub(SCORES, token=token)
    changed_card(hub, change)
    with pytest.warns(UserWarning, match=r"org--good@1+\.json: a result is ignored"):
        board = Leaderboard.from_hub(SCORES, dataset="org/flowers", token=token)
    assert board == board_of(FAIR)


@pytest.mark.parametrize("content", [b"no json", b"[]", b"{}", b'{"schema_version": 1, "results": 3}'])
def test_a_card_that_is_none_is_ignored_with_a_warning(hub: HubServer, content: bytes) -> None:
    token = hub.add_user("alice")
    board_of(GOOD, FAIR).push_to_hub(SCORES, token=token)
    hub.commit(SCORES, kind="dataset", files={CARD: content})
    with pytest.warns(UserWarning, match="no score card that this version can read"):
        board = Leaderboard.from_hub(SCORES, dataset="org/flowers", token=token)
    assert board == board_of(FAIR)


def test_cards_spare_the_same_work_and_no_other(hub: HubServer) -> None:
    token = hub.add_user("alice")
    mine = replace(GOOD, checkpoint="/home/alice/mine", sha="e" * 64)
    board_of(GOOD, mine).push_to_hub(SCORES, token=token, private=True)
    dataset = board_of().to_document()["dataset"]
    cards = load_cards(SCORES, api=hub_api(token), dataset=dataset, method="lead", method_version=1)
    row = cards.find(checkpoint="org/good", sha=GOOD.sha)
    assert row is not None
    assert (row["score"], row["note"], row["images_per_s"]) == (-0.25, "score card alice/scores", None)
    moved = cards.find(checkpoint="/mnt/elsewhere/mine", sha="e" * 64)
    assert moved is not None
    assert moved["checkpoint"] == "/mnt/elsewhere/mine"
    assert cards.find(checkpoint="org/good", sha="7" * 40) is None
    assert cards.find(checkpoint="org/fair", sha=GOOD.sha) is None
    for other in (
        {"sha": "0" * 40},
        {"split": "test"},
        {"config": None},
        {"rows_sha256": "0" * 64},
        {"label_column": "fine"},
        {"class_names": ("a", "b", "c")},
    ):
        none = load_cards(SCORES, api=hub_api(token), dataset={**dataset, **other}, method="lead", method_version=1)
        assert none.results == ()
    for method, version in (("logme", 1), ("lead", 2)):
        assert (
            load_cards(SCORES, api=hub_api(token), dataset=dataset, method=method, method_version=version).results == ()
        )


def test_a_card_of_a_newer_version_is_neither_read_nor_overwritten(hub: HubServer) -> None:
    token = hub.add_user("alice")
    board_of(GOOD).push_to_hub(SCORES, token=token)
    newer = hub.commit(SCORES, kind="dataset", files={CARD: b'{"schema_version": 2, "results": []}'})
    with pytest.raises(LeadHubError, match="which a newer lead-hub wrote: update lead-hub"):
        Leaderboard.from_hub(SCORES, dataset="org/flowers", token=token)
    with pytest.raises(LeadHubError, match="update lead-hub"):
        board_of(GOOD, dataset=replace(FLOWERS, rows_sha256="c" * 64)).push_to_hub(SCORES, token=token)
    assert hub.repo(SCORES, kind="dataset").head == newer


@pytest.mark.parametrize(
    "wrong",
    [{"score": "high"}, {"score": None}, {"companions": {"a": "x"}}, {"companions": []}, {"parameters": 1.5}],
    ids=str,
)
def test_a_hash_over_nonsense_does_not_make_it_sense(hub: HubServer, wrong: dict[str, object]) -> None:
    token = hub.add_user("alice")
    board_of(GOOD, FAIR).push_to_hub(SCORES, token=token)

    def change(result: dict[str, Any]) -> None:
        result["row"].update(wrong)
        del result["content_sha256"]
        result["content_sha256"] = hashlib.sha256(
            json.dumps(result, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        ).hexdigest()

    changed_card(hub, change)
    hub.commit(SCORES, kind="dataset", deleted=("data/scores.parquet",))
    with pytest.warns(UserWarning, match=r"values are missing or of another kind|scores\.parquet is missing"):
        board = Leaderboard.from_hub(SCORES, dataset="org/flowers", token=token)
    assert board == board_of(FAIR)


def test_a_table_by_others_is_not_trusted_for_its_values(hub: HubServer) -> None:
    token = hub.add_user("alice")
    board_of(GOOD, FAIR).push_to_hub(SCORES, token=token)
    table = pd.read_parquet(BytesIO(hub.repo(SCORES, kind="dataset").files_at("main")["data/scores.parquet"]))
    table["score"] = 7.0
    table["versions"] = "no json"
    hub.commit(SCORES, kind="dataset", files={"data/scores.parquet": table.to_parquet(index=False)})
    with pytest.warns(UserWarning, match="missing or damaged"):
        assert Leaderboard.from_hub(SCORES, dataset="org/flowers", token=token) == board_of(GOOD, FAIR)

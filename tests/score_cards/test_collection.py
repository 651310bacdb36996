"""The collection of the best checkpoints for a dataset."""

from dataclasses import replace

import pytest

from lead_hub.score_cards.collection import collection_title
from tests.loopback_hub import HubServer
from tests.loopback_hub.faults import Fault
from tests.score_cards.boards import BOARD, GOOD, PRIVATE, board_of

SCORES = "team/scores"


def models(hub: HubServer, *names: str) -> str:
    for name in names:
        hub.add_repo(name)
    return hub.add_user("ada", orgs=("team",))


def items(hub: HubServer) -> dict[str, str]:
    (collection,) = hub.collections.values()
    return {item["id"]: item["note"]["text"] for item in collection.items}


def test_the_best_ten_hub_checkpoints_with_their_scores(hub: HubServer) -> None:
    names = [f"org/model{number:02}" for number in range(12)]
    token = models(hub, *names)
    rows = [replace(GOOD, checkpoint=name, score=-number / 8) for number, name in enumerate(names)]
    local = replace(GOOD, checkpoint="/home/me/mine", sha="e" * 64, score=1.0)
    push = board_of(*rows, local).push_to_hub(SCORES, token=token, collection=True)
    (collection,) = hub.collections.values()
    assert (collection.title, collection.namespace) == ("Best starting points for org/flowers", "team")
    assert not collection.private
    assert push.collection_url == f"{hub.endpoint}/collections/{collection.slug}"
    assert list(items(hub)) == names[:10]
    assert "score -0.1250" in items(hub)["org/model01"]


def test_a_second_push_brings_the_notes_up_to_date(hub: HubServer) -> None:
    token = models(hub, "org/good", "org/fair", "alice/poor")
    BOARD.push_to_hub(SCORES, token=token, collection=True)
    newer = replace(BOARD.dataset, rows_sha256="c" * 64)
    board_of(replace(GOOD, score=-0.75), dataset=newer).push_to_hub(SCORES, token=token, collection=True)
    assert "score -0.7500" in items(hub)["org/good"]
    assert set(items(hub)) == {"org/good", "org/fair", "alice/poor"}


def test_a_private_dataset_has_a_private_collection(hub: HubServer) -> None:
    token = models(hub, "org/good")
    board_of(GOOD, dataset=replace(PRIVATE, is_private=False)).push_to_hub(SCORES, token=token, collection=True)
    board = board_of(GOOD, dataset=PRIVATE)
    push = board.push_to_hub("team/private-scores", token=token, collection=True)
    assert push.changed  # the cards are there, whatever became of the collection
    assert push.collection_url is None
    (failed,) = push.failed
    assert "belong in a private collection" in failed
    hub.collections.clear()
    board.push_to_hub("team/private-scores", token=token, collection=True)
    (collection,) = hub.collections.values()
    assert collection.private


def test_what_few_may_read_is_in_no_public_collection(hub: HubServer) -> None:
    """Of a public dataset, in a repository that its owner made private: unless it is allowed."""
    token = models(hub, "org/good")
    board_of(GOOD).push_to_hub(SCORES, token=token, private=True)
    push = board_of(GOOD).push_to_hub(SCORES, token=token, collection=True)
    (collection,) = hub.collections.values()
    assert (collection.private, push.failed) == (True, ())
    hub.collections.clear()
    board_of(GOOD).push_to_hub(SCORES, token=token, collection=True, private=False)
    (collection,) = hub.collections.values()
    assert not collection.private


def test_a_model_that_is_gone_is_left_out_of_the_collection(hub: HubServer) -> None:
    token = models(hub, "org/good", "alice/poor")
    with pytest.warns(UserWarning, match="org/fair is not on the Hub under this name, and so not in the collection"):
        push = BOARD.push_to_hub(SCORES, token=token, collection=True)
    assert set(items(hub)) == {"org/good", "alice/poor"}
    assert push.failed == ()


def test_a_refused_collection_says_that_the_cards_are_written(hub: HubServer) -> None:
    token = models(hub, "org/good", "org/fair", "alice/poor")
    hub.add_fault(Fault("status", match="/api/collections", method="POST", status=403))
    push = BOARD.push_to_hub(SCORES, token=token, collection=True)
    assert push.commit_url is not None
    (failed,) = push.failed
    assert failed.startswith("cannot keep a collection of team: ")
    assert "data/scores.parquet" in hub.repo(SCORES, kind="dataset").files_at()


def test_a_title_is_never_too_long_and_never_ambiguous() -> None:
    long = "organisation-of-long-names/" + "a" * 60
    titles = {collection_title(long + "1"), collection_title(long + "2")}
    assert len(titles) == 2
    assert {len(title) for title in titles} == {59}

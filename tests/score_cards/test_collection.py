"""The collection of the best checkpoints for a dataset."""

from dataclasses import replace

import pytest

from lead_hub.errors import HubError
from lead_hub.score_cards.collection import collection_title
from tests.loopback_hub import HubServer
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
    with pytest.raises(HubError, match="belong in a private collection"):
        board.push_to_hub("team/private-scores", token=token, collection=True)
    hub.collections.clear()
    board.push_to_hub("team/private-scores", token=token, collection=True)
    (collection,) = hub.collections.values()
    assert collection.private


def test_a_title_is_never_too_long_and_never_ambiguous() -> None:
    long = "organisation-of-long-names/" + "a" * 60
    titles = {collection_title(long + "1"), collection_title(long + "2")}
    assert len(titles) == 2
    assert {len(title) for title in titles} == {59}

"""Pull requests: one for one content, and to the user's own models alone."""

import json
import re
from dataclasses import replace

from tests.loopback_hub import HubServer
from tests.score_cards.boards import BOARD, FLOWERS, GOOD, POOR, PRIVATE, board_of

SCORES = "team/scores"


def discussions(hub: HubServer, repo_id: str = SCORES, kind: str = "dataset") -> list[tuple[str, str]]:
    return [(discussion.author, discussion.title) for discussion in hub.repo(repo_id, kind=kind).discussions]


def test_a_stranger_asks_and_an_open_request_is_used_again(hub: HubServer) -> None:
    hub.add_repo(SCORES, kind="dataset")
    token = hub.add_user("zoe")
    first = BOARD.push_to_hub(SCORES, token=token, create_pr=True)
    again = BOARD.push_to_hub(SCORES, token=token, create_pr=True)
    other = board_of(GOOD).push_to_hub(SCORES, token=token, create_pr=True)
    assert (first.changed, again.changed, other.changed) == (True, False, True)
    assert first.pr_url == again.pr_url != other.pr_url
    assert first.commit_url is None
    repository = hub.repo(SCORES, kind="dataset")
    assert len(repository.discussions) == 2
    assert "data/scores.parquet" in repository.files_at("refs/pr/1")
    assert "data/scores.parquet" not in repository.files_at("main")


def test_what_is_there_needs_no_request(hub: HubServer) -> None:
    BOARD.push_to_hub(SCORES, token=hub.add_user("ada", orgs=("team",)))
    push = BOARD.push_to_hub(SCORES, token=hub.add_user("zoe"), create_pr=True)
    assert (push.changed, push.pr_url, discussions(hub)) == (False, None, [])


def test_cards_go_to_ones_own_models_only_and_once(hub: HubServer) -> None:
    token = hub.add_user("alice", orgs=("org",))
    for model in ("org/good", "org/fair", "alice/poor"):
        hub.add_repo(model)
    push = BOARD.push_to_hub("alice/scores", token=token, pr_to_models=True)
    again = BOARD.push_to_hub("alice/scores", token=token, pr_to_models=True)
    assert push.model_prs == again.model_prs == (f"{hub.endpoint}/alice/poor/discussions/1",)
    assert push.n_models_refused == 2
    assert len(discussions(hub, "alice/poor", "model")) == 1
    for model in ("org/good", "org/fair"):
        assert discussions(hub, model, "model") == []
    card = json.loads(hub.repo("alice/poor").files_at("refs/pr/1")["score_cards/org--flowers.json"])
    assert card["results"][0]["row"]["score"] == POOR.score
    assert "score_cards/org--flowers.json" not in hub.repo("alice/poor").files_at("main")


def test_a_model_that_is_gone_costs_no_other_its_card(hub: HubServer) -> None:
    token = hub.add_user("alice")
    hub.add_repo("alice/poor")
    board = board_of(replace(POOR, checkpoint="alice/gone", score=1.0), POOR)
    push = board.push_to_hub("alice/scores", token=token, pr_to_models=True)
    assert push.model_prs == (f"{hub.endpoint}/alice/poor/discussions/1",)
    assert push.commit_url is not None
    (failed,) = push.failed
    assert failed.startswith("cannot open a pull request in alice/gone: ")


def test_a_private_repositorys_scores_are_not_shown_in_a_public_model(hub: HubServer) -> None:
    token = hub.add_user("alice")
    hub.add_repo("alice/poor")
    board_of(POOR).push_to_hub("alice/scores", token=token, private=True)
    push = board_of(POOR).push_to_hub("alice/scores", token=token, pr_to_models=True)
    assert (push.model_prs, push.n_models_refused) == ((), 1)
    allowed = board_of(POOR).push_to_hub("alice/scores", token=token, pr_to_models=True, private=False)
    assert len(allowed.model_prs) == 1


def test_a_private_dataset_is_not_named_in_a_public_model(hub: HubServer) -> None:
    token = hub.add_user("alice")
    hub.add_repo("alice/poor")
    hub.add_repo("alice/own", private=True)
    own = replace(POOR, checkpoint="alice/own")
    push = board_of(POOR, own, dataset=PRIVATE).push_to_hub("alice/scores", token=token, pr_to_models=True)
    assert push.model_prs == (f"{hub.endpoint}/alice/own/discussions/1",)
    assert discussions(hub, "alice/poor", "model") == []


def test_a_model_that_has_gone_is_named(hub: HubServer) -> None:
    push = board_of(POOR, dataset=FLOWERS).push_to_hub("alice/scores", token=hub.add_user("alice"), pr_to_models=True)
    (failed,) = push.failed
    assert re.match(r"cannot open a pull request in alice/poor: .* has no such repository for you", failed)

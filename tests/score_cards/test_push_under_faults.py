"""Other writers, a Hub that refuses or falls silent: the same final state, and nothing lost."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from typing import ClassVar

import pandas as pd
import pytest
from huggingface_hub import HfApi

from lead_hub.errors import HubError
from lead_hub.score_cards.push import push_scores
from tests.loopback_hub import HubServer
from tests.loopback_hub.faults import Fault
from tests.score_cards.boards import BOARD, GOOD, board_of

SCORES = "team/scores"
WRITERS = ("ada", "bea", "cyd", "dan")
COMMIT = "/commit/main"


def table(hub: HubServer) -> pd.DataFrame:
    return pd.read_parquet(BytesIO(hub.repo(SCORES, kind="dataset").files_at("main")["data/scores.parquet"]))


def cards(hub: HubServer) -> set[str]:
    return {path for path in hub.repo(SCORES, kind="dataset").files_at("main") if path.startswith("cards/")}


def expected_cards(*shas: str) -> set[str]:
    return {f"cards/org--flowers/org--good@{sha}.json" for sha in shas}


@pytest.mark.slow
def test_four_writers_at_once_lose_nothing(hub: HubServer) -> None:
    tokens = [hub.add_user(name, orgs=("team",)) for name in WRITERS]
    shared = replace(GOOD, sha="f" * 40)
    shas = [f"{number:040x}" for number in range(1, 9)]

    def push(number: int) -> None:
        for sha in shas[number::4]:
            board_of(replace(GOOD, sha=sha), shared).push_to_hub(SCORES, token=tokens[number])

    with ThreadPoolExecutor(4) as writers:
        list(writers.map(push, range(4)))
    assert cards(hub) == expected_cards(*shas, "f" * 40)
    assert sorted(table(hub)["sha"]) == [*shas, "f" * 40]
    assert any(request.status == 412 for request in hub.requests), "no writer met another: the test shows nothing"


class SlowApi(HfApi):
    """A client whose first commit is always too late: somebody else's comes in between."""

    somebody_else: ClassVar[list[Callable[[], object]]] = []

    def create_commit(self, *arguments, **options):
        if self.somebody_else:
            self.somebody_else.pop()()
        return super().create_commit(*arguments, **options)


def test_another_writer_in_between_is_merged(hub: HubServer) -> None:
    token = hub.add_user("ada", orgs=("team",))
    board_of(GOOD).push_to_hub(SCORES, token=token)
    SlowApi.somebody_else.append(lambda: board_of(replace(GOOD, sha="5" * 40)).push_to_hub(SCORES, token=token))
    push_scores(board_of(replace(GOOD, sha="6" * 40)).to_document(), SCORES, api=SlowApi(token=token))
    assert [request.status for request in hub.requests if COMMIT in request.path] == [200, 200, 412, 200]
    assert table(hub)["sha"].tolist() == ["1" * 40, "5" * 40, "6" * 40]


FAULTS = {
    "503 at the commit": Fault("status", COMMIT, status=503, times=2),
    "429 at the commit": Fault("status", COMMIT, status=429, headers={"Retry-After": "1"}),
    "the commit's answer is lost": Fault("lost_reply", COMMIT),
    "the commit's connection is cut": Fault("cut", COMMIT),
    "503 at the repository": Fault("status", f"/api/datasets/{SCORES}", method="GET", status=503),
    "the new repository's answer is lost": Fault("lost_reply", "/api/repos/create"),
    "503 at the upload": Fault("status", "/_upload/", status=503),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_changes_nothing_of_the_final_state(hub: HubServer, fault: Fault) -> None:
    token = hub.add_user("ada", orgs=("team",))
    hub.add_fault(fault)
    BOARD.push_to_hub(SCORES, token=token)
    assert table(hub)["checkpoint"].tolist() == ["org/good", "org/fair", "alice/poor"]
    assert len(cards(hub)) == 3
    assert len([commit for commit in hub.repo(SCORES, kind="dataset").commits if commit.title.startswith("Add")]) == 1


@pytest.mark.slow
@pytest.mark.parametrize("path", ["scores.parquet", "org--good", "README.md"])
def test_bytes_that_are_not_those_listed_are_never_merged(hub: HubServer, path: str) -> None:
    token = hub.add_user("ada", orgs=("team",))
    board_of(GOOD).push_to_hub(SCORES, token=token)
    other_sample = replace(BOARD.dataset, rows_sha256="c" * 64)
    hub.add_fault(Fault("wrong_bytes", path, method="GET", times=1))
    board_of(GOOD, dataset=other_sample).push_to_hub(SCORES, token=token)
    assert len(table(hub)) == 2
    hub.add_fault(Fault("wrong_bytes", path, method="GET", times=None))
    with pytest.raises(HubError, match="must have the hash that the Hub lists"):
        board_of(GOOD, dataset=replace(BOARD.dataset, rows_sha256="d" * 64)).push_to_hub(SCORES, token=token)
    assert len(table(hub)) == 2


@pytest.mark.slow
def test_a_lost_answer_to_a_pull_request_opens_no_second_one(hub: HubServer) -> None:
    hub.add_repo(SCORES, kind="dataset")
    hub.add_fault(Fault("lost_reply", COMMIT))
    push = BOARD.push_to_hub(SCORES, token=hub.add_user("zoe"), create_pr=True)
    assert push.pr_url == f"{hub.endpoint}/datasets/{SCORES}/discussions/1"
    assert len(hub.repo(SCORES, kind="dataset").discussions) == 1

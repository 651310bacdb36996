"""Cards by others that would break a reader: they are left out, and the others are read."""

import dataclasses
import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from lead_hub import Leaderboard, LeadHubError
from lead_hub.candidates import Candidate
from lead_hub.checkpoint_files import CheckpointFiles
from lead_hub.errors import HubError
from lead_hub.leaderboard import read_row
from lead_hub.recommendation.scoring import from_card
from lead_hub.score_cards import ScoreCards
from lead_hub.score_cards.card import card_bytes, read_card
from lead_hub.score_cards.push import results_of
from lead_hub.score_cards.readme import split_front_matter
from lead_hub.score_cards.table import (
    fits_table,
    is_sound,
    read_table,
    score_row,
    table_bytes,
)
from tests.loopback_hub import HubServer
from tests.score_cards.boards import BOARD, FLOWERS, GOOD, board_of

RESULT = results_of(BOARD.to_document())[0]


def test_an_integer_beyond_all_floats_is_no_figure() -> None:
    row = score_row(RESULT)
    assert is_sound(row)
    assert not is_sound(replace(row, companions=json.dumps({"loo_accuracy": 10**400})))
    assert fits_table(RESULT)
    assert not fits_table(replace(RESULT, row={**RESULT.row, "companions": {"loo_accuracy": 10**400}}))


def test_brackets_without_end_are_no_card() -> None:
    deep = "[" * 200_000
    assert not is_sound(replace(score_row(RESULT), settings=deep))
    with pytest.warns(UserWarning, match="is no score card that this version can read"):
        assert read_card(deep.encode(), path="cards/x.json") == []


@pytest.mark.parametrize("confidence", ["x", 7, [], ["a"], {"worst_classes": 7}])
def test_a_confidence_that_is_none_costs_that_row_alone(confidence: object) -> None:
    """Of a card by others, and of a saved board."""
    row = {**dataclasses.asdict(BOARD.rows[0]), "confidence": confidence}
    with pytest.raises((TypeError, KeyError)):
        read_row(row)
    cards = ScoreCards("bob/scores", "a" * 40, (replace(RESULT, row={**RESULT.row, "confidence": confidence}),))
    files = CheckpointFiles(Path("nowhere"), RESULT.row["sha"], None)
    with pytest.warns(UserWarning, match="a score card of org/good is not used, for a row needs"):
        assert from_card(Candidate("org/good"), files, cards) is None


@pytest.mark.parametrize("change", [{"rows": ["x"]}, {"rows": [7]}, {"skipped": ["x"]}, {"dataset": "x"}, {"rows": 7}])
def test_a_board_of_another_shape_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(LeadHubError, match="a leaderboard of schema version 1 has other keys"):
        Leaderboard.from_document({**BOARD.to_document(), **change})
    row = {**BOARD.to_document()["rows"][0], "confidence": "x"}
    with pytest.raises(LeadHubError, match="a leaderboard of schema version 1 has other keys"):
        Leaderboard.from_document({**BOARD.to_document(), "rows": [row]})


@pytest.mark.parametrize("entry", [7, "x", [], {}, {**dataclasses.asdict(RESULT), "further": 1}])
def test_an_entry_that_cannot_be_read_costs_no_other(entry: object) -> None:
    card = json.loads(card_bytes([RESULT]))
    card["results"].insert(0, entry)
    with pytest.warns(UserWarning, match="a result is ignored, because this version cannot read it"):
        assert read_card(json.dumps(card).encode(), path=RESULT.card_path) == [RESULT]


def test_a_push_keeps_the_entries_that_it_cannot_read(hub: HubServer) -> None:
    """Another version wrote them; what was changed after it was written goes."""
    token = hub.add_user("alice")
    board_of(GOOD).push_to_hub("alice/scores", token=token)
    path = results_of(board_of(GOOD).to_document())[0].card_path
    card = json.loads(hub.repo("alice/scores", kind="dataset").files_at()[path])
    of_tomorrow = {**card["results"][0], "further": "a figure of tomorrow"}
    forged = {**card["results"][0], "content_sha256": "0" * 64}
    card["results"] += [of_tomorrow, forged]
    hub.commit("alice/scores", kind="dataset", files={path: json.dumps(card).encode()})
    fewer = replace(FLOWERS, rows_sha256="c" * 64)
    with pytest.warns(UserWarning, match="a result is ignored"):
        board_of(replace(GOOD, score=-0.75), dataset=fewer).push_to_hub("alice/scores", token=token)
    entries = json.loads(hub.repo("alice/scores", kind="dataset").files_at()[path])["results"]
    assert [entry["row"]["score"] for entry in entries] == [GOOD.score, -0.75, GOOD.score]
    assert entries[2] == of_tomorrow


@pytest.mark.parametrize(
    ("n_rows", "note", "is_read"),
    [
        (3, "a note", True),
        (1, "x" * 2**21, False),  # of a few kilobytes in the file
        (50, "x" * 10**5, False),  # said once in the file, and named fifty times
        (101, "", False),
    ],
)
def test_a_table_takes_no_more_memory_than_it_may(
    n_rows: int, note: str, is_read: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [replace(score_row(RESULT), note=note)] * n_rows
    content = table_bytes(rows)
    assert len(content) < 2**20 / 4
    monkeypatch.setattr("lead_hub.score_cards.table.MOST_TABLE_BYTES", 2**20)
    monkeypatch.setattr("lead_hub.score_cards.table.MOST_ROWS", 100)
    assert read_table(content) == (rows if is_read else None)
    # Nor is one written that nobody would read.
    with nullcontext() if is_read else pytest.raises(LeadHubError, match="push to another repository"):
        assert table_bytes(rows) == content


def test_a_table_that_is_too_large_is_not_fetched(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    token = hub.add_user("alice")
    board_of(GOOD).push_to_hub("alice/scores", token=token)
    monkeypatch.setattr("lead_hub.score_cards.repository.MOST_FILE_BYTES", 100)
    hub.requests.clear()
    with pytest.raises(HubError, match=r"a file of score cards must have at most 0 MB, data/scores\.parquet of alice"):
        Leaderboard.from_hub("alice/scores", dataset="org/flowers", token=token)
    assert not [request for request in hub.requests if "/resolve/" in request.path]


@pytest.mark.slow
@pytest.mark.parametrize("matter", ["date: 2024-13-45", "a: " + "[" * 5000, "n: 1e99999"])
def test_front_matter_by_others_that_yaml_cannot_read_is_given_up(matter: str) -> None:
    assert split_front_matter(f"---\n{matter}\n---\n# Mine\n")[1] == "# Mine\n"

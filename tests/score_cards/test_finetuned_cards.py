"""Measured accuracy beside the prediction: on the board, its table, the cards and the README."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from lead_hub.leaderboard import FineTunedAccuracy, Leaderboard
from lead_hub.score_cards.card import results_of
from lead_hub.score_cards.readme import readme_bytes
from lead_hub.score_cards.table import read_table, score_row, table_bytes
from tests.loopback_hub import HubServer
from tests.score_cards.boards import BOARD, FAIR, GOOD, POOR, board_of

SCORES = "alice/scores"
MEASURED = FineTunedAccuracy(
    mode="full",
    accuracy=0.875,
    accuracy_sd=0.0125,
    macro_f1=0.75,
    learning_rate=2e-4,
    n_runs=3,
    n_trainings=9,
    n_dropped=0,
    n_train=77,
    n_validation=19,
    n_test=24,
    test_source="split 'test'",
    duration_s=12.5,
    device="cpu",
)
VERIFIED = board_of(replace(GOOD, finetuned=MEASURED), FAIR, POOR)


@pytest.mark.parametrize("ending", [".json", ".parquet"])
def test_a_board_with_outcomes_is_loaded_as_it_was_saved(tmp_path: Path, ending: str) -> None:
    assert Leaderboard.load(VERIFIED.save(tmp_path / f"board{ending}")) == VERIFIED


def test_a_board_from_before_outcomes_is_loaded(tmp_path: Path) -> None:
    document = BOARD.to_document()
    for row in document["rows"]:
        del row["finetuned"]
    path = tmp_path / "board.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    assert Leaderboard.load(path) == BOARD


def test_the_table_has_a_column_for_each_figure_where_there_is_an_outcome(tmp_path: Path) -> None:
    table = pd.read_csv(VERIFIED.save(tmp_path / "board.csv"))
    good, fair = table.iloc[0], table.iloc[1]
    assert (good["finetuned_mode"], good["finetuned_accuracy"], good["finetuned_accuracy_sd"]) == (
        "full",
        0.875,
        0.0125,
    )
    assert (good["finetuned_macro_f1"], good["finetuned_n_runs"], good["finetuned_n_test"]) == (0.75, 3, 24)
    assert pd.isna(fair["finetuned_accuracy"])
    assert "finetuned_accuracy" not in BOARD.to_pandas().columns


def test_cards_carry_the_outcome_and_the_readme_shows_it(hub: HubServer) -> None:
    token = hub.add_user("alice")
    VERIFIED.push_to_hub(SCORES, token=token)
    assert Leaderboard.from_hub(SCORES, dataset="org/flowers", token=token).rows == VERIFIED.rows
    readme = hub.repo(SCORES, kind="dataset").files_at("main")["README.md"].decode()
    lines = [line for line in readme.splitlines() if line.startswith("|")]
    assert lines[0].startswith("| rank | checkpoint | score | fine-tuned |")
    assert " | -0.2500 | 87.5% ± 1.2 (full) | " in lines[2]
    assert " | -0.5000 |  | " in lines[3]
    assert "`fine-tuned` is no prediction" in readme


def test_without_outcomes_the_readme_has_no_such_column() -> None:
    readme = readme_bytes(
        [score_row(result) for result in results_of(BOARD.to_document())], endpoint="https://h"
    ).decode()
    assert "fine-tuned |" not in readme
    assert "`fine-tuned` is no prediction" not in readme


def test_an_outcome_is_added_to_a_card_that_is_there_and_never_lost_again(hub: HubServer) -> None:
    token = hub.add_user("alice")
    BOARD.push_to_hub(SCORES, token=token)
    assert VERIFIED.push_to_hub(SCORES, token=token).changed
    assert not VERIFIED.push_to_hub(SCORES, token=token).changed
    assert not BOARD.push_to_hub(SCORES, token=token).changed
    files = hub.repo(SCORES, kind="dataset").files_at("main")
    (result,) = json.loads(files[f"cards/org--flowers/org--good@{GOOD.sha}.json"])["results"]
    assert result["row"]["finetuned"]["accuracy"] == 0.875
    again = board_of(replace(GOOD, finetuned=replace(MEASURED, mode="lora", accuracy=0.9)))
    assert again.push_to_hub(SCORES, token=token).changed
    rows = {row.checkpoint: row for row in Leaderboard.from_hub(SCORES, dataset="org/flowers", token=token).rows}
    assert rows["org/good"].finetuned == replace(MEASURED, mode="lora", accuracy=0.9)
    assert rows["org/fair"].finetuned is None


def test_a_pull_request_with_an_outcome_is_another_one(hub: HubServer) -> None:
    token = hub.add_user("alice")
    first = BOARD.push_to_hub(SCORES, create_pr=True, token=token)
    again = BOARD.push_to_hub(SCORES, create_pr=True, token=token)
    verified = VERIFIED.push_to_hub(SCORES, create_pr=True, token=token)
    assert first.pr_url == again.pr_url
    assert verified.changed
    assert verified.pr_url != first.pr_url


def test_a_row_whose_outcome_makes_no_sense_is_not_read() -> None:
    rows = [score_row(result) for result in results_of(VERIFIED.to_document())]
    assert read_table(table_bytes(rows)) == rows
    for broken in (replace(rows[0], finetuned_accuracy=float("nan")), replace(rows[0], finetuned_mode=None)):
        assert read_table(table_bytes([broken, *rows[1:]])) is None

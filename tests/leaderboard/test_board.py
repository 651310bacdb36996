"""Leaderboard: ranks, ties, tables and files."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from lead_hub.errors import CandidateError, LeadHubError
from lead_hub.leaderboard.board import Leaderboard, rank
from lead_hub.leaderboard.rows import RankedCheckpoint, RankedDataset, Skipped

DATASET = RankedDataset(
    dataset="org/flowers",
    sha="a" * 40,
    is_local=False,
    config=None,
    split="train",
    image_column="image",
    label_column="label",
    class_names=("rose", 'tulip, "red"', "ばら"),
    n_images=120,
    rows_sha256="b" * 64,
    notes=("1 image could not be read",),
)


def board_of(*rows: RankedCheckpoint, n_candidates: int | None = None) -> Leaderboard:
    board = Leaderboard(
        dataset=DATASET,
        method="lead",
        rows=(),
        skipped=(),
        settings={"seed": 0, "batch_size": "auto", "allow_pickle": False},
        versions={"python": "3.11.7"},
        n_candidates=len(rows) if n_candidates is None else n_candidates,
    )
    for row in rows:
        board = replace(board, rows=rank([*board.rows, row]))
    return board


GOOD = RankedCheckpoint("org/good", -0.25, parameters=11_000_000, licence="mit", companions={"loo_accuracy": 0.9})
FAIR = RankedCheckpoint("org/fair", -0.5, revision="v1", n_source_classes=1000, images_per_s=12.5)
POOR = RankedCheckpoint("org/poor", -2.0, companions={"loo_accuracy": 0.4})


@pytest.mark.parametrize("order", [(GOOD, FAIR, POOR), (POOR, FAIR, GOOD), (FAIR, POOR, GOOD)])
def test_rows_are_sorted_best_first_whatever_the_order_of_arrival(order: tuple[RankedCheckpoint, ...]) -> None:
    board = board_of(*order)
    assert [(row.rank, row.checkpoint) for row in board.rows] == [(1, "org/good"), (2, "org/fair"), (3, "org/poor")]
    assert board.best.checkpoint == "org/good"


def test_equal_scores_share_the_better_rank_and_the_next_rank_is_left_out() -> None:
    twin = replace(GOOD, checkpoint="org/a-larger-twin", parameters=22_000_000)
    board = board_of(POOR, twin, GOOD)
    assert [(row.rank, row.checkpoint) for row in board.rows] == [
        (1, "org/good"),
        (1, "org/a-larger-twin"),
        (3, "org/poor"),
    ]


def test_best_of_nothing_says_why() -> None:
    board = board_of(n_candidates=1).with_skipped(Skipped("org/bad", None, stage="load", reason="config.json is empty"))
    with pytest.raises(CandidateError, match=r"org/bad \(load\): config.json is empty"):
        board.best  # noqa: B018 - the access is the test


def test_a_board_is_complete_when_every_candidate_was_tried() -> None:
    board = board_of(GOOD, FAIR, n_candidates=3)
    assert not board.is_complete
    assert board.with_skipped(Skipped("org/bad", None, stage="load", reason="no")).is_complete


def test_the_table_has_one_row_a_candidate() -> None:
    board = board_of(GOOD, FAIR, n_candidates=3).with_skipped(Skipped("org/bad", "main", stage="load", reason="no"))
    table = board.to_pandas()
    assert list(table.columns[:5]) == ["rank", "checkpoint", "score", "status", "loo_accuracy"]
    assert list(table["checkpoint"]) == ["org/good", "org/fair", "org/bad"]
    assert list(table["status"]) == ["ranked", "ranked", "skipped"]
    assert table["rank"].tolist() == [1, 2, pd.NA]
    assert table["note"].tolist() == ["", "", "no"]
    assert table["score"].tolist()[:2] == [-0.25, -0.5]


@pytest.mark.parametrize("ending", [".json", ".parquet"])
def test_what_was_saved_is_loaded(tmp_path: Path, ending: str) -> None:
    board = board_of(GOOD, FAIR, n_candidates=3).with_skipped(Skipped("org/bad", None, stage="load", reason="n\no"))
    path = board.save(tmp_path / "new folder" / f"board{ending}")
    assert Leaderboard.load(path) == board
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_board_without_rows_is_saved_too(tmp_path: Path) -> None:
    board = board_of(n_candidates=1).with_skipped(Skipped("org/bad", None, stage="load", reason="no"))
    for ending in (".json", ".parquet"):
        assert Leaderboard.load(board.save(tmp_path / f"board{ending}")) == board
    assert len(pd.read_csv(board.save(tmp_path / "board.csv"))) == 1


def test_other_programs_read_the_files(tmp_path: Path) -> None:
    board = board_of(GOOD, FAIR, POOR)
    csv = pd.read_csv(board.save(tmp_path / "board.csv"))
    parquet = pd.read_parquet(board.save(tmp_path / "board.parquet"))
    document = json.loads(board.save(tmp_path / "board.json").read_text(encoding="utf-8"))
    for names in (csv["checkpoint"], parquet["checkpoint"], [row["checkpoint"] for row in document["rows"]]):
        assert list(names) == ["org/good", "org/fair", "org/poor"]
    assert csv["score"].tolist() == parquet["score"].tolist() == [-0.25, -0.5, -2.0]
    assert document["schema_version"] == 1


def test_a_csv_is_not_a_whole_board(tmp_path: Path) -> None:
    path = board_of(GOOD).save(tmp_path / "board.csv")
    with pytest.raises(LeadHubError, match=r"a \.csv holds its table alone"):
        Leaderboard.load(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not json", "must be a saved leaderboard"),
        ("[]", '"schema_version" 1, found None'),
        ('{"schema_version": 99}', '"schema_version" 1, found 99'),
        ('{"schema_version": 1}', "has other keys: 'dataset'"),
    ],
)
def test_a_file_that_holds_no_board_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "board.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LeadHubError, match=message):
        Leaderboard.load(path)


def test_an_unknown_key_is_refused_by_name(tmp_path: Path) -> None:
    document = board_of(GOOD).to_document()
    document["rows"][0]["colour"] = "red"
    path = tmp_path / "board.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(LeadHubError, match="colour"):
        Leaderboard.load(path)


@pytest.mark.parametrize("ending", [".json", ".parquet", ".csv"])
def test_a_text_that_no_file_can_hold_is_told_and_leaves_nothing(tmp_path: Path, ending: str) -> None:
    """So that a program that saves several files goes on with the others."""
    odd = board_of(replace(GOOD, note="a note with half a character, \udce9"))
    with pytest.raises(LeadHubError, match="must hold texts of UTF-8 characters and finite numbers, found"):
        odd.save(tmp_path / f"board{ending}")
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written_and_unknown_endings(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LeadHubError, match="must be saved where there is room and a right to write"):
        board_of(GOOD).save(tmp_path / "file" / "board.json")
    with pytest.raises(LeadHubError, match=r"\.json, \.parquet, \.csv"):
        board_of(GOOD).save(tmp_path / "board.xlsx")
    with pytest.raises(LeadHubError, match="reading it failed"):
        Leaderboard.load(tmp_path / "missing.json")

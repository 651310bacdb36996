"""How sure a leaderboard is: on the record, in its files, in the table for people and in the verdict."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from lead_hub.confidence import Confidence
from lead_hub.confidence.class_errors import ClassAccuracy, ConfusedPair
from lead_hub.leaderboard.board import Leaderboard
from lead_hub.leaderboard.rows import RankedCheckpoint
from lead_hub.leaderboard.terminal import print_board
from tests.leaderboard.test_board import FAIR, GOOD, POOR, board_of

SURE = Confidence(
    score_low=-0.3,
    score_high=-0.2,
    rank_low=1,
    rank_high=2,
    tie_group=1,
    p_best=0.62,
    could_be_best=True,
    predicted_accuracy=0.714,
    predicted_low=0.58,
    predicted_high=0.82,
    calibrated_on="five fine-tunings",
    probe_accuracy=0.6,
    probe_low=0.5,
    probe_high=0.7,
    worst_classes=(ClassAccuracy("rose", 0.25, 8),),
    confused_pairs=(ConfusedPair("rose", "ばら", 6),),
)
UNSURE = replace(SURE, rank_low=3, rank_high=3, tie_group=2, p_best=0.01, could_be_best=False)
UNCALIBRATED = replace(
    SURE, p_best=None, predicted_accuracy=None, predicted_low=None, predicted_high=None, calibrated_on=""
)


def judged(*pairs: tuple[RankedCheckpoint, Confidence | None]) -> Leaderboard:
    return board_of(*(replace(row, confidence=confidence) for row, confidence in pairs))


def printed(board: Leaderboard) -> str:
    console = Console(file=io.StringIO(), width=200)
    print_board(board, console)
    return str(console.file.getvalue())  # type: ignore[attr-defined]  # the StringIO from above


@pytest.mark.parametrize("ending", [".json", ".parquet"])
def test_what_was_saved_is_loaded(tmp_path: Path, ending: str) -> None:
    board = judged((GOOD, SURE), (FAIR, None), (POOR, UNCALIBRATED))
    assert Leaderboard.load(board.save(tmp_path / f"board{ending}")) == board


def test_the_document_has_the_verdict() -> None:
    document = judged((GOOD, SURE), (FAIR, UNSURE), (POOR, UNSURE)).to_document()
    assert document["verdict"] == "clear winner: org/good"
    assert json.loads(json.dumps(document))["rows"][0]["confidence"]["worst_classes"] == [
        {"name": "rose", "accuracy": 0.25, "n_images": 8}
    ]


def test_a_board_from_before_there_was_confidence_is_read() -> None:
    document = judged((GOOD, None)).to_document()
    del document["verdict"], document["rows"][0]["confidence"]
    assert Leaderboard.from_document(document) == judged((GOOD, None))


def test_the_table_has_a_column_each(tmp_path: Path) -> None:
    board = judged((GOOD, SURE), (FAIR, None))
    table = board.to_pandas()
    assert table["rank_high"].tolist() == [2, pd.NA]
    assert table["p_best"].tolist()[0] == 0.62
    assert table["worst_classes"].tolist()[0] == "rose 25%"
    csv = pd.read_csv(board.save(tmp_path / "board.csv"))
    assert csv["predicted_low"].tolist()[0] == 0.58
    assert csv["confused_pairs"].tolist()[0] == "rose as ばら: 6"
    assert "score_low" not in judged((GOOD, None)).to_pandas().columns


def test_verdicts() -> None:
    three = judged((GOOD, SURE), (FAIR, SURE), (POOR, UNSURE))
    assert three.verdict == "one of these 2: org/good, org/fair"
    by_images = judged((GOOD, UNCALIBRATED), (FAIR, replace(UNCALIBRATED, could_be_best=False)))
    assert by_images.verdict == "clear winner: org/good (by the images alone: lead is not calibrated on fine-tuning)"
    from_cards = judged((GOOD, replace(SURE, could_be_best=None)), (FAIR, None))
    assert from_cards.verdict.startswith("no verdict: not all of these scores have their terms per image at hand")
    assert judged((GOOD, None), (FAIR, None)).verdict.startswith("no verdict: these scores (lead) have no terms")
    assert board_of(n_candidates=1).verdict == ""


def test_the_verdict_follows_names_that_change() -> None:
    board = judged((GOOD, SURE), (POOR, UNSURE))
    renamed = replace(board, rows=tuple(replace(row, checkpoint=row.checkpoint[4:]) for row in board.rows))
    assert renamed.verdict == "clear winner: good"


def test_people_read_it_at_once() -> None:
    lines = printed(judged((GOOD, SURE), (FAIR, SURE), (POOR, UNSURE))).splitlines()
    assert lines[0] == "▌ One of these 2: org/good, org/fair@v1"
    header, first = lines[4:6]
    assert header.split() == [
        *("checkpoint", "chance", "of", "best", "expected", "accuracy", "size", "ranks"),
        *("score", "licence", "images/s"),
    ]
    assert first.split()[:2] == ["▸", "1"]
    assert "1-2" in first
    assert "62.0%" in first
    assert "71% (58-82%)" in first
    assert "Learnt from five fine-tunings" in "\n".join(lines)


def test_nothing_is_shown_of_which_nothing_is_known() -> None:
    text = printed(judged((GOOD, None)))
    assert "expected" not in text
    assert "best" not in text
    assert "score" in text
    by_images = printed(judged((GOOD, UNCALIBRATED), (FAIR, UNCALIBRATED)))
    assert "ranks" in by_images
    assert "expected" not in by_images

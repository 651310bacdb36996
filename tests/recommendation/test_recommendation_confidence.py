"""recommend() says how sure it is: from the terms of every image, and honestly where they are not at hand."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lead_hub import Leaderboard, recommend
from lead_hub.confidence import without_ranks
from lead_hub.confidence.chance_of_best import LEVEL
from tests.loopback_hub import HubServer


@pytest.fixture(scope="module")
def board(colour_folder: Path, tiny_pool: Path, tmp_path_factory: pytest.TempPathFactory) -> Leaderboard:
    return recommend(colour_folder, tiny_pool, cache_dir=tmp_path_factory.mktemp("cache"), progress=False)


def test_every_row_is_judged(board: Leaderboard) -> None:
    assert sum(row.confidence.p_best for row in board.rows) == pytest.approx(1)
    for row in board.rows:
        sure = row.confidence
        assert sure.score_low <= row.score <= sure.score_high
        assert 1 <= sure.rank_low <= row.rank <= sure.rank_high <= len(board.rows)
        assert sure.predicted_low < sure.predicted_accuracy < sure.predicted_high
        assert sure.probe_accuracy == pytest.approx(row.companions["loo_accuracy"])
        assert "checkpoints fine-tuned" in sure.calibrated_on
    chances = sorted((row.confidence.p_best for row in board.rows), reverse=True)
    needed = next(count for count in range(1, 4) if sum(chances[:count]) >= LEVEL)
    assert sum(row.confidence.could_be_best for row in board.rows) == needed


@pytest.mark.slow
def test_streamed_boards_are_judged_among_those_so_far(colour_folder: Path, tiny_pool: Path, tmp_path: Path) -> None:
    boards: Iterator[Leaderboard] = recommend(colour_folder, tiny_pool, stream=True, cache_dir=tmp_path, progress=False)
    for number, one in enumerate(boards, start=1):
        assert sum(row.confidence.p_best for row in one.rows) == pytest.approx(1)
        assert max(row.confidence.rank_high for row in one.rows) <= number
        if number == 1:
            assert one.verdict == f"only one checkpoint to choose from: {one.best.checkpoint}"


@pytest.mark.slow
def test_a_score_without_terms_has_no_verdict(colour_folder: Path, tiny_pool: Path, tmp_path: Path) -> None:
    board = recommend(colour_folder, tiny_pool, "logme", cache_dir=tmp_path, progress=False)
    assert [row.confidence for row in board.rows] == [None] * 3
    assert board.verdict == (
        "no verdict: these scores (logme) have no terms per image that could tell chance from quality"
    )


@pytest.mark.slow
def test_a_score_without_a_calibration_is_judged_by_the_images(
    colour_folder: Path, tiny_pool: Path, tmp_path: Path
) -> None:
    board = recommend(colour_folder, tiny_pool, "knn", cache_dir=tmp_path, progress=False)
    assert {row.confidence.p_best for row in board.rows} == {None}
    assert {row.confidence.predicted_accuracy for row in board.rows} == {None}
    assert board.best.confidence.could_be_best
    assert board.verdict.endswith("(by the images alone: knn is not calibrated on fine-tuning)")


@pytest.mark.slow
def test_rows_of_score_cards_leave_the_ranks_open(
    hub: HubServer, colour_folder: Path, tiny_pool: Path, tmp_path: Path
) -> None:
    """What concerns a row alone travels with its card; how it stands among others needs their terms."""
    alice = hub.add_user("alice")
    settings = {"cache_dir": tmp_path, "progress": False, "token": alice}
    pushed = recommend(colour_folder, [tiny_pool / "resnet", tiny_pool / "vit"], **settings)
    pushed.push_to_hub("alice/scores", token=alice)
    board = recommend(colour_folder, tiny_pool, reuse_cards="alice/scores", **settings)
    assert sum(row.note.startswith("score card") for row in board.rows) == 2
    with pytest.warns(UserWarning, match="holds one score, and 2 are asked for: those of alice/scores are not looked"):
        both = recommend(colour_folder, tiny_pool / "vit", ["lead", "knn"], reuse_cards="alice/scores", **settings)
    assert "score card" not in both.best.note
    from_hub = Leaderboard.from_hub("alice/scores", dataset=colour_folder.name, token=alice)
    for one in (board, from_hub):
        assert one.verdict.startswith("no verdict: not all of these scores have their terms per image at hand")
        for row in one.rows:
            assert {row.confidence.rank_low, row.confidence.p_best, row.confidence.could_be_best} == {None}
    for row in pushed.rows:
        same = next(other for other in board.rows if other.checkpoint == row.checkpoint)
        assert same.confidence == replace(without_ranks(row.confidence), confusion=None)


def test_pushing_twice_writes_once(hub: HubServer, board: Leaderboard) -> None:
    alice = hub.add_user("alice")
    board.push_to_hub("alice/scores", token=alice)
    head = hub.repo("alice/scores", kind="dataset").head
    board.push_to_hub("alice/scores", token=alice)
    assert hub.repo("alice/scores", kind="dataset").head == head

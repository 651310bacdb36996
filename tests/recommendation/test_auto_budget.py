"""budget="auto": the full run where that is short, else a race within 15 minutes; sums worked out by hand."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from lead_hub import Leaderboard, LeadHubError, recommend
from lead_hub.candidates import Candidate
from lead_hub.recommendation import RunEstimate, can_race, estimate_run, speed_of_gpus
from lead_hub.recommendation.estimate import (
    MachineSpeed,
    auto_budget,
    measured_speed,
    speed_measured_in,
    too_long_s,
)
from lead_hub.recommendation.race_budget import AUTO_BUDGET, RaceBudget, SpentBudget, parse_race_budget

Recommend = Callable[..., Leaderboard]
# A billion multiplications or additions and 50 photos a second.
PROCESSOR = MachineSpeed(flops_per_s=1e9, prepared_images_per_s=50, shares_cores=True)
SMALL = [Candidate("org/a", parameters=1_000_000)]
# More than a machine does within a quarter of an hour that reaches 10^16 operations a second: 2 * 10^18 a checkpoint.
ENDLESS = 10**18


def processor() -> MachineSpeed:
    return PROCESSOR


def not_asked() -> MachineSpeed:
    raise AssertionError("the machine is measured")


@pytest.mark.parametrize(
    ("n_images", "n_processes", "seconds"),
    [
        # A million parameters take 350 million operations an image: 0.7 s at half of the speed of a convolution, and
        # 0.02 s to prepare it; twice that to decode it, once; and 0.8 s to load the checkpoint.
        (1000, 1, None),  # 700 + 20 + 40 + 0.8 = 760.8 s, less than 900
        (1200, 1, 912.8),  # 840 + 24 + 48 + 0.8
        (1200, 2, None),
        (2400, 2, 912.4),  # half of 1680 + 48 + 96 + 0.8
    ],
)
def test_the_full_run_where_it_takes_at_most_15_minutes(n_images: int, n_processes: int, seconds: float | None) -> None:
    found = too_long_s(SMALL, n_images=n_images, get_speed=processor, n_processes=n_processes)
    assert found == (seconds and pytest.approx(seconds))


def test_small_work_is_not_measured() -> None:
    # Five billion operations and ten photos a second: 0.14 s and 0.1 s an image, 0.2 s to decode it, and 0.8 s. A third
    # of 15 minutes are 300 s, for 680 images.
    assert too_long_s(SMALL, n_images=679, get_speed=not_asked) is None
    with pytest.raises(AssertionError, match="measured"):
        too_long_s(SMALL, n_images=681, get_speed=not_asked)


def test_checkpoints_of_unknown_size_count_as_average_ones() -> None:
    # 25 million parameters take 17.5 s an image: 100 images 1750 s, and 2 + 4 + 0.8 s.
    assert too_long_s([Candidate("org/a")], n_images=100, get_speed=processor) == pytest.approx(1756.8)


def test_an_estimate_says_what_auto_is() -> None:
    candidates = [*SMALL, Candidate("org/b", parameters=3_000_000)]
    # 80 s to decode 2000 images; 40 s to prepare them, 0.8 s and 0.7 s an image and million parameters for each. A race
    # would take some 36 minutes.
    full_s = 80 + 2 * 40.8 + 0.7 * 2000 * (1 + 3)
    raced = estimate_run(candidates, n_images=2000, speed=PROCESSOR, budget="auto")
    assert (raced.duration_s, raced.full_duration_s, raced.budget) == (900, pytest.approx(full_s), "15min")
    assert raced == estimate_run(candidates, n_images=2000, speed=PROCESSOR, budget="15min")
    short = estimate_run(candidates, n_images=100, speed=PROCESSOR, budget="auto")
    assert short == estimate_run(candidates, n_images=100, speed=PROCESSOR)
    assert (short.duration_s, short.budget) == (pytest.approx(4 + 2 * 2.8 + 280), None)
    unknown = estimate_run([Candidate("org/a")], n_images=100, speed=PROCESSOR, budget="auto")
    assert unknown == RunEstimate(1, 100, 0, 1, 900, pytest.approx(1756.8), 0, "15min")


def test_what_auto_is_for_several_processes_is_decided_by_the_speed_of_one() -> None:
    # 912.8 s by one process, 456.4 by two.
    assert auto_budget(SMALL, n_images=1200, get_speed=processor, n_processes=1) == "15min"
    assert auto_budget(SMALL, n_images=1200, get_speed=processor, n_processes=2) is None


@pytest.mark.slow
def test_gpus_share_the_passes_and_the_cores_of_the_machine() -> None:
    before, found, after = measured_speed(), speed_of_gpus(3), measured_speed()  # a new one may be due in between
    assert found in [replace(one, flops_per_s=3 * one.flops_per_s) for one in (before, after)]


def test_time_counts_from_the_start_but_leaves_half_for_the_race() -> None:
    assert parse_race_budget("15min") == AUTO_BUDGET
    for read_s, over_s in [(100.0, 900.0), (450.0, 900.0), (2000.0, 2450.0)]:
        now = [0.0]
        spent = SpentBudget(None, n_candidates=5, clock=lambda now=now: now[0])
        spent.run(10**9)
        now[0] = read_s
        assert not spent.is_time_over
        assert spent.allows(10**9, n_images_of_run=1)
        spent.becomes(AUTO_BUDGET, least_left_s=450.0)
        now[0] = over_s - 0.1
        assert not spent.is_time_over
        now[0] = over_s
        assert spent.is_time_over


def test_where_there_can_be_a_race() -> None:
    assert can_race(["lead", "knn"])
    assert not can_race(["knn", "lead"])
    assert not can_race(["lead", "lead-network"])
    assert not can_race(["lead"], reuse_cards="me/cards")


@pytest.fixture
def rank(colour_folder: Path, tmp_path: Path) -> Recommend:
    """recommend() on the colours, each time with a cache of its own, and what it told of a race."""
    caches = iter(range(9))

    def ranked(candidates: object, **options: object) -> Leaderboard:
        settings = {"cache_dir": tmp_path / str(next(caches)), "progress": False, "batch_size": 3, **options}
        return recommend(colour_folder, candidates, **settings)  # type: ignore[call-overload, no-any-return]

    return ranked


def untimed(board: Leaderboard) -> Leaderboard:
    return replace(board, rows=tuple(replace(row, images_per_s=None) for row in board.rows))


def endless(pool: Path) -> list[Candidate]:
    """The pool, as if each of its networks took so long."""
    return [Candidate(str(folder), multiply_adds=ENDLESS) for folder in sorted(pool.iterdir())]


@pytest.mark.slow
def test_small_work_gives_the_full_runs_board_to_the_last_bit(rank: Recommend, tiny_pool: Path) -> None:
    told: list[float] = []
    found = rank(tiny_pool, budget="auto", on_race=told.append)
    assert untimed(found) == untimed(rank(tiny_pool))
    assert "budget" not in found.settings
    assert told == []


@pytest.mark.slow
def test_large_work_is_a_race_and_says_so(rank: Recommend, tiny_pool: Path) -> None:
    told: list[float] = []
    boards = rank(endless(tiny_pool), budget="auto", on_race=told.append, stream=True)
    *_, found = cast("list[Leaderboard]", list(boards))
    assert untimed(found) == untimed(rank(endless(tiny_pool), budget="15min"))
    assert found.settings["budget"] == "15min"
    (seconds,) = told
    assert seconds > 900
    assert found.rows[0].n_images is None
    assert found.rows[0].confidence is not None


@pytest.mark.slow
@pytest.mark.parametrize("score", ["logme", ["lead", "lead-network"]])
def test_where_there_can_be_no_race_it_is_the_full_run(
    rank: Recommend, tiny_pool: Path, score: str | list[str]
) -> None:
    told: list[float] = []
    found = rank(endless(tiny_pool), budget="auto", score=score, on_race=told.append)
    assert untimed(found) == untimed(rank(endless(tiny_pool), score=score))
    assert "budget" not in found.settings
    assert {row.n_images for row in found.rows} == {None}
    assert told == []


def test_a_budget_of_ones_own_is_not_announced(rank: Recommend, tiny_pool: Path) -> None:
    told: list[float] = []
    rank(endless(tiny_pool)[:1], budget="15min", on_race=told.append)
    assert told == []


@pytest.mark.parametrize("amount", ["9" * 400 + "GB", "1" + "0" * 9 + "h", "0." + "1" * 10 + "%"])
def test_amounts_that_no_number_holds_are_none(amount: str) -> None:
    with pytest.raises(LeadHubError, match="budget must be a time"):
        parse_race_budget(amount)
    assert parse_race_budget("999999999GB") == RaceBudget("999999999GB", download_bytes=999_999_999 * 10**9)


@pytest.mark.slow
def test_the_machine_is_measured_where_that_decides(rank: Recommend, tiny_pool: Path) -> None:
    speed_measured_in.cache_clear()
    rank(endless(tiny_pool)[:1], budget="auto", score="knn")
    rank(tiny_pool, budget="auto")
    assert speed_measured_in.cache_info().currsize == 0
    rank(endless(tiny_pool)[:1], budget="auto")
    assert speed_measured_in.cache_info().currsize > 0

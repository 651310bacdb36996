"""What is left of a run, worked out by hand."""

import pytest

from lead_hub.candidates import Candidate
from lead_hub.recommendation.estimate import MachineSpeed
from lead_hub.recommendation.remaining_time import RemainingTime, StagesAhead

# 100 images take 2 s to prepare, a million parameters 70 s, and each checkpoint 0.8 s more (see test_estimate.py).
PROCESSOR = MachineSpeed(flops_per_s=1e9, prepared_images_per_s=50, shares_cores=True)
SMALL, LARGE = Candidate("org/small", parameters=1_000_000), Candidate("org/large", parameters=3_000_000)
SMALL_S, LARGE_S = 70 + 2 + 0.8, 210 + 2 + 0.8


def test_an_estimate_that_the_first_checkpoint_corrects() -> None:
    now = [0.0]
    remaining = RemainingTime(lambda: PROCESSOR, clock=lambda: now[0])
    remaining.begins(SMALL, [LARGE, SMALL], n_images=100)
    assert remaining.left_s(0.0) == pytest.approx(SMALL_S + LARGE_S + SMALL_S)
    assert remaining.left_s(0.5) == pytest.approx(SMALL_S / 2 + LARGE_S + SMALL_S)
    now[0] = 3 * SMALL_S  # the machine is busy
    remaining.ends(has_run=True)
    assert remaining.left_s(1.0) == pytest.approx(3 * (LARGE_S + SMALL_S))
    remaining.begins(LARGE, [SMALL], n_images=100)
    assert remaining.left_s(0.0) == pytest.approx(3 * (LARGE_S + SMALL_S))
    now[0] += LARGE_S  # now it is not: both together took 3 SMALL + LARGE
    remaining.ends(has_run=True)
    assert remaining.left_s(1.0) == pytest.approx(SMALL_S * (3 * SMALL_S + LARGE_S) / (SMALL_S + LARGE_S))


def test_what_came_from_the_cache_says_nothing_of_the_machine() -> None:
    now = [0.0]
    remaining = RemainingTime(lambda: PROCESSOR, clock=lambda: now[0])
    remaining.begins(SMALL, [LARGE], n_images=100)
    now[0] = 0.01
    remaining.ends(has_run=False)
    remaining.begins(LARGE, [], n_images=100)
    assert remaining.left_s(0.0) == pytest.approx(LARGE_S)


def test_an_unknown_size_is_the_mean_of_the_others() -> None:
    remaining = RemainingTime(lambda: PROCESSOR, clock=lambda: 0.0)
    remaining.begins(Candidate("org/unknown"), [SMALL, LARGE], n_images=100)
    assert remaining.left_s(0.0) == pytest.approx(140 + 2 + 0.8 + SMALL_S + LARGE_S)
    remaining.ends(has_run=True)
    assert remaining.left_s(1.0) == 0.0  # it took no time at all by this clock


def test_the_stages_to_come_of_a_race_are_counted() -> None:
    remaining = RemainingTime(lambda: PROCESSOR, clock=lambda: 0.0)
    ahead = StagesAhead((SMALL, LARGE), n_images=(100, 200), going_on=0.3)
    remaining.begins(SMALL, [LARGE], n_images=100, ahead=ahead)
    # Three tenths of both see 100 images more, and 200 after that.
    later_s = 0.3 * (SMALL_S + LARGE_S + (140 + 4 + 0.8) + (420 + 4 + 0.8))
    assert remaining.left_s(0.0) == pytest.approx(SMALL_S + LARGE_S + later_s)
    remaining.begins(LARGE, [], n_images=100, ahead=ahead)
    assert remaining.left_s(1.0) == pytest.approx(later_s)


def test_no_more_than_the_passes_of_the_budget() -> None:
    remaining = RemainingTime(lambda: PROCESSOR, clock=lambda: 0.0)
    ahead = StagesAhead((SMALL, LARGE), n_images=(100, 200), going_on=0.5, n_allowed=200)
    remaining.begins(SMALL, [LARGE], n_images=100, ahead=ahead)
    # After these 100 images 100 more of 100 + half of 2 * 300, a quarter.
    later_s = LARGE_S + 0.5 * (SMALL_S + LARGE_S + (140 + 4 + 0.8) + (420 + 4 + 0.8))
    assert remaining.left_s(0.0) == pytest.approx(SMALL_S + later_s / 4)
    remaining.begins(SMALL, [LARGE], n_images=100, ahead=StagesAhead(n_allowed=100))
    assert remaining.left_s(1.0) == 0.0


def test_several_processes_share_what_comes_after() -> None:
    remaining = RemainingTime(lambda: PROCESSOR, clock=lambda: 0.0)
    remaining.begins(SMALL, [LARGE, SMALL], n_images=100, n_sharing=2)
    assert remaining.left_s(0.0) == pytest.approx(SMALL_S + (LARGE_S + SMALL_S) / 2)

"""Intervals of scores and ranks, and tie groups: by hand, and how often they hold the truth."""

import numpy as np
import pytest

from lead_hub.confidence.image_bootstrap import resampled_scores
from lead_hub.confidence.intervals import RankIntervals, competition_ranks, rank_intervals, tie_groups
from lead_hub.errors import ScoreError


def intervals_of(terms: np.ndarray) -> RankIntervals:
    return rank_intervals(terms.mean(axis=1), resampled_scores(terms))


def test_competition_ranks_by_hand() -> None:
    scores = np.array([[0.5, 0.9, 0.5, 0.1], [1.0, 1.0, 1.0, 1.0], [4.0, 3.0, 2.0, 1.0]])
    assert competition_ranks(scores).tolist() == [[2, 1, 2, 4], [1, 1, 1, 1], [1, 2, 3, 4]]


def test_rounding_makes_no_rank() -> None:
    assert competition_ranks(np.array([[0.1 + 0.2, 0.3, 0.2]])).tolist() == [[1, 1, 3]]


def test_intervals_by_hand() -> None:
    # Ten resamples: at 60% the tails are 20% and 80%, that is the values at positions 0.2 * 9 = 1.8 and 7.2 of the
    # sorted ones, 0 to 9 tenths, between neighbours in proportion. The second is ahead in 3 of the 10.
    first = np.arange(10) / 10
    second = np.where(np.arange(10) < 3, 2.0, -1.0)
    found = rank_intervals(np.array([0.45, -0.1]), np.stack([first, second], axis=1), level=0.6)
    assert found.score_low[0] == pytest.approx(0.18)
    assert found.score_high[0] == pytest.approx(0.72)
    assert (found.rank_low.tolist(), found.rank_high.tolist()) == ([1, 1], [2, 2])
    # At 30% the tails are 35%: less than the three in ten are left out on either side.
    narrow = rank_intervals(np.array([0.45, -0.1]), np.stack([first, second], axis=1), level=0.3)
    assert (narrow.rank_low.tolist(), narrow.rank_high.tolist()) == ([1, 2], [1, 2])


def test_an_interval_holds_what_was_observed() -> None:
    resampled = np.array([[3.0, 2.0], [3.0, 2.0]])
    found = rank_intervals(np.array([1.0, 5.0]), resampled)
    assert (found.score_low.tolist(), found.score_high.tolist()) == ([1.0, 2.0], [3.0, 5.0])
    assert (found.rank_low.tolist(), found.rank_high.tolist()) == ([1, 1], [2, 2])


def test_better_on_every_image_is_always_first() -> None:
    worse = np.random.default_rng(0).normal(size=(3, 25))
    found = intervals_of(np.concatenate([worse.max(axis=0, keepdims=True) + 0.01, worse]))
    assert (found.rank_low[0], found.rank_high[0]) == (1, 1)
    assert (found.tie_group == 1).tolist() == [True, False, False, False]


def test_equal_checkpoints_tie_wherever_they_stand() -> None:
    terms = np.random.default_rng(1).normal(size=(1, 203))
    found = intervals_of(np.repeat(terms, 7, axis=0))
    assert found.rank_low.tolist() == found.rank_high.tolist() == found.tie_group.tolist() == [1] * 7


def test_groups_follow_the_ranking_and_are_named_by_their_first() -> None:
    # Differences of three resamples, the smallest decides at 90%: b never trails a by more than 0, c trails a always
    # but b not always, d trails c always.
    resampled = np.array([[9.0, 9.0, 7.0, 1.0], [9.0, 5.0, 7.0, 1.0], [9.0, 9.0, 7.0, 1.0]])
    order = [2, 0, 3, 1]
    scores = resampled.mean(axis=0)
    assert tie_groups(scores, resampled, level=0.9).tolist() == [1, 1, 2, 3]
    assert tie_groups(scores[order], resampled[:, order], level=0.9).tolist() == [2, 1, 3, 1]


def test_order_changes_nothing() -> None:
    terms = np.random.default_rng(2).normal(size=(6, 40)) + np.arange(6)[:, None] / 10
    order = [3, 0, 5, 1, 4, 2]
    there, here = intervals_of(terms), intervals_of(terms[order])
    for name in ("score_low", "score_high", "rank_low", "rank_high", "tie_group"):
        np.testing.assert_allclose(getattr(here, name), getattr(there, name)[order], rtol=1e-12, err_msg=name)


def test_one_checkpoint_and_none() -> None:
    alone = intervals_of(np.array([[0.0, 1.0, 2.0]]))
    assert (alone.rank_low.tolist(), alone.rank_high.tolist(), alone.tie_group.tolist()) == ([1], [1], [1])
    assert len(intervals_of(np.zeros((0, 5))).tie_group) == 0


def test_intervals_hold_the_true_score_in_nine_of_ten_experiments() -> None:
    """400 experiments of 100 normal terms: 90% of them hold the mean 0, give or take four binomial deviations, 6%."""
    generator = np.random.default_rng(3)
    held = 0
    for _ in range(400):
        terms = generator.normal(size=(1, 100))
        found = rank_intervals(terms.mean(axis=1), resampled_scores(terms, n_resamples=300))
        held += bool(found.score_low[0] <= 0 <= found.score_high[0])
    assert abs(held / 400 - 0.9) < 4 * np.sqrt(0.9 * 0.1 / 400)


def test_equally_good_checkpoints_are_told_apart_in_one_of_ten_experiments() -> None:
    """Two of the same true score, hard and easy images shared: apart in at most 10%, plus four deviations, 6%."""
    generator = np.random.default_rng(4)
    apart = 0
    for _ in range(400):
        terms = generator.normal(size=(2, 100)) + 5 * generator.normal(size=100)
        groups = tie_groups(terms.mean(axis=1), resampled_scores(terms, n_resamples=300), level=0.9)
        apart += int(groups.max() > 1)
    assert 0 < apart / 400 < 0.1 + 4 * np.sqrt(0.9 * 0.1 / 400)


@pytest.mark.parametrize(("n_resamples", "level"), [(0, 0.9), (5, 0.0), (5, 1.0)])
def test_what_does_not_fit_is_refused(n_resamples: int, level: float) -> None:
    with pytest.raises(ScoreError, match="a level between 0 and 1"):
        rank_intervals(np.array([1.0]), np.ones((n_resamples, 1)), level=level)

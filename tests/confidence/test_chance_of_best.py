"""Who could be best: by hand, against drawn errors, and how often the set holds the best in simulated worlds."""

import math

import numpy as np
import pytest

from lead_hub.confidence.chance_of_best import chances_of_best, could_be_best
from lead_hub.confidence.image_bootstrap import resampled_scores
from lead_hub.errors import ScoreError


def test_two_resamples_by_hand() -> None:
    # In the first the two are equal; in the second the first is ahead by ln 3 spreads: 3 to 1.
    resampled = np.array([[0.0, 0.0], [0.5 * math.log(3), 0.0]])
    np.testing.assert_allclose(chances_of_best(resampled, spread=0.5), [(1 / 2 + 3 / 4) / 2, (1 / 2 + 1 / 4) / 2])


def test_equals_the_share_of_drawn_errors_that_make_it_the_best() -> None:
    scores = np.array([[1.0, 0.8, 0.1], [0.9, 1.1, 0.0]])
    errors = np.random.default_rng(0).gumbel(scale=0.3, size=(100_000, 2, 3))
    drawn = np.bincount((scores + errors).argmax(axis=2).ravel(), minlength=3) / 200_000
    # 200,000 draws know a probability to 0.0011 at most; four of that.
    np.testing.assert_allclose(chances_of_best(scores, spread=0.3), drawn, atol=0.0045)


def test_a_large_lead_is_certain_and_a_huge_one_no_overflow() -> None:
    np.testing.assert_allclose(chances_of_best(np.array([[0.0, -1e6, -20.0]]), spread=0.1), [1, 0, 0], atol=1e-12)


def test_equal_checkpoints_have_equal_chances_and_order_changes_nothing() -> None:
    terms = np.random.default_rng(1).normal(size=(5, 60))
    terms[3] = terms[1]
    order = [4, 1, 0, 3, 2]
    there = chances_of_best(resampled_scores(terms), spread=0.1)
    assert there[3] == pytest.approx(there[1], rel=1e-12)
    assert there.sum() == pytest.approx(1)
    np.testing.assert_allclose(chances_of_best(resampled_scores(terms[order]), spread=0.1), there[order], rtol=1e-12)


@pytest.mark.parametrize(
    ("chances", "possible"),
    [
        ([0.95, 0.05], [True, False]),
        ([0.05, 0.90, 0.05], [False, True, False]),
        ([0.5, 0.1, 0.4], [True, False, True]),
        ([0.5, 0.3, 0.1, 0.1], [True, True, True, True]),  # the last two are as probable as each other
        ([0.25] * 4, [True] * 4),
        ([1.0], [True]),
        ([], []),
    ],
)
def test_the_smallest_set_by_hand(chances: list[float], possible: list[bool]) -> None:
    assert could_be_best(np.array(chances)).tolist() == possible


def test_the_set_holds_the_best_in_nine_of_ten_worlds() -> None:
    """True scores of ten checkpoints, noisy terms, outcomes with the errors that are assumed: 90% or a little more.

    More, because the set is made of whole checkpoints. 500 worlds: four binomial deviations below 90% is 84.6%.
    """
    generator = np.random.default_rng(2)
    held, sizes = 0, []
    for _ in range(500):
        true = generator.normal(size=10)
        terms = true[:, None] + generator.normal(scale=2, size=(10, 200))
        best = int((true + generator.gumbel(scale=0.3, size=10)).argmax())
        chosen = could_be_best(chances_of_best(resampled_scores(terms, n_resamples=200), spread=0.3))
        held += bool(chosen[best])
        sizes.append(int(chosen.sum()))
    assert 0.9 - 4 * math.sqrt(0.9 * 0.1 / 500) < held / 500 < 0.97
    assert np.median(sizes) < 5


def test_what_does_not_fit_is_refused() -> None:
    for resampled, spread in ((np.zeros((2, 3)), 0.0), (np.zeros((2, 3)), math.nan), (np.zeros((0, 3)), 1.0)):
        with pytest.raises(ScoreError, match="a spread above 0"):
            chances_of_best(resampled, spread=spread)

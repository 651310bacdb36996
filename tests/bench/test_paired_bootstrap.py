"""The bootstrap's weighted tau against scipy on samples written out, and what pairing must give."""

import numpy as np
import pytest
from scipy.stats import weightedtau

from lead_hub.bench.paired_bootstrap import (
    Resamples,
    draw_resamples,
    every_one_once,
    interval,
    mean_taus,
    weighted_taus,
)


@pytest.mark.parametrize("n_checkpoints", [4, 9, 28])
@pytest.mark.parametrize("is_rounded", [False, True])
def test_resampled_tau_is_scipys_on_the_checkpoints_written_out(n_checkpoints: int, is_rounded: bool) -> None:
    random = np.random.default_rng(n_checkpoints)
    scores, accuracy = random.normal(size=(2, n_checkpoints))
    if is_rounded:  # many ties, in scores, in accuracies and in both
        scores, accuracy = scores.round(), accuracy.round()
    counts = draw_resamples(n_checkpoints, 1, n_resamples=60, seed=1).checkpoints
    taus = weighted_taus(scores, accuracy, counts)
    n_compared = 0
    for tau, count in zip(taus, counts, strict=True):
        drawn = np.repeat(np.arange(n_checkpoints), count)
        if len(set(scores[drawn])) > 1 and len(set(accuracy[drawn])) > 1:
            assert tau == pytest.approx(weightedtau(scores[drawn], accuracy[drawn]).statistic, abs=1e-12)
            n_compared += 1
    assert n_compared > 30


def test_one_exchange_at_the_top_by_hand() -> None:
    # Truth 3 > 2 > 1 at places 0, 1, 2 with weights 1, 1/2, 1/3; the score exchanges the first two. Pairs weigh
    # 1 + 1/2 (wrong), 1 + 1/3 and 1/2 + 1/3 (right) along either order.
    expected = (-(1 + 1 / 2) + (1 + 1 / 3) + (1 / 2 + 1 / 3)) / ((1 + 1 / 2) + (1 + 1 / 3) + (1 / 2 + 1 / 3))
    once = np.ones((1, 3), dtype=np.int64)
    assert weighted_taus(np.array([2.0, 3.0, 1.0]), np.array([3.0, 2.0, 1.0]), once)[0] == pytest.approx(expected)


def test_an_undefined_score_ranks_last() -> None:
    accuracy = np.array([1.0, 2.0, 3.0, 4.0])
    once = np.ones((1, 4), dtype=np.int64)
    undefined = weighted_taus(np.array([np.nan, 0.2, np.nan, -7.0]), accuracy, once)
    assert undefined[0] == pytest.approx(weightedtau([-100.0, 0.2, -100.0, -7.0], accuracy).statistic, abs=1e-12)


def test_equal_scores_are_chance_and_equal_accuracies_no_question() -> None:
    once = np.ones((1, 3), dtype=np.int64)
    assert weighted_taus(np.zeros(3), np.array([1.0, 2.0, 3.0]), once)[0] == 0
    assert np.isnan(weighted_taus(np.array([1.0, 2.0, 3.0]), np.zeros(3), once)[0])


def test_resamples_draw_as_many_as_there_are() -> None:
    resamples = draw_resamples(7, 3, n_resamples=50, seed=3)
    assert resamples.checkpoints.shape == (50, 7)
    assert (resamples.checkpoints.sum(axis=1) == 7).all()
    assert (resamples.targets.sum(axis=1) == 3).all()
    # Drawn with replacement: some draw of 7 has one twice (the chance of none in 50 is (7!/7^7)^50).
    assert resamples.checkpoints.max() > 1
    again = draw_resamples(7, 3, n_resamples=50, seed=3)
    assert (again.checkpoints == resamples.checkpoints).all()
    assert (draw_resamples(7, 3, n_resamples=50, seed=4).checkpoints != resamples.checkpoints).any()


def test_the_mean_over_targets_weighs_them_as_drawn_and_leaves_out_what_is_missing() -> None:
    accuracy = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, np.nan], [4.0, 4.0]])
    scores = np.array(
        [[1.0, 4.0], [2.0, 3.0], [3.0, 2.0], [4.0, 1.0]]
    )  # right on the first target, reversed on the other
    counts = np.ones((2, 4), dtype=np.int64)
    resamples = Resamples(counts, np.array([[3, 1], [0, 2]]))
    np.testing.assert_allclose(mean_taus(scores[None], accuracy[None], resamples), [(3 * 1 - 1) / 4, -1])


def test_identical_rows_differ_by_exactly_nothing() -> None:
    random = np.random.default_rng(0)
    accuracy, scores = random.normal(size=(2, 1, 6, 4))
    resamples = draw_resamples(6, 4, n_resamples=200)
    difference = mean_taus(scores, accuracy, resamples) - mean_taus(scores.copy(), accuracy, resamples)
    assert interval(difference) == (0.0, 0.0)


def test_the_interval_is_that_of_a_naive_bootstrap() -> None:
    random = np.random.default_rng(5)
    accuracy = random.normal(size=(8, 3))
    scores = accuracy + random.normal(size=(8, 3))
    resamples = draw_resamples(8, 3, n_resamples=40, seed=2)
    naive = []
    for checkpoints, targets in zip(resamples.checkpoints, resamples.targets, strict=True):
        drawn = np.repeat(np.arange(8), checkpoints)
        columns = np.repeat(np.arange(3), targets)
        naive.append(np.mean([weightedtau(scores[drawn, t], accuracy[drawn, t]).statistic for t in columns]))
    taus = mean_taus(scores[None], accuracy[None], resamples)
    np.testing.assert_allclose(taus, naive, atol=1e-12)
    assert interval(taus) == pytest.approx((np.percentile(naive, 5), np.percentile(naive, 95)))


def test_the_sample_itself_is_a_resample() -> None:
    itself = every_one_once(5, 2)
    assert itself.checkpoints.tolist() == [[1] * 5]
    assert itself.targets.tolist() == [[1, 1]]

"""Coverage and hit rates of made-up outcomes whose answer is known."""

import math

import numpy as np
import pytest
from scipy.special import expit

from lead_hub.bench.coverage import FineTunedTarget, confidence_figures
from lead_hub.errors import ScoreError
from tests.confidence.made_calibration import made_calibration

# Scores without noise, so that nothing but the calibration's errors is left. Of 8 classes the spread is 0.2 ln 8.
SCORES = 3 * 0.2 * math.log(8) * np.arange(-5.0, 1.0)
N_RIGHT = np.array([20, 30, 40, 50, 60, 70])


def target_of(accuracy: np.ndarray) -> FineTunedTarget:
    terms = np.repeat(SCORES[:, None], 100, axis=1)
    correct = np.arange(100) < N_RIGHT[:, None]
    return FineTunedTarget("made up", terms=terms, correct=correct, accuracy=accuracy, n_classes=8)


def expected_accuracy() -> np.ndarray:
    return expit(0.5 + 0.75 * np.log((N_RIGHT + 0.5) / (100.5 - N_RIGHT)))


def test_outcomes_as_expected() -> None:
    figures = confidence_figures([target_of(expected_accuracy())] * 2, made_calibration(), n_pools=20)
    assert (figures.n_targets, figures.n_pairs, figures.coverage) == (2, 12, 1.0)
    # Scores lie three spreads apart: the first has a chance of 1 / (1 + e^-3 + e^-6 + ...) = 95%.
    assert (figures.n_held, figures.median_size) == (2, 1.0)
    assert (figures.pool_hit_rate, figures.pool_median_size) == (1.0, 1.0)


def test_outcomes_the_other_way_round() -> None:
    target = target_of(expected_accuracy()[::-1])
    figures = confidence_figures([target], made_calibration(), n_pools=20)
    assert (figures.n_held, figures.pool_hit_rate) == (0, 0.0)


def test_two_of_six_outside() -> None:
    accuracy = expected_accuracy()
    accuracy[[0, 3]] = 1.0
    assert confidence_figures([target_of(accuracy)], made_calibration(), n_pools=1).coverage == pytest.approx(4 / 6)


def test_the_width_of_the_intervals() -> None:
    calibration = made_calibration(error_sd=0.0, slope=0.0, intercept=0.0, error_quantile=1.0)
    assert confidence_figures([target_of(expected_accuracy())], calibration, n_pools=1).mean_width == 0.0
    wider = made_calibration(error_sd=math.log(3), slope=0.0, intercept=0.0, error_quantile=1.0)
    # From 1 / (1 + 3) to 3 / (3 + 1).
    assert confidence_figures([target_of(expected_accuracy())], wider, n_pools=1).mean_width == pytest.approx(0.5)


def test_any_of_the_equally_best_counts() -> None:
    assert confidence_figures([target_of(np.full(6, 0.7))], made_calibration(), n_pools=5).n_held == 1


def test_a_wide_spread_makes_large_sets() -> None:
    figures = confidence_figures([target_of(expected_accuracy())], made_calibration(spread=1e6), n_pools=20)
    assert (figures.median_size, figures.pool_median_share, figures.pool_hit_rate) == (6.0, 1.0, 1.0)


def test_too_little_to_judge() -> None:
    with pytest.raises(ScoreError, match="5 checkpoints or more each, found 0"):
        confidence_figures([], made_calibration())

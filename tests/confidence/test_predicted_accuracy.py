"""Predicted accuracy: the formula by hand, its interval, and its coverage where the assumptions hold."""

import math

import numpy as np
import pytest
from scipy.special import expit

from lead_hub.confidence.accuracies import above_guessing, in_order_of, logit_variance, predicted_accuracy
from tests.confidence.made_calibration import made_calibration


def test_by_hand() -> None:
    # 9 of 19 images right, half an image added to each side: logit ln(9.5 / 10.5), of variance 20^2 / (19 9.5 10.5).
    found = predicted_accuracy(np.array([9 / 19]), np.zeros(1), made_calibration(), n_images=19, n_classes=7)
    centre = 0.5 + 0.75 * math.log(9.5 / 10.5)
    half = 1.6 * math.sqrt(0.4**2 + 0.75**2 * 400 / (19 * 9.5 * 10.5))
    assert found.accuracy[0] == pytest.approx(1 / (1 + math.exp(-centre)), rel=1e-12)
    assert found.low[0] == pytest.approx(1 / (1 + math.exp(-(centre - half))), rel=1e-12)
    assert found.high[0] == pytest.approx(1 / (1 + math.exp(-(centre + half))), rel=1e-12)


@pytest.mark.parametrize(
    ("left_out", "n_classes", "share"),
    [(1.0, 2, 4.5 / 5), (0.75, 2, 3.5 / 5), (0.25, 2, 1 / 2), (0.25, 3, 1 / 3), (0.0, 20, 0.5 / 5)],
)
def test_between_guessing_and_certainty(left_out: float, n_classes: int, share: float) -> None:
    assert above_guessing(np.array([left_out]), n_images=4, n_classes=n_classes)[0] == pytest.approx(share, rel=1e-12)


def test_better_left_out_is_better_and_fewer_images_are_less_sure() -> None:
    shares = np.array([0.0, 0.2, 0.5, 0.8, 1.0])
    many = predicted_accuracy(shares, shares, made_calibration(), n_images=1000, n_classes=10)
    few = predicted_accuracy(shares, shares, made_calibration(), n_images=20, n_classes=10)
    assert (np.diff(many.accuracy) > 0).all()
    for found in (many, few):
        assert (found.low < found.accuracy).all()
        assert (found.accuracy < found.high).all()
    assert (few.high - few.low > many.high - many.low).all()


def test_the_variance_is_that_of_drawn_images() -> None:
    # 200,000 draws know a variance to a relative 1/sqrt(100,000); the rest is what the first order leaves out, 1 / n.
    drawn = np.random.default_rng(0).binomial(500, 0.3, size=200_000) / 500
    assert logit_variance(np.array([0.3]), n_images=500)[0] == pytest.approx(
        np.log(drawn / (1 - drawn)).var(), rel=0.02
    )


def test_coverage_where_the_errors_are_as_assumed() -> None:
    """2,000 checkpoints, 100 images, errors of 0.4 logits: 90%, give or take four binomial deviations, 2.7%."""
    generator = np.random.default_rng(1)
    true = generator.uniform(0.3, 0.9, size=2000)
    outcome = expit(0.5 + 0.75 * np.log(true / (1 - true)) + generator.normal(scale=0.4, size=2000))
    calibration = made_calibration(error_quantile=1.6448536269514722)
    left_out = generator.binomial(100, true) / 100
    found = predicted_accuracy(left_out, left_out, calibration, n_images=100, n_classes=5)
    held = (found.low <= outcome) & (outcome <= found.high)
    assert abs(held.mean() - 0.9) < 4 * math.sqrt(0.9 * 0.1 / 2000)


def test_the_number_of_classes_counts() -> None:
    scores, calibration = np.zeros(1), made_calibration(classes_slope=0.25)
    found = predicted_accuracy(np.array([9 / 19]), scores, calibration, n_images=19, n_classes=7)
    centre = 0.5 + 0.75 * math.log(9.5 / 10.5) + 0.25 * math.log(7)
    assert found.accuracy[0] == pytest.approx(1 / (1 + math.exp(-centre)), rel=1e-12)


@pytest.mark.parametrize(
    ("scores", "values", "expected"),
    [
        ([1.0, 2.0, 3.0], [0.1, 0.2, 0.3], [0.1, 0.2, 0.3]),
        ([3.0, 2.0, 1.0], [0.1, 0.2, 0.3], [0.2, 0.2, 0.2]),
        ([1.0, 2.0, 3.0, 4.0], [0.0, 3.0, 1.0, 5.0], [0.0, 2.0, 2.0, 5.0]),
        ([1.0, 1.0, 2.0], [0.0, 1.0, 3.0], [0.5, 0.5, 3.0]),  # equal scores, one expectation
        ([1.0, 1.0, 2.0], [3.0, 1.0, 0.5], [1.5, 1.5, 1.5]),
        ([5.0], [0.7], [0.7]),
    ],
)
def test_expectations_in_the_order_of_scores(scores: list[float], values: list[float], expected: list[float]) -> None:
    assert in_order_of(np.array(scores), np.array(values)) == pytest.approx(expected)


def test_the_nearest_in_order_is_that_of_scikit_learn() -> None:
    from sklearn.isotonic import IsotonicRegression

    generator = np.random.default_rng(0)
    for _ in range(20):
        scores, values = generator.normal(size=30), generator.normal(size=30)
        assert in_order_of(scores, values) == pytest.approx(IsotonicRegression().fit_transform(scores, values))

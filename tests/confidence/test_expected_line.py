"""The line through outcomes: an independent reference, and what one bad dataset or source can do to it."""

import numpy as np
import pytest
from scipy.special import expit
from scipy.special import logit as scipy_logit

from lead_hub.confidence.expected_line import (
    fitted_line,
    interval_constants,
    outcome_weights,
    robust_line,
    weighted_quantile,
)
from lead_hub.confidence.known_outcomes import SHIPPED, Outcome
from lead_hub.errors import ScoreError

TRUE = (-0.5, 0.9, 0.4)


def drawn(
    *datasets: tuple[str, int], n: int, seed: int = 0, noise: float = 0.3, shift: float = 0.0, source: str = SHIPPED
) -> list[Outcome]:
    """Outcomes on the line TRUE of so many images that rounding does not count."""
    generator = np.random.default_rng(seed)
    outcomes = []
    for name, n_classes in datasets:
        for number in range(n):
            left_out = generator.uniform(0.4, 0.9)
            logits = TRUE[0] + TRUE[1] * scipy_logit(left_out) + TRUE[2] * np.log(n_classes)
            accuracy = float(expit(logits + shift + generator.normal(scale=noise)))
            outcomes.append(Outcome(source, name, f"c{number}", 10**6, n_classes, left_out, accuracy, 10**6))
    return outcomes


DATASETS = (("a", 3), ("b", 10), ("c", 30), ("d", 5), ("e", 100))


def test_without_noise_the_line_is_found() -> None:
    line = fitted_line(drawn(*DATASETS, n=20, noise=0.0))
    assert (line.intercept, line.slope, line.classes_slope) == pytest.approx(TRUE, abs=1e-4)
    assert line.error_sd < 1e-4


def test_least_squares_where_nothing_is_far_off() -> None:
    """Errors of a bounded kind: Huber's weights are all 1, and the line is that of scikit-learn."""
    from sklearn.linear_model import LinearRegression

    generator = np.random.default_rng(1)
    outcomes = []
    for one in drawn(*DATASETS, n=40, noise=0.0):
        off = generator.choice([-0.2, 0.2])
        outcomes.append(
            Outcome(
                SHIPPED,
                one.dataset,
                "c",
                10**6,
                one.n_classes,
                one.left_out,
                float(expit(scipy_logit(one.accuracy) + off)),
                10**6,
            )
        )
    inputs = np.array([[scipy_logit(one.left_out), np.log(one.n_classes)] for one in outcomes])
    reference = LinearRegression().fit(inputs, scipy_logit([one.accuracy for one in outcomes]))
    found = robust_line(outcomes, outcome_weights(outcomes))
    assert found == pytest.approx([reference.intercept_, *reference.coef_], abs=1e-4)


def test_some_that_are_far_off_move_it_little() -> None:
    good = drawn(*DATASETS, n=40)
    bad = [
        Outcome(SHIPPED, one.dataset, one.checkpoint, one.n_images, one.n_classes, one.left_out, 0.001, one.n_test)
        for one in good[::20]
    ]
    line = fitted_line([*good, *bad])
    at = TRUE[0] + TRUE[1] * scipy_logit(0.7) + TRUE[2] * np.log(10)
    assert line.intercept + line.slope * scipy_logit(0.7) + line.classes_slope * np.log(10) == pytest.approx(
        at, abs=0.15
    )


def test_every_dataset_weighs_the_same_and_no_source_more_than_the_package() -> None:
    own = [*drawn(("a", 3), n=1), *drawn(("b", 3), n=4)]
    flood = [one for number in range(10) for one in drawn((f"x{number}", 3), n=2, source="evil/cards")]
    weights = outcome_weights([*own, *flood])
    assert weights[:5] == pytest.approx([1, 0.25, 0.25, 0.25, 0.25])
    assert weights[5:].sum() == pytest.approx(2.0)  # two datasets of the package
    assert set(weights[5:]) == {0.1}


def test_errors_are_those_of_datasets_that_were_not_fitted_on() -> None:
    """Each dataset with an offset of its own: the error is that of predicting it from the others, n / (n - 1) times."""
    shifts = {"a": 0.6, "b": -0.6, "c": 0.0, "d": 0.6, "e": -0.6}
    outcomes = [
        one for name, shift in shifts.items() for one in drawn((name, 10), n=30, noise=0.0, shift=shift, seed=3)
    ]
    line = fitted_line(outcomes)
    left_out = [shift - (sum(shifts.values()) - shift) / 4 for shift in shifts.values()]
    assert line.error_sd == pytest.approx(np.sqrt(np.mean(np.square(left_out))), rel=0.02)


def test_interval_constants_by_hand() -> None:
    errors, variances = np.array([1.0, -1.0, 3.0]), np.array([0.0, 0.0, 1.0])
    # squares without the images' part: 1, 1 and 8, of which the last weighs half
    error_sd, quantile = interval_constants(errors, variances, np.array([1.0, 1.0, 0.5]))
    assert error_sd == pytest.approx(np.sqrt((1 + 1 + 0.5 * 8) / 2.5))
    assert quantile == pytest.approx(3 / np.sqrt(2.4 + 1))


def test_weighted_quantile_by_hand() -> None:
    values, weights = np.array([5.0, 1.0, 3.0]), np.array([1.0, 2.0, 1.0])
    assert [weighted_quantile(values, weights, share) for share in (0.1, 0.5, 0.51, 0.75, 0.76, 1.0)] == [
        1,
        1,
        3,
        3,
        5,
        5,
    ]


def test_too_few_datasets() -> None:
    with pytest.raises(ScoreError, match="on at least 3 datasets are needed, found 2"):
        fitted_line(drawn(("a", 3), ("b", 4), n=5))

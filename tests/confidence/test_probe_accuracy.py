"""Wilson's interval against statistics that are known exactly."""

import math

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from lead_hub.confidence.accuracies import probe_accuracy
from lead_hub.errors import ScoreError


@pytest.mark.parametrize(("n_right", "n_images"), [(0, 12), (1, 1), (7, 10), (390, 400), (400, 400)])
def test_equals_wilsons_interval_of_scipy(n_right: int, n_images: int) -> None:
    found = probe_accuracy(np.arange(n_images) < n_right)
    expected = binomtest(n_right, n_images).proportion_ci(0.9, method="wilson")
    assert found.accuracy == n_right / n_images
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert found.low <= found.accuracy <= found.high


def test_one_of_four_by_hand() -> None:
    # The ends p solve (1/4 - p)^2 = z^2 p (1 - p) / 4: p^2 (1 + z^2/4) - p (1/2 + z^2/4) + 1/16 = 0.
    squared = 1.6448536269514722**2 / 4
    a, b, c = 1 + squared, -(0.5 + squared), 1 / 16
    found = probe_accuracy(np.array([True, False, False, False]))
    assert found.low == pytest.approx((-b - math.sqrt(b * b - 4 * a * c)) / (2 * a))
    assert found.high == pytest.approx((-b + math.sqrt(b * b - 4 * a * c)) / (2 * a))


@pytest.mark.parametrize("n_images", [50, 300])
def test_coverage_summed_over_all_outcomes(n_images: int) -> None:
    """Exactly, from the binomial law: about 90% on average over accuracies from 5% to 95%, nowhere far below."""
    right = np.arange(n_images + 1)
    ends = [probe_accuracy(np.arange(n_images) < count) for count in right]
    low, high = np.array([end.low for end in ends]), np.array([end.high for end in ends])
    accuracies = np.linspace(0.05, 0.95, 91)
    coverage = [binom.pmf(right, n_images, p)[(low <= p) & (p <= high)].sum() for p in accuracies]
    assert abs(np.mean(coverage) - 0.9) < 0.01
    assert min(coverage) > 0.84


def test_no_images() -> None:
    with pytest.raises(ScoreError, match="at least one image"):
        probe_accuracy(np.zeros(0, dtype=bool))

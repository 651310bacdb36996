import itertools
import math

import numpy as np
import pytest
from sklearn.decomposition import PCA

from lead_hub.transferability import score
from lead_hub.transferability.gbc import Covariance, gbc
from lead_hub.transferability.score_inputs import ScoreInputs
from tests.transferability.made_features import balanced_labels, clusters


def naive_gbc(features: np.ndarray, labels: np.ndarray, covariance: Covariance) -> float:
    """The paper's formula for every ordered pair of classes, with full matrices and their determinants."""
    n_images, n_features = features.shape
    rows = PCA(n_components=min(64, n_images - 1, n_features), svd_solver="full").fit_transform(features)
    rows = rows / np.sqrt(np.mean(np.square(rows)))
    moments = []
    for target_class in range(labels.max() + 1):
        members = rows[labels == target_class]
        variances = np.maximum(members.var(axis=0), 1e-4)
        if covariance == "spherical":
            variances = np.full_like(variances, variances.mean())
        moments.append((members.mean(axis=0), np.diag(variances)))
    total = 0.0
    for (mean, spread), (other_mean, other_spread) in itertools.permutations(moments, 2):
        average = (spread + other_spread) / 2
        distance = (mean - other_mean) @ np.linalg.inv(average) @ (mean - other_mean) / 8
        determinants = np.linalg.det(average) / math.sqrt(np.linalg.det(spread) * np.linalg.det(other_spread))
        total += math.exp(-distance - math.log(determinants) / 2)
    return -total


@pytest.mark.parametrize(("n_images", "n_features", "n_classes"), [(40, 3, 2), (60, 8, 4), (90, 150, 3), (20, 40, 5)])
@pytest.mark.parametrize("covariance", ["spherical", "diagonal"])
def test_equals_the_naive_definition(n_images, n_features, n_classes, covariance) -> None:
    labels = balanced_labels(n_images, n_classes)
    features = 5 * clusters(labels, n_features, distance=1.5) + 0.3
    found = gbc(ScoreInputs(features, labels), covariance=covariance).value
    assert found == pytest.approx(naive_gbc(features.numpy(), labels.numpy(), covariance), abs=1e-10)


def test_spherical_is_the_default() -> None:
    labels = balanced_labels(40, 2)
    features = clusters(labels, 5, distance=1.0)
    assert score(features, labels, "gbc") == gbc(ScoreInputs(features, labels), covariance="spherical").value
    assert score(features, labels, "gbc") != gbc(ScoreInputs(features, labels), covariance="diagonal").value


def test_two_equally_wide_classes_by_hand() -> None:
    # Means 1 and 5, both variances 1: the distance is 16 / 8 = 2 in any unit, and each of two ordered pairs counts.
    found = score([[0.0], [2.0], [4.0], [6.0]], [0, 0, 1, 1], "gbc")
    assert found == pytest.approx(-2 * math.exp(-2), abs=1e-14)


def test_two_unequally_wide_classes_by_hand() -> None:
    # Means 1 and 7, variances 1 and 9, 5 on average: the distance is 36 / 5 / 8 + log(5 / sqrt(9)) / 2.
    found = score([[0.0], [2.0], [4.0], [10.0]], [0, 0, 1, 1], "gbc")
    assert found == pytest.approx(-2 * math.exp(-36 / 40) * math.sqrt(3 / 5), abs=1e-14)


def test_a_class_of_one_image_has_the_smallest_variance() -> None:
    # The variance of 0, 2 and 5 is 38/9, a ten thousandth of which is that of the class with the one image.
    variance = 38 / 9 * 1e-4
    average = (1 + variance) / 2
    expected = -2 * math.exp(-16 / 8 / average) * math.sqrt(math.sqrt(variance) / average)
    assert score([[0.0], [2.0], [5.0]], [0, 0, 1], "gbc") == pytest.approx(expected, abs=1e-14)


def test_equal_classes_overlap_wholly() -> None:
    features = np.random.default_rng(0).normal(size=(10, 4))
    labels = np.repeat([0, 1, 2], 10)
    assert score(np.tile(features, (3, 1)), labels, "gbc") == pytest.approx(-3 * 2, abs=1e-12)

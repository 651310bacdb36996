import math

import numpy as np
import pytest
import torch

from lead_hub.transferability import score
from lead_hub.transferability.transrate import coding_rate
from tests.transferability.made_features import balanced_labels, clusters, noise

DISTORTION = 1e-4


def naive_transrate(features: np.ndarray, labels: np.ndarray) -> float:
    rows = features - features.mean(axis=0)
    rows = rows / math.sqrt(float(np.trace(rows @ rows.T)))
    rates = []
    for group in (rows, *(rows[labels == target_class] for target_class in range(labels.max() + 1))):
        outer = sum(np.outer(row, row) for row in group)
        rates.append(np.linalg.slogdet(np.eye(rows.shape[1]) + outer / (len(group) * DISTORTION))[1] / 2)
    return float(rates[0] - np.mean(rates[1:]))


@pytest.mark.parametrize(("n_images", "n_features", "n_classes"), [(40, 3, 2), (60, 8, 4), (30, 70, 3)])
@pytest.mark.parametrize("balance", ["equal", "unequal"])
def test_equals_the_naive_definition(n_images, n_features, n_classes, balance) -> None:
    labels = balanced_labels(n_images, n_classes)
    if balance == "unequal":
        labels = torch.where(torch.arange(n_images) < n_images // 2, 0, labels)
    features = 3 * clusters(labels, n_features, distance=2.0) + 0.4
    expected = naive_transrate(features.numpy(), labels.numpy())
    assert score(features, labels, "transrate") == pytest.approx(expected, abs=1e-10)


def test_two_classes_on_two_axes_by_hand() -> None:
    # Scaled, every image has the squared length 1/4. All four have a sum of squares of 1/2 on either axis, and
    # 1 + 1/2 / (4 * 1e-4) = 1251. A class has the same 1/2 on one axis from two images: 1 + 1/2 / (2 * 1e-4) = 2501.
    features = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
    expected = math.log(1251**2) / 2 - math.log(2501) / 2
    assert score(features, [0, 0, 1, 1], "transrate") == pytest.approx(expected, abs=1e-11)


def test_two_classes_on_the_same_axis_by_hand() -> None:
    # A class spread like all images takes as many bits; here the signs are all that tells the classes apart.
    assert score([[1.0], [1.0], [-1.0], [-1.0]], [0, 0, 1, 1], "transrate") == pytest.approx(0.0, abs=1e-14)


@pytest.mark.parametrize("seed", range(5))
def test_is_not_negative_for_classes_of_equal_size(seed) -> None:
    """The logarithm of the determinant is concave, and the classes' mean covariance is that of all images."""
    assert score(noise(30, 6, seed=seed), balanced_labels(30, 5), "transrate") > 0


def test_coding_rate_is_the_same_by_either_gram_matrix() -> None:
    rows = noise(5, 12)
    padded = torch.cat([rows, torch.zeros(15, 12, dtype=torch.float64)])
    # Four times the images and a quarter of the distortion: the same matrix, by features rather than by images.
    assert coding_rate(padded, distortion=0.25 * DISTORTION) == pytest.approx(coding_rate(rows), abs=1e-11)

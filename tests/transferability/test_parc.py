import itertools
import math

import numpy as np
import pytest
import scipy.stats
import torch
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from lead_hub.errors import ScoreError
from lead_hub.transferability import score
from lead_hub.transferability.parc import average_ranks
from tests.transferability.made_features import balanced_labels, clusters, noise


def naive_parc(features: np.ndarray, labels: np.ndarray) -> float:
    """Distances of every pair, one by one, and scipy's rank correlation."""
    n_axes = min(32, len(features) - 1, features.shape[1])
    rows = StandardScaler().fit_transform(PCA(n_components=n_axes, svd_solver="full").fit_transform(features))
    one_hot = np.eye(labels.max() + 1)[labels]
    by_features, by_labels = [], []
    for first, second in itertools.combinations(range(len(rows)), 2):
        cosine = rows[first] @ rows[second] / math.sqrt(rows[first] @ rows[first] * (rows[second] @ rows[second]))
        by_features.append(round(1 - cosine, 12))
        by_labels.append(round(1 - np.corrcoef(one_hot[first], one_hot[second])[0, 1], 12))
    return float(scipy.stats.spearmanr(by_features, by_labels).statistic)


@pytest.mark.parametrize(("n_images", "n_features", "n_classes"), [(20, 3, 2), (30, 8, 4), (40, 70, 3), (15, 12, 3)])
@pytest.mark.parametrize("distance", [0.0, 2.0])
def test_equals_the_naive_definition(n_images, n_features, n_classes, distance) -> None:
    labels = balanced_labels(n_images, n_classes)
    features = clusters(labels, n_features, distance=distance) + 0.3
    expected = naive_parc(features.numpy(), labels.numpy())
    assert score(features, labels, "parc") == pytest.approx(expected, abs=1e-10)


def test_equal_images_have_equal_ranks() -> None:
    labels = balanced_labels(12, 2)
    features = noise(4, 3).repeat(3, 1)
    expected = naive_parc(features.numpy(), labels.numpy())
    assert score(features, labels, "parc") == pytest.approx(expected, abs=1e-10)


def test_four_images_by_hand() -> None:
    # Images on two axes, at distance 2 from their opposite and at distance 1 from the two others. Of six pairs the four
    # at distance 1 share rank 2.5, the two at distance 2 rank 5.5: -1 and 2 about their mean. Two pairs at distance 1
    # have the same label, all others have not: -2/3 and 1/3 about their mean.
    covariance = 2 * -1 * (-2 / 3) + 2 * -1 * (1 / 3) + 2 * 2 * (1 / 3)
    expected = covariance / math.sqrt((4 * 1 + 2 * 4) * (2 * 4 / 9 + 4 * 1 / 9))
    features = [[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [0.0, -2.0]]
    assert score(features, [0, 1, 0, 1], "parc") == pytest.approx(expected, abs=1e-14)
    assert expected == pytest.approx(0.5)


def test_ranks_are_scipys() -> None:
    values = torch.tensor([3.0, 1.0, 1.0, 2.0, 3.0, 3.0, -5.0], dtype=torch.float64)
    assert average_ranks(values).tolist() == scipy.stats.rankdata(values.numpy()).tolist()


@pytest.mark.slow
def test_more_than_2000_images_are_represented_by_a_draw() -> None:
    labels = balanced_labels(2100, 3)
    features = clusters(labels, 4, distance=2.0)
    scores = [score(features, labels, "parc", seed=seed) for seed in (0, 0, 1)]
    assert scores[0] == scores[1] != scores[2]
    # 100 of 2,100 images left out, 50 of them others: standard deviations of some thousandths.
    assert scores[0] == pytest.approx(scores[2], abs=0.02)


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        ([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0], [0.0, 0.0]], [0, 0, 1, 1], "found 1 of 4 images equal to it"),
        (noise(3, 5), [0, 1, 2], "found 3 pairs of one kind"),
        (noise(3, 2), [0, 0, 1], "found 3 images and 2 axes"),
        (noise(33, 60), balanced_labels(33, 3), "found 33 images and 32 axes"),
        (torch.ones(4, 2), [0, 0, 1, 1], "features must differ between images"),
    ],
)
def test_undefined_correlations_are_refused(features, labels, message) -> None:
    with pytest.raises(ScoreError, match=message):
        score(features, labels, "parc")


def test_as_many_axes_as_there_can_be_make_all_images_equally_far() -> None:
    """Why that is refused: with n - 1 axes of unit variance all cosines between n images are -1 / (n - 1)."""
    rows = StandardScaler().fit_transform(PCA(n_components=11, svd_solver="full").fit_transform(noise(12, 60).numpy()))
    cosines = rows @ rows.T / np.square(rows).sum(axis=1)
    np.testing.assert_allclose(cosines, np.where(np.eye(12) == 1, 1, -1 / 11), rtol=0, atol=1e-10)

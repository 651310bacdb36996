import numpy as np
import pytest
import torch
from sklearn.covariance import LedoitWolf

from lead_hub.transferability import score, transferability
from lead_hub.transferability.h_score import ledoit_wolf_shrinkage
from lead_hub.transferability.principal_axes import varying_rows
from lead_hub.transferability.spectrum import gram_spectrum
from tests.transferability.made_features import balanced_labels, clusters, noise

SHAPES = [(40, 3, 2), (60, 10, 4), (30, 50, 3), (7, 1, 2)]


def naive_h_score(features: np.ndarray, labels: np.ndarray) -> float:
    """(1 - a) tr(((1 - a) S + a m I)^-1 B) with full matrices, the shrinkage a from scikit-learn."""
    n_images, n_features = features.shape
    centred = features - features.mean(axis=0)
    shrinkage = LedoitWolf().fit(features).shrinkage_ if n_features > 1 else 0.0
    covariance, between = np.zeros((n_features, n_features)), np.zeros((n_features, n_features))
    for row, label in zip(centred, labels, strict=True):
        covariance += np.outer(row, row) / n_images
        class_mean = centred[labels == label].mean(axis=0)
        between += np.outer(class_mean, class_mean) / n_images
    shrunk = (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / n_features * np.eye(n_features)
    return float(np.trace(np.linalg.inv(shrunk) @ ((1 - shrinkage) * between)))


@pytest.mark.parametrize(("n_images", "n_features", "n_classes"), SHAPES)
@pytest.mark.parametrize("distance", [0.5, 5.0])
def test_equals_the_naive_definition(n_images, n_features, n_classes, distance) -> None:
    labels = balanced_labels(n_images, n_classes)
    features = clusters(labels, n_features, distance=distance) + 0.7
    assert score(features, labels, "h-score") == pytest.approx(
        naive_h_score(features.numpy(), labels.numpy()), abs=1e-10
    )


@pytest.mark.parametrize(("n_images", "n_features"), [(20, 3), (12, 30), (9, 8)])
def test_shrinkage_equals_the_naive_definition(n_images, n_features) -> None:
    rows = varying_rows(noise(n_images, n_features) * torch.linspace(1, 4, n_features))
    covariance = np.mean([np.outer(row, row) for row in rows.numpy()], axis=0)
    target = np.trace(covariance) / n_features * np.eye(n_features)
    error = sum(np.square(np.outer(row, row) - covariance).sum() for row in rows.numpy()) / n_images**2
    expected = min(error / np.square(covariance - target).sum(), 1.0)
    assert ledoit_wolf_shrinkage(gram_spectrum(rows)) == pytest.approx(expected, abs=1e-12)


def test_one_feature_by_hand() -> None:
    # Class means 1/2 and 5/2 about a mean of 3/2: 1 between the classes. In all (9/4 + 1/4 + 1/4 + 9/4) / 4 = 5/4.
    found = transferability([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1], "h-score")
    assert found.value == pytest.approx(1 / (5 / 4), abs=1e-14)
    assert found.companions == {"shrinkage": 0.0}


def test_two_features_that_vary_alike_by_hand() -> None:
    # The covariance is I / 2 and needs no shrinkage; class means are (1/2, 1/2) and its opposite, so between the
    # classes all four entries are 1/4, and tr(2 I B) = 2 (1/4 + 1/4).
    features = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]]
    found = transferability(features, [0, 0, 1, 1], "h-score")
    assert found.value == pytest.approx(1.0, abs=1e-14)
    assert found.companions == {"shrinkage": 0.0}


def test_more_features_than_images_no_longer_look_perfect() -> None:
    """Without shrinkage, noise of more features than images separates all classes and gets their number minus 1."""
    labels = balanced_labels(60, 4)
    centred = noise(60, 200) - noise(60, 200).mean(dim=0)
    one_hot = torch.eye(4, dtype=torch.float64)[labels]
    between = one_hot @ (one_hot.T @ centred / 15)
    assert float(torch.trace(torch.linalg.pinv(centred.T @ centred) @ between.T @ between)) == pytest.approx(3)
    assert score(noise(60, 200), labels, "h-score") < 0.5
    assert score(clusters(labels, 200, distance=60.0), labels, "h-score") > 2.9

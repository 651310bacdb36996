import math

import numpy as np
import pytest
import scipy.linalg
import torch

from lead_hub.errors import ScoreError
from lead_hub.transferability import score, transferability
from tests.transferability.made_features import balanced_labels, clusters, noise, rotation


def naive_fisher(features: np.ndarray, labels: np.ndarray, shrinkage: float | None) -> tuple[np.ndarray, float]:
    """Posteriors along Fisher's axes, which are computed one by one from full scatter matrices, and the shrinkage."""
    n_images, n_features = features.shape
    n_classes = int(labels.max()) + 1
    overall = features.mean(axis=0)
    within, between = np.zeros((n_features, n_features)), np.zeros((n_features, n_features))
    means, frequencies = [], []
    for target_class in range(n_classes):
        members = features[labels == target_class]
        means.append(members.mean(axis=0))
        frequencies.append(len(members) / n_images)
        between += len(members) / n_images * np.outer(means[-1] - overall, means[-1] - overall)
        for row in members:
            within += np.outer(row - means[-1], row - means[-1]) / n_images
    if shrinkage is None:
        shrinkage = max(math.exp(-5 * float(np.linalg.eigvalsh(within)[-1])), 1e-10)
    shrunk = (1 - shrinkage) * within + shrinkage * np.trace(within) / n_features * np.eye(n_features)
    axes = scipy.linalg.eigh(between, shrunk)[1][:, -min(n_classes - 1, n_features) :]
    discriminants = np.empty((n_images, n_classes))
    for image, row in enumerate(features):
        for target_class, (mean, frequency) in enumerate(zip(means, frequencies, strict=True)):
            projected = axes.T @ mean
            discriminants[image, target_class] = (axes.T @ row - projected / 2) @ projected + math.log(frequency)
    weights = np.exp(discriminants - discriminants.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True), shrinkage


def naive_sfda(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The method in the order of its paper: discriminant, confidences, mixing, discriminant again."""
    first, shrinkage = naive_fisher(features, labels, None)
    class_means = [features[labels == target_class].mean(axis=0) for target_class in range(int(labels.max()) + 1)]
    mixed = np.empty_like(features)
    for image, (row, own) in enumerate(zip(features, labels, strict=True)):
        confidence = math.exp(first[image, own]) / sum(math.exp(probability) for probability in first[image])
        others = np.mean([mean for target_class, mean in enumerate(class_means) if target_class != own], axis=0)
        mixed[image] = confidence * row + (1 - confidence) * others
    second, _ = naive_fisher(mixed, labels, shrinkage)
    return second[np.arange(len(labels)), labels]


@pytest.mark.parametrize(
    ("n_images", "n_features", "n_classes"), [(40, 3, 2), (60, 10, 4), (80, 30, 5), (36, 2, 6), (20, 50, 3)]
)
@pytest.mark.parametrize("unit", [0.2, 0.5])
@pytest.mark.parametrize("distance", [0.5, 2.0])
def test_equals_the_naive_definition(n_images, n_features, n_classes, unit, distance) -> None:
    labels = balanced_labels(n_images, n_classes)
    features = unit * (clusters(labels, n_features, distance=distance) + 0.3)
    found = transferability(features, labels, "sfda")
    expected = naive_sfda(features.numpy(), labels.numpy())
    np.testing.assert_allclose(found.per_image.numpy(), expected, rtol=0, atol=1e-10)
    assert found.value == pytest.approx(expected.mean(), abs=1e-10)


def test_unequal_classes_and_hardly_any_shrinkage() -> None:
    labels = torch.tensor([0] * 40 + [1] * 12 + [2] * 8)
    features = 4 * clusters(labels, 6, distance=2.0)
    expected = naive_sfda(features.numpy(), labels.numpy())
    np.testing.assert_allclose(transferability(features, labels, "sfda").per_image.numpy(), expected, rtol=0, atol=1e-9)


def sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def test_one_feature_by_hand() -> None:
    # Means -2 and 2, variance 1 within either class; with one feature shrinkage changes nothing. The right class of an
    # image at distance x from 0 on its own side is ahead by (2 - -2) x = 4 x.
    features, labels = np.array([[-3.0], [-1.0], [1.0], [3.0]]), np.array([0, 0, 1, 1])
    near, far = sigmoid(4 * 1), sigmoid(4 * 3)
    # Softmax of (p, 1 - p), and the way towards the other class's mean, 2 on the wrong side.
    mixed = []
    for position, probability in ((1, near), (3, far)):
        confidence = sigmoid(probability - (1 - probability))
        mixed.append(confidence * position - (1 - confidence) * 2)
    mean, variance = sum(mixed) / 2, ((mixed[0] - mixed[1]) / 2) ** 2
    expected = [sigmoid(2 * mean * position / variance) for position in mixed]
    found = transferability(features, labels, "sfda")
    near_term, far_term = expected
    terms = [far_term, near_term, near_term, far_term]
    np.testing.assert_allclose(found.per_image.numpy(), terms, rtol=0, atol=1e-12)
    assert found.value == pytest.approx(sum(expected) / 2, abs=1e-12)


@pytest.mark.parametrize("n_features", [6, 90])
def test_basis_and_origin_of_features_do_not_matter(n_features) -> None:
    labels = balanced_labels(60, 3)
    features = 0.3 * clusters(labels, n_features, distance=2.0)
    expected = score(features, labels, "sfda")
    assert score(features @ rotation(n_features), labels, "sfda") == pytest.approx(expected, abs=1e-10)
    assert score(features + 7, labels, "sfda") == pytest.approx(expected, abs=1e-10)


def test_noise_with_more_features_than_images_looks_perfect() -> None:
    """What the definition amounts to in sample, and why LEAD predicts images that were left out."""
    labels = balanced_labels(50, 5)
    assert score(noise(50, 200), labels, "sfda") > 0.999


@pytest.mark.parametrize("method", ["sfda", "ped-sfda", "etran-classification", "etran", "ncti"])
def test_no_spread_is_refused(method) -> None:
    labels = balanced_labels(12, 3)
    with pytest.raises(ScoreError, match="must differ between images"):
        score(torch.full((12, 4), 0.1), labels, method)
    with pytest.raises(ScoreError, match="differ within some class"):
        score(0.1 * noise(3, 4)[labels] + 0.7, labels, method)
    with pytest.raises(ScoreError, match="differ within some class"):
        score(noise(3, 4), [0, 1, 2], method)

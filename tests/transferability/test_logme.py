import math

import numpy as np
import pytest
import torch

from lead_hub.errors import ScoreError
from lead_hub.transferability import score
from tests.transferability.made_features import balanced_labels, clusters, noise


def naive_logme(features: np.ndarray, labels: np.ndarray) -> float:
    """Algorithm 1 of the paper, class by class with full matrices, until the precisions settle."""
    n_images, n_features = features.shape
    evidences = []
    for target_class in range(labels.max() + 1):
        indicator = (labels == target_class).astype(np.float64)
        alpha = beta = 1.0
        for _ in range(100_000):
            posterior = alpha * np.eye(n_features) + beta * features.T @ features
            mean = beta * np.linalg.solve(posterior, features.T @ indicator)
            eigenvalues = beta * np.linalg.eigvalsh(features.T @ features)
            gamma = sum(value / (value + alpha) for value in eigenvalues)
            old = alpha, beta
            alpha = gamma / float(mean @ mean)
            beta = (n_images - gamma) / float(np.square(features @ mean - indicator).sum())
            if abs(alpha / old[0] - 1) + abs(beta / old[1] - 1) < 1e-13:
                break
        posterior = alpha * np.eye(n_features) + beta * features.T @ features
        mean = beta * np.linalg.solve(posterior, features.T @ indicator)
        evidences.append(
            n_features / 2 * math.log(alpha)
            + n_images / 2 * math.log(beta)
            - n_images / 2 * math.log(2 * math.pi)
            - beta / 2 * float(np.square(features @ mean - indicator).sum())
            - alpha / 2 * float(mean @ mean)
            - np.linalg.slogdet(posterior)[1] / 2
        )
    return float(np.mean(evidences)) / n_images


@pytest.mark.parametrize(("n_images", "n_features", "n_classes"), [(40, 3, 2), (60, 10, 4), (80, 30, 5)])
@pytest.mark.parametrize("unit", [0.1, 1.0, 30.0])
def test_equals_the_naive_algorithm(n_images, n_features, n_classes, unit) -> None:
    labels = balanced_labels(n_images, n_classes)
    features = unit * (clusters(labels, n_features, distance=2.0) + 0.3)
    expected = naive_logme(features.numpy(), labels.numpy())
    assert score(features, labels, "logme") == pytest.approx(expected, abs=1e-10)


def test_one_feature_by_hand() -> None:
    # One feature x: the indicator y is normal, with variance b across x and c^2 along it, where c is y's component
    # along x. Both are free (b = 1 / beta, c^2 = 1 / beta + |x|^2 / alpha, as long as c^2 > b), so the maximum of
    # the evidence is at their estimates: c^2 itself, and b = (|y|^2 - c^2) / (n - 1).
    features = np.array([[2.0], [1.0], [-1.0], [-2.0], [0.5]])
    labels = np.array([0, 0, 1, 1, 1])
    n_images = 5
    evidences = []
    for indicator in (labels == 0, labels == 1):
        along = float(features[:, 0] @ indicator) ** 2 / float(features[:, 0] @ features[:, 0])
        across = (float(indicator.sum()) - along) / (n_images - 1)
        assert along > across
        log_variances = math.log(along) + (n_images - 1) * math.log(across)
        evidences.append(-(n_images * math.log(2 * math.pi) + log_variances + n_images) / 2)
    assert score(features, labels, "logme") == pytest.approx(np.mean(evidences) / n_images, abs=1e-10)


def test_features_without_signal_by_hand() -> None:
    # Both indicators are orthogonal to the feature: the best alpha is infinite and y is noise of variance |y|^2 / n.
    features, labels = np.array([[1.0], [-1.0], [1.0], [-1.0]]), np.array([0, 0, 1, 1])
    expected = -(math.log(2 * math.pi * 2 / 4) + 1) / 2
    assert score(features, labels, "logme") == pytest.approx(expected, abs=1e-12)


def test_more_features_than_images() -> None:
    """By the evidence of the marginal y ~ N(0, X X^T / alpha + I / beta), at the best of a grid of both."""
    labels = balanced_labels(20, 2)
    features = clusters(labels, 50, distance=3.0)
    values, vectors = np.linalg.eigh((features @ features.T).numpy())
    expected = []
    for target_class in range(2):
        components = np.square(vectors.T @ (labels == target_class).double().numpy())
        best = -math.inf
        for log_ratio in np.linspace(-12, 12, 4801):
            shape = values / math.exp(log_ratio) + 1
            variance = float((components / shape).mean())
            best = max(best, -(20 * math.log(2 * math.pi * variance) + float(np.log(shape).sum()) + 20) / 2)
        expected.append(best / 20)
    assert score(features, labels, "logme") == pytest.approx(np.mean(expected), abs=1e-5)


def test_a_class_that_is_a_linear_function_of_the_features_is_refused() -> None:
    features = torch.cat([torch.eye(2)[balanced_labels(20, 2)], noise(20, 1)], dim=1)
    with pytest.raises(ScoreError, match="unbounded"):
        score(features, balanced_labels(20, 2), "logme")


def test_zeros_are_refused() -> None:
    with pytest.raises(ScoreError, match="only zeros"):
        score(torch.zeros(6, 2), balanced_labels(6, 2), "logme")

import math

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from lead_hub.transferability import score, transferability
from tests.transferability.made_features import balanced_labels, clusters, noise, rotation


def naive_probabilities(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Bayes' rule for Gaussian classes with one covariance, one density at a time."""
    n_images, n_features = features.shape
    classes = range(int(labels.max()) + 1)
    means = [features[labels == one].mean(axis=0) for one in classes]
    within = sum(np.outer(row - means[own], row - means[own]) for row, own in zip(features, labels, strict=True))
    within = within / n_images
    shrinkage = max(math.exp(-5 * float(np.linalg.eigvalsh(within)[-1])), 1e-10)
    covariance = (1 - shrinkage) * within + shrinkage * np.trace(within) / n_features * np.eye(n_features)
    probabilities = []
    for row, own in zip(features, labels, strict=True):
        densities = [
            float((labels == one).mean())
            * math.exp(-(row - means[one]) @ np.linalg.solve(covariance, row - means[one]) / 2)
            for one in classes
        ]
        probabilities.append(densities[own] / sum(densities))
    return np.array(probabilities)


@pytest.mark.parametrize(("n_images", "n_features", "n_classes"), [(40, 3, 2), (60, 10, 4), (20, 50, 3)])
@pytest.mark.parametrize("unit", [0.2, 0.5])
def test_equals_the_naive_definition(n_images, n_features, n_classes, unit) -> None:
    labels = balanced_labels(n_images, n_classes)
    features = unit * (clusters(labels, n_features, distance=1.0) + 0.3)
    probabilities = naive_probabilities(features.numpy(), labels.numpy())
    energies = np.array([math.log(sum(math.exp(number) for number in row)) for row in features.tolist()])
    for method, expected in (
        ("etran-classification", probabilities),
        ("etran-energy", energies),
        ("etran", energies + probabilities),
    ):
        found = transferability(features, labels, method)
        np.testing.assert_allclose(found.per_image.numpy(), expected, rtol=0, atol=1e-10)
        assert found.value == pytest.approx(expected.mean(), abs=1e-10)


@pytest.mark.parametrize("unit", [0.3, 5.0])
def test_classification_agrees_with_scikit_learn(unit) -> None:
    labels = torch.tensor([0] * 40 + [1] * 12 + [2] * 8)
    features = unit * clusters(labels, 6, distance=1.0)
    rows = features.numpy()
    deviations = rows - np.stack([rows[labels.numpy() == one].mean(axis=0) for one in range(3)])[labels.numpy()]
    largest = float(np.linalg.eigvalsh(deviations.T @ deviations / 60)[-1])
    model = LinearDiscriminantAnalysis(solver="eigen", shrinkage=max(math.exp(-5 * largest), 1e-10))
    expected = model.fit(rows, labels.numpy()).predict_proba(rows)[np.arange(60), labels.numpy()]
    found = transferability(features, labels, "etran-classification").per_image
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-9)


def test_by_hand() -> None:
    # One feature: means -2 and 2, variance 1 in either class, so the right class is ahead by 4 at 1 and by 12 at 3.
    features, labels = np.array([[-3.0], [-1.0], [1.0], [3.0]]), np.array([0, 0, 1, 1])
    probability = (1 / (1 + math.exp(-4)) + 1 / (1 + math.exp(-12))) / 2
    assert score(features, labels, "etran-classification") == pytest.approx(probability, abs=1e-14)
    # The log-sum-exp of one number is that number; here their mean is 0.
    assert score(features, labels, "etran-energy") == pytest.approx(0, abs=1e-15)
    found = transferability(features + 5, labels, "etran")
    assert found.companions["etran_energy"] == pytest.approx(5, abs=1e-14)
    assert found.companions["etran_classification"] == pytest.approx(probability, abs=1e-13)
    assert found.value == pytest.approx(5 + probability, abs=1e-13)


def test_energy_by_hand() -> None:
    # log(1 + 1) and log(3 + 1).
    features = np.array([[0.0, 0.0], [math.log(3), 0.0]])
    assert score(features, [0, 1], "etran-energy") == pytest.approx(1.5 * math.log(2), abs=1e-15)


def test_energy_asks_for_no_label_and_does_not_overflow() -> None:
    features = 1e5 * noise(20, 4)
    expected = score(features, balanced_labels(20, 2), "etran-energy")
    assert expected == score(features, balanced_labels(20, 5), "etran-energy")
    assert expected == pytest.approx(float(features.amax(dim=1).mean()), rel=1e-6)


@pytest.mark.parametrize("n_features", [6, 90])
def test_basis_and_origin_do_not_matter_to_the_classification(n_features) -> None:
    labels = balanced_labels(60, 3)
    features = 0.3 * clusters(labels, n_features, distance=2.0)
    expected = score(features, labels, "etran-classification")
    for changed in (features @ rotation(n_features), features + 7):
        assert score(changed, labels, "etran-classification") == pytest.approx(expected, abs=1e-10)

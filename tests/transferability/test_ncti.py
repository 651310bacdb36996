import math

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from lead_hub.transferability import score, transferability
from tests.transferability.made_features import balanced_labels, clusters, rotation


def naive_terms(features: np.ndarray, labels: np.ndarray) -> list[float]:
    """The three terms by scikit-learn's own components and discriminant."""
    reduction = PCA(n_components=min(64, *features.shape), svd_solver="full").fit(features)
    components = reduction.transform(features)
    shrinkage = max(math.exp(-float(reduction.explained_variance_[:32].sum())), 1e-10)
    model = LinearDiscriminantAnalysis(solver="eigen", shrinkage=shrinkage).fit(components, labels)
    projections = model.transform(components)
    probabilities = model.predict_proba(components)
    collapsed = sum(np.linalg.norm(probabilities[labels == one], ord="nuc") for one in range(labels.max() + 1))
    return [
        float(np.linalg.norm(projections - projections.mean(axis=0), ord="nuc")),
        float(np.mean([probabilities[image, own] for image, own in enumerate(labels)])),
        -math.log(collapsed),
    ]


@pytest.mark.parametrize(
    ("n_images", "n_features", "n_classes"), [(40, 3, 2), (60, 10, 4), (150, 100, 5), (160, 70, 70), (90, 2, 9)]
)
@pytest.mark.parametrize("unit", [0.1, 0.5])
def test_equals_the_naive_definition(n_images, n_features, n_classes, unit) -> None:
    labels = balanced_labels(n_images, n_classes)
    features = unit * (clusters(labels, n_features, distance=1.0) + 0.3)
    expected = naive_terms(features.numpy(), labels.numpy())
    found = transferability(features, labels, "ncti")
    terms = [found.companions[f"ncti_{name}"] for name in ("seli", "nearest_centre", "variability")]
    np.testing.assert_allclose(terms, expected, rtol=1e-8, atol=1e-10)
    assert found.value == pytest.approx(sum(expected), rel=1e-8)


def test_unequal_classes_and_the_least_shrinkage() -> None:
    labels = torch.tensor([0] * 40 + [1] * 12 + [2] * 8)
    features = 8 * clusters(labels, 6, distance=1.0)
    assert score(features, labels, "ncti") == pytest.approx(
        sum(naive_terms(features.numpy(), labels.numpy())), rel=1e-8
    )


def test_one_feature_by_hand() -> None:
    # Variance 1 within either class, so the features are their own projections: one column of length sqrt(20).
    features, labels = np.array([[-3.0], [-1.0], [1.0], [3.0]]), np.array([0, 0, 1, 1])
    near, far = 1 / (1 + math.exp(-4)), 1 / (1 + math.exp(-12))
    # Of a matrix [[p, 1 - p], [q, 1 - q]] the squared singular values sum to all its squares, their product is |p - q|.
    squares = near**2 + (1 - near) ** 2 + far**2 + (1 - far) ** 2
    one_class = math.sqrt(squares + 2 * (far - near))
    found = transferability(features, labels, "ncti")
    assert found.companions["ncti_seli"] == pytest.approx(math.sqrt(20), abs=1e-13)
    assert found.companions["ncti_nearest_centre"] == pytest.approx((near + far) / 2, abs=1e-14)
    assert found.companions["ncti_variability"] == pytest.approx(-math.log(2 * one_class), abs=1e-13)


@pytest.mark.parametrize("n_features", [6, 90])
def test_basis_origin_and_zeros_do_not_matter(n_features) -> None:
    labels = balanced_labels(60, 3)
    features = 0.2 * clusters(labels, n_features, distance=2.0)
    expected = score(features, labels, "ncti")
    padded = torch.cat([features, torch.zeros(60, 5, dtype=torch.float64)], dim=1)
    for changed in (features @ rotation(n_features), features + 7, padded):
        assert score(changed, labels, "ncti") == pytest.approx(expected, rel=1e-9)

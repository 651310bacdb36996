import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from lead_hub.transferability import score, transferability
from lead_hub.transferability.gaussian_mixture import ADDED_VARIANCE, fitted_posterior, nearest_means
from lead_hub.transferability.principal_axes import principal_coordinates
from tests.transferability.made_features import balanced_labels, clusters, noise


def reduced(features: np.ndarray, variance_share: float) -> np.ndarray:
    rows = PCA(n_components=variance_share, svd_solver="full").fit_transform(features)
    return rows / np.sqrt(np.mean(np.square(rows)))


def fitted_by_sklearn(rows: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Posterior of scikit-learn's mixture when it starts with components of the given members."""
    n_axes = rows.shape[1]
    members = [rows[start == component] for component in range(start.max() + 1)]
    covariances = [
        np.cov(group.T, bias=True).reshape(n_axes, n_axes) + ADDED_VARIANCE * np.eye(n_axes) for group in members
    ]
    mixture = GaussianMixture(
        n_components=len(members),
        weights_init=[len(group) / len(rows) for group in members],
        means_init=[group.mean(axis=0) for group in members],
        precisions_init=[np.linalg.inv(covariance) for covariance in covariances],
        reg_covar=ADDED_VARIANCE,
    )
    return mixture.fit(rows).predict_proba(rows)


def naive_nleep(posterior: np.ndarray, labels: np.ndarray) -> list[float]:
    terms = []
    for row, label in zip(posterior, labels, strict=True):
        shares = posterior[labels == label].sum(axis=0) / posterior.sum(axis=0)
        terms.append(math.log(sum(probability * share for probability, share in zip(row, shares, strict=True))))
    return terms


# The first two have more images in a component than axes, the others mostly fewer: both forms of the density.
@pytest.mark.parametrize(
    ("n_images", "n_features", "n_classes", "distance"),
    [(200, 2, 2, 1.0), (300, 3, 3, 2.0), (80, 12, 3, 3.0), (60, 100, 2, 5.0)],
)
def test_equals_a_mixture_fitted_by_sklearn(n_images, n_features, n_classes, distance) -> None:
    labels = balanced_labels(n_images, n_classes)
    features = clusters(labels, n_features, distance=distance)
    rows = principal_coordinates(features, variance_share=0.8)
    start, n_components = nearest_means(rows, 5 * n_classes, seed=0)
    assert n_components == 5 * n_classes
    expected_rows = reduced(features.numpy(), 0.8)
    np.testing.assert_allclose(np.abs(rows.numpy()), np.abs(expected_rows), rtol=0, atol=1e-9)
    posterior = fitted_by_sklearn(expected_rows, start.numpy())
    expected = naive_nleep(posterior, labels.numpy())
    found = transferability(features, labels, "nleep")
    np.testing.assert_allclose(found.per_image.numpy(), expected, rtol=0, atol=1e-6)
    assert found.value == pytest.approx(np.mean(expected), abs=1e-6)


@pytest.mark.parametrize("n_axes", [3, 9])
def test_one_step_equals_the_naive_posterior(n_axes) -> None:
    """Two components of 6 images each that far apart that the first step is the last."""
    start = balanced_labels(12, 2)
    rows = noise(12, n_axes) + 100 * start[:, None]
    joint = []
    for component in range(2):
        members = rows[start == component].numpy()
        covariance = sum(np.outer(row - members.mean(axis=0), row - members.mean(axis=0)) for row in members) / 6
        normal = multivariate_normal(members.mean(axis=0), covariance + ADDED_VARIANCE * np.eye(n_axes))
        joint.append(0.5 * np.exp(normal.logpdf(rows.numpy())))
    expected = np.array(joint).T / np.sum(joint, axis=0)[:, None]
    np.testing.assert_allclose(fitted_posterior(rows, start, 2).numpy(), expected, rtol=0, atol=1e-9)


def test_two_pairs_of_equal_images_by_hand() -> None:
    # Four images allow two components: the images at 0 with labels 0 and 1, and those at 1, both of label 1.
    found = transferability([[0.0], [0.0], [1.0], [1.0]], [0, 1, 1, 1], "nleep")
    expected = torch.tensor([math.log(1 / 2), math.log(1 / 2), 0.0, 0.0], dtype=torch.float64)
    torch.testing.assert_close(found.per_image, expected, rtol=0, atol=1e-12)


def test_means_end_where_every_image_is_nearest_to_its_own() -> None:
    rows = noise(150, 4)
    nearest, n_components = nearest_means(rows, 10, seed=3)
    means = [rows[nearest == component].mean(dim=0) for component in range(n_components)]
    for row, component in zip(rows, nearest, strict=True):
        distances = [float((row - mean).norm()) for mean in means]
        assert min(range(n_components), key=distances.__getitem__) == int(component)


def test_means_find_groups_far_apart() -> None:
    labels = balanced_labels(60, 6)
    nearest, n_components = nearest_means(clusters(labels, 5, distance=100.0), 6, seed=0)
    assert n_components == 6
    assert len({(int(label), int(component)) for label, component in zip(labels, nearest, strict=True)}) == 6


def test_no_more_components_than_different_images() -> None:
    nearest, n_components = nearest_means(noise(3, 4).repeat(5, 1), 7, seed=0)
    assert n_components == 3
    assert [int(component) for component in nearest] == [int(component) for component in nearest[:3]] * 5


def test_the_seed_draws_the_start() -> None:
    labels = balanced_labels(200, 4)
    features = clusters(labels, 6, distance=1.0)
    scores = [score(features, labels, "nleep", seed=seed) for seed in (0, 0, 1)]
    assert scores[0] == scores[1] != scores[2]


def test_axes_hold_more_than_the_share() -> None:
    # Variances 6, 3 and 1 of 10: the first two hold 0.9, the first one 0.6.
    features = math.sqrt(3) * torch.cat([torch.eye(3), -torch.eye(3)]).double() * torch.tensor([6.0, 3.0, 1.0]).sqrt()
    for share, n_axes in ((0.5, 1), (0.65, 2), (0.89, 2), (0.95, 3), (1.0, 3)):
        rows = principal_coordinates(features, variance_share=share)
        assert rows.shape == (6, n_axes)
        assert float(rows.square().mean()) == pytest.approx(1.0, abs=1e-14)

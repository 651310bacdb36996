"""Leaving out in closed form is leaving out: every figure here is checked by training again."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch import Tensor

from lead_hub.transferability.leave_one_out import FeatureScaling, leave_one_out_logits, standardised
from tests.transferability.made_features import balanced_labels, clusters, noise, rotation

SHAPES = [(40, 7), (23, 60), (30, 30), (31, 30), (30, 31), (12, 1)]


def one_hot(labels: Tensor) -> np.ndarray:
    return np.eye(int(labels.max()) + 1)[labels.numpy()]


def refitted(rows: np.ndarray, targets: np.ndarray, *, strength: float) -> np.ndarray:
    """n ridge regressions with intercept, each by its normal equations on n - 1 rows; the features stay as they are."""
    predictions = np.empty_like(targets)
    design = np.hstack([rows, np.ones((len(rows), 1))])
    penalty = np.diag([strength] * rows.shape[1] + [0.0])
    for left_out in range(len(rows)):
        kept = np.arange(len(rows)) != left_out
        weights = np.linalg.solve(design[kept].T @ design[kept] + penalty, design[kept].T @ targets[kept])
        predictions[left_out] = design[left_out] @ weights
    return predictions


@pytest.mark.parametrize(("n_images", "n_features"), SHAPES)
@pytest.mark.parametrize("relative_strength", [1e-4, 1e-1, 10.0])
@pytest.mark.parametrize("scaling", ["global", "each"])
def test_equals_fitting_without_each_image(
    n_images: int, n_features: int, relative_strength: float, scaling: FeatureScaling
) -> None:
    labels = balanced_labels(n_images, 3)
    features = clusters(labels, n_features, spread=1.5) + 5
    closed_form = leave_one_out_logits(features, labels, relative_strengths=(relative_strength,), scaling=scaling)
    rows = features.numpy() - features.numpy().mean(axis=0)
    rows /= rows.std(axis=0) if scaling == "each" else np.abs(rows).max()
    strength = relative_strength * np.square(rows).sum() / n_images
    np.testing.assert_allclose(
        closed_form.logits.numpy(), refitted(rows, one_hot(labels), strength=strength), rtol=0, atol=1e-8
    )


def test_equals_refitting_scikit_learns_ridge() -> None:
    labels = balanced_labels(25, 4)
    features = clusters(labels, 40, spread=1.0, seed=3)
    closed_form = leave_one_out_logits(features, labels, relative_strengths=(0.03,))
    rows, targets = features.numpy(), one_hot(labels)
    strength = 0.03 * np.square(rows - rows.mean(axis=0)).sum() / 25
    for left_out in range(25):
        kept = np.arange(25) != left_out
        expected = Ridge(alpha=strength, solver="svd").fit(rows[kept], targets[kept]).predict(rows[[left_out]])[0]
        np.testing.assert_allclose(closed_form.logits[left_out].numpy(), expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize(("n_images", "n_features", "spread"), [(60, 20, 2.0), (60, 20, 0.05), (40, 120, 3.0)])
def test_the_chosen_strength_has_the_least_error_of_its_neighbours(
    n_images: int, n_features: int, spread: float
) -> None:
    labels = balanced_labels(n_images, 4)
    features = clusters(labels, n_features, spread=spread)
    grid = tuple(10.0**power for power in range(3, -6, -1))
    chosen = leave_one_out_logits(features, labels, relative_strengths=grid).relative_strength
    rows = features.numpy() - features.numpy().mean(axis=0)
    targets = one_hot(labels)
    mean_eigenvalue = np.square(rows).sum() / n_images
    errors = [
        float(np.square(refitted(rows, targets, strength=relative * mean_eigenvalue) - targets).sum())
        for relative in grid
    ]
    position = grid.index(chosen)
    assert errors[position] <= min(errors[max(0, position - 1) : position + 2]) * (1 + 1e-9)
    assert errors[position] <= min(errors) * 1.001  # and here, where there is one minimum, of all


def test_more_useful_features_want_a_weaker_ridge() -> None:
    labels = balanced_labels(100, 4)
    strengths = [
        leave_one_out_logits(clusters(labels, 30, spread=spread), labels).relative_strength for spread in (0.01, 10.0)
    ]
    assert strengths[0] < strengths[1] / 10


def test_a_class_with_one_image_is_predicted_by_a_model_that_never_saw_it() -> None:
    labels = torch.tensor([0] * 10 + [1] * 10 + [2])
    logits = leave_one_out_logits(clusters(labels, 6, spread=1.0), labels).logits
    # Without image 20 the targets of class 2 are all 0, and so is every prediction of theirs.
    assert float(logits[20, 2]) == pytest.approx(0, abs=1e-9)


def test_constant_features_leave_the_frequencies_of_the_other_images() -> None:
    labels = torch.tensor([0, 0, 0, 1, 1])
    logits = leave_one_out_logits(torch.full((5, 3), 0.1, dtype=torch.float64), labels).logits
    expected = [[2 / 4, 2 / 4]] * 3 + [[3 / 4, 1 / 4]] * 2
    np.testing.assert_allclose(logits.numpy(), expected, rtol=0, atol=1e-14)


def test_one_scale_for_all_features_stays_the_same_when_they_are_rotated() -> None:
    labels = balanced_labels(30, 3)
    features = clusters(labels, 10, spread=1.0) * torch.linspace(0.1, 3, 10, dtype=torch.float64)
    rotated = features @ rotation(10)
    alike = [leave_one_out_logits(rows, labels).logits for rows in (features, rotated)]
    torch.testing.assert_close(alike[0], alike[1], rtol=0, atol=1e-10)
    unlike = [leave_one_out_logits(rows, labels, scaling="each").logits for rows in (features, rotated)]
    assert float((unlike[0] - unlike[1]).abs().max()) > 1e-3


def test_each_feature_gets_unit_variance_but_a_constant_one_stays_zero() -> None:
    features = noise(50, 4) * torch.tensor([1e-3, 1.0, 1e3, 0.0]) + 7
    rows = standardised(features, scaling="each")
    expected = torch.tensor([1.0, 1.0, 1.0, 0.0], dtype=torch.float64)
    torch.testing.assert_close(rows.square().mean(dim=0), expected, rtol=1e-9, atol=0)

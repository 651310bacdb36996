"""Left-out predictions from a kernel: against refits, integrated training, and kernels that fit anything."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from lead_hub.errors import ScoreError
from lead_hub.transferability.kernel_ridge import kernel_leave_one_out, unit_kernel
from lead_hub.transferability.leave_one_out import RELATIVE_STRENGTHS, leave_one_out_logits
from lead_hub.transferability.likelihoods import fitted_sharpness, log_likelihoods
from tests.transferability.made_features import balanced_labels, clusters, noise, rotation
from tests.transferability.test_groups import mixed_groups


def full_rank_kernel(features: Tensor, *, width: float = 1.0) -> Tensor:
    """exp(-distance / width): no image is a sum of others."""
    return (-torch.cdist(features, features) / width).exp()


def refitted(kernel: np.ndarray, targets: np.ndarray, groups: np.ndarray, strength: float) -> np.ndarray:
    """One ridge regression a group, without it: an intercept that is not penalised, and one weight an image."""
    n_images = len(kernel)
    centring = np.eye(n_images) - 1 / n_images
    penalty = strength * np.trace(centring @ kernel @ centring) / n_images
    predictions = np.empty_like(targets)
    for group in np.unique(groups):
        kept, left = np.flatnonzero(groups != group), np.flatnonzero(groups == group)
        # minimise |Y - b - K a|^2 + l a' K a: (K + l) a = Y - b, and the weights of each class sum to 0.
        system = np.zeros((len(kept) + 1, len(kept) + 1))
        system[:-1, :-1] = kernel[np.ix_(kept, kept)] + penalty * np.eye(len(kept))
        system[:-1, -1] = system[-1, :-1] = 1
        solution = np.linalg.solve(system, np.vstack([targets[kept], np.zeros(targets.shape[1])]))
        predictions[left] = kernel[np.ix_(left, kept)] @ solution[:-1] + solution[-1]
    return predictions


KERNELS = {
    "full rank": full_rank_kernel,
    "narrow": lambda features: full_rank_kernel(features, width=0.2),
    "low rank": lambda features: features[:, :2] @ features[:, :2].T,
    "not centred": lambda features: features @ features.T + 50,
}


@pytest.mark.parametrize("kind", KERNELS)
@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("relative_strength", [1e-6, 1e-4, 0.1, 100.0])
def test_equals_refitting_without_each_image_or_group(kind, grouped, relative_strength) -> None:
    labels = balanced_labels(26, 3)
    groups = mixed_groups(26) if grouped else None
    kernel = KERNELS[kind](clusters(labels, 5, distance=1.0))
    found = kernel_leave_one_out(kernel, labels, relative_strengths=(relative_strength,), groups=groups)
    targets = np.eye(3)[labels]
    alone = np.arange(26) if groups is None else groups.numpy()
    expected = refitted(kernel.numpy(), targets, alone, relative_strength)
    np.testing.assert_allclose(found.logits.numpy(), expected, rtol=0, atol=1e-8)
    assert found.squared_error == pytest.approx(float(np.square(targets - expected).sum()), rel=1e-8)


@pytest.mark.parametrize("distance", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("grouped", [False, True])
def test_the_strength_has_the_smallest_error_of_the_grid(distance, grouped) -> None:
    labels = balanced_labels(24, 3)
    groups = mixed_groups(24) if grouped else None
    kernel = full_rank_kernel(clusters(labels, 5, distance=distance))
    alone = np.arange(24) if groups is None else groups.numpy()
    targets = np.eye(3)[labels]
    errors = {
        strength: float(np.square(targets - refitted(kernel.numpy(), targets, alone, strength)).sum())
        for strength in RELATIVE_STRENGTHS
    }
    assert kernel_leave_one_out(kernel, labels, groups=groups).relative_strength == min(errors, key=errors.__getitem__)


@pytest.mark.parametrize("n_features", [4, 40])
@pytest.mark.parametrize("grouped", [False, True])
def test_a_linear_kernel_is_ridge_regression_on_the_features(n_features, grouped) -> None:
    labels = balanced_labels(30, 3)
    groups = mixed_groups(30) if grouped else None
    features = clusters(labels, n_features, distance=2.0)
    for strength in (1e-3, 1.0):
        expected = leave_one_out_logits(features, labels, relative_strengths=(strength,), groups=groups)
        found = kernel_leave_one_out(unit_kernel(features), labels, relative_strengths=(strength,), groups=groups)
        torch.testing.assert_close(found.logits, expected.logits, rtol=0, atol=1e-9)


def likelihood(kernel: Tensor, labels: Tensor, *, groups: Tensor | None = None) -> float:
    logits = kernel_leave_one_out(kernel, labels, groups=groups).logits
    return float(log_likelihoods(logits, labels, sharpness=fitted_sharpness(logits, labels)).mean())


@pytest.mark.parametrize("kind", KERNELS)
@pytest.mark.parametrize("n_classes", [2, 5])
def test_permuted_labels_give_the_loss_of_class_frequencies(kind, n_classes) -> None:
    """With 1 - h_ii clamped at 1e-6 a kernel of full rank predicts them without an error."""
    labels = balanced_labels(200, n_classes)
    kernel = KERNELS[kind](clusters(labels, 8, distance=6.0))
    if kind != "narrow":  # next to the identity, which tells nothing, and fits every label
        assert likelihood(kernel, labels) > -0.7 * math.log(n_classes)
    for seed in range(3):
        permuted = labels[torch.randperm(200, generator=torch.Generator().manual_seed(seed))]
        assert abs(likelihood(kernel, permuted) + math.log(n_classes)) < 0.03


@pytest.mark.parametrize("n_features", [3, 30, 300, 3000])
def test_noise_loses_whatever_its_shape(n_features) -> None:
    labels = balanced_labels(300, 10)
    scale = n_features**-0.5
    bad = likelihood(full_rank_kernel(scale * noise(300, n_features)), labels)
    good = likelihood(full_rank_kernel(scale * clusters(labels, n_features, distance=4 * n_features**0.5)), labels)
    assert abs(bad + math.log(10)) < 0.1
    assert good > -0.6


def test_copies_tell_nothing_when_they_are_left_out_together() -> None:
    labels = balanced_labels(60, 3).repeat(2)
    kernel = full_rank_kernel(noise(60, 10).repeat(2, 1) + 1e-3 * noise(120, 10, seed=1))
    assert likelihood(kernel, labels) > -0.4
    together = likelihood(kernel, labels, groups=torch.arange(60).repeat(2))
    assert abs(together + math.log(3)) < 0.1


CHANGES = {
    "scaled up": lambda kernel: 1e6 * kernel,
    "scaled down": lambda kernel: 1e-6 * kernel,
    "shifted": lambda kernel: kernel + 3,
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", KERNELS)
def test_scale_and_origin_do_not_matter(change, kind) -> None:
    labels = balanced_labels(30, 3)
    kernel = KERNELS[kind](clusters(labels, 5, distance=2.0))
    before, after = kernel_leave_one_out(kernel, labels), kernel_leave_one_out(CHANGES[change](kernel), labels)
    torch.testing.assert_close(after.logits, before.logits, rtol=0, atol=1e-7)


def test_rotation_of_features_and_order_of_images_do_not_matter() -> None:
    labels = balanced_labels(30, 3)
    features = clusters(labels, 12, distance=2.0)
    before = kernel_leave_one_out(unit_kernel(features), labels).logits
    turned = kernel_leave_one_out(unit_kernel(features @ rotation(12)), labels).logits
    torch.testing.assert_close(turned, before, rtol=0, atol=1e-9)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(3))
    found = kernel_leave_one_out(unit_kernel(features)[order][:, order], labels[order]).logits
    torch.testing.assert_close(found, before[order], rtol=0, atol=1e-9)


def test_the_unit_kernel_by_hand() -> None:
    # Centred: -2, 0, 2; squares 4, 0, 4 with mean 8 / 3.
    kernel = unit_kernel(torch.tensor([[1.0], [3.0], [5.0]], dtype=torch.float64))
    expected = torch.tensor([[1.5, 0, -1.5], [0, 0, 0], [-1.5, 0, 1.5]], dtype=torch.float64)
    torch.testing.assert_close(kernel, expected)
    assert float(torch.linalg.eigvalsh(kernel).mean()) == pytest.approx(1.0)
    assert unit_kernel(torch.full((3, 2), 0.1, dtype=torch.float64)).abs().max() == 0


@pytest.mark.parametrize("value", [0.0, 0.3, 1e9])
def test_a_constant_kernel_predicts_how_often_a_class_is_among_the_others(value) -> None:
    labels = torch.tensor([0, 0, 0, 1, 1])
    logits = kernel_leave_one_out(torch.full((5, 5), value, dtype=torch.float64), labels).logits
    expected = torch.tensor([[0.5, 0.5]] * 3 + [[0.75, 0.25]] * 2, dtype=torch.float64)
    torch.testing.assert_close(logits, expected)


def test_what_is_no_kernel_is_refused() -> None:
    labels = balanced_labels(20, 2)
    rows = noise(20, 20)
    with pytest.raises(ScoreError, match="must have no negative eigenvalues"):
        kernel_leave_one_out(rows + rows.T, labels)
    rounded = unit_kernel(clusters(labels, 3, distance=2.0)).half().double()
    assert math.isfinite(likelihood(rounded, labels))  # rounding is no such thing


# Training, integrated.


def steps(slope, state: Tensor, *, time: float, n_steps: int) -> Tensor:
    """Runge-Kutta of fourth order."""
    step = time / n_steps
    for _ in range(n_steps):
        first = slope(state)
        second = slope(state + step / 2 * first)
        third = slope(state + step / 2 * second)
        state = state + step / 6 * (first + 2 * second + 2 * third + slope(state + step * third))
    return state


@pytest.mark.parametrize("time", [0.1, 1.0, 10.0])
def test_the_flow_for_images_that_are_not_trained_on_is_the_closed_form(time) -> None:
    """dF/dt = -K (F - Y) on the trained images moves the others by k(x*, X): what the docstring says comes of it."""
    labels = balanced_labels(12, 3)
    kernel = full_rank_kernel(clusters(labels, 4, distance=1.0))
    targets = torch.nn.functional.one_hot(labels).double()[:9]
    trained, cross = kernel[:9, :9], kernel[9:, :9]

    def slope(logits: Tensor) -> Tensor:
        error = targets - logits[:9]
        return torch.cat([trained @ error, cross @ error])

    closed = cross @ torch.linalg.solve(trained, targets - torch.linalg.matrix_exp(-time * trained) @ targets)
    errors = []
    for n_steps in (40, 80):
        integrated = steps(slope, torch.zeros(12, 3, dtype=torch.float64), time=time, n_steps=n_steps)[9:]
        errors.append(float((integrated - closed).abs().max()))
    assert errors[1] < 1e-4
    assert errors[0] > 10 * errors[1] or errors[0] < 1e-10  # of fourth order: sixteen times


@pytest.mark.slow
@pytest.mark.parametrize("relative_strength", [0.1, 1.0])
def test_training_with_weight_decay_to_its_end_is_the_left_out_prediction(relative_strength) -> None:
    """The same flow with decay l on the weights, and an intercept, for every image without it."""
    labels = balanced_labels(9, 3)
    kernel = full_rank_kernel(clusters(labels, 4, distance=1.0))
    centring = torch.eye(9, dtype=torch.float64) - 1 / 9
    penalty = relative_strength * float((centring @ kernel @ centring).trace()) / 9
    targets = torch.nn.functional.one_hot(labels).double()
    found = kernel_leave_one_out(kernel, labels, relative_strengths=(relative_strength,)).logits
    for image in range(9):
        kept = torch.tensor([other for other in range(9) if other != image])
        inner = kernel[kept][:, kept]

        def slope(state: Tensor, inner: Tensor = inner, kept: Tensor = kept) -> Tensor:
            weights, intercept = state[:-1], state[-1:]
            error = targets[kept] - inner @ weights - intercept
            return torch.cat([error - penalty * weights, error.sum(dim=0, keepdim=True)])

        state = steps(slope, torch.zeros(9, 3, dtype=torch.float64), time=400.0, n_steps=4000)
        predicted = kernel[image, kept] @ state[:-1] + state[-1]
        torch.testing.assert_close(predicted, found[image], rtol=0, atol=1e-8)

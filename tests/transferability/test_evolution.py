import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor

from lead_hub.transferability.evolution import evolve, evolve_at_rates, largest_eigenvalue
from lead_hub.transferability.head_kernel import infinite_head_kernel
from tests.transferability.made_features import balanced_labels, noise


@pytest.fixture
def start() -> Tensor:
    return noise(9, 3, seed=1)


@pytest.fixture
def targets() -> Tensor:
    return torch.eye(3, dtype=torch.float64)[balanced_labels(9, 3)]


@pytest.fixture
def kernel() -> Tensor:
    return infinite_head_kernel(noise(9, 4, seed=2))


def euler(slope: Callable[[Tensor], Tensor], state: Tensor, *, time: float, n_steps: int) -> Tensor:
    for _ in range(n_steps):
        state = state + time / n_steps * slope(state)
    return state


def runge_kutta(slope: Callable[[Tensor], Tensor], state: Tensor, *, time: float, n_steps: int) -> Tensor:
    step = time / n_steps
    for _ in range(n_steps):
        first = slope(state)
        second = slope(state + step / 2 * first)
        third = slope(state + step / 2 * second)
        fourth = slope(state + step * third)
        state = state + step / 6 * (first + 2 * second + 2 * third + fourth)
    return state


# Eq. 5 under the squared loss L = |F - Y|^2 / 2: dF/dt = -eta Phi (F - Y). An integrator of order p must come
# 2^p times closer whenever its steps are halved; within a fifth, because the steps are not infinitely small.
@pytest.mark.parametrize(("integrator", "order"), [(euler, 1), (runge_kutta, 4)])
@pytest.mark.parametrize("form", ["whole kernel", "one rate per image"])
@pytest.mark.parametrize("time", [0.3, 2.5])
def test_one_step_formula_is_what_integration_converges_to(
    start, targets, kernel, integrator, order, form, time
) -> None:
    if form == "whole kernel":
        flow = kernel / float(np.linalg.eigvalsh(kernel.numpy())[-1])
        exact = evolve(start, targets, kernel=kernel, time=time)
    else:
        rates = torch.linspace(0.1, 1, 9, dtype=torch.float64)
        flow = torch.diag(rates)
        exact = evolve_at_rates(start, targets, rates=rates, time=time)
    errors = [
        float((integrator(lambda state: -flow @ (state - targets), start, time=time, n_steps=n) - exact).norm())
        for n in (16, 32, 64)
    ]
    for coarse, fine in pairwise(errors):
        assert coarse / fine == pytest.approx(2**order, rel=0.2)


@pytest.mark.parametrize("time", [0.0, 0.3, 1.0, 7.7])
def test_equals_the_matrix_exponential(start, targets, kernel, time) -> None:
    largest = float(np.linalg.eigvalsh(kernel.numpy())[-1])
    decay = torch.from_numpy(scipy.linalg.expm(-time / largest * kernel.numpy()))
    expected = (torch.eye(9, dtype=torch.float64) - decay) @ targets + decay @ start
    torch.testing.assert_close(evolve(start, targets, kernel=kernel, time=time), expected, rtol=0, atol=1e-13)


def test_two_images_by_hand() -> None:
    # The kernel [[2, 1], [1, 2]] has eigenvalue 3 along (1, 1) and 1 along (1, -1): rates 1 and 1/3. The error
    # (1, 0) is half the sum of those two directions, so (e^-t + e^-t/3, e^-t - e^-t/3) / 2 of it is left.
    two_images = torch.tensor([[2.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    initial, wanted = (torch.tensor(column, dtype=torch.float64)[:, None] for column in ([2.0, 5.0], [1.0, 5.0]))
    fast, slow = math.exp(-0.3), math.exp(-0.1)
    expected = torch.tensor([[1 + (fast + slow) / 2], [5 + (fast - slow) / 2]], dtype=torch.float64)
    torch.testing.assert_close(evolve(initial, wanted, kernel=two_images, time=0.3), expected, rtol=0, atol=1e-14)


def test_a_constant_spectrum_is_the_scalar_form(start, targets) -> None:
    whole = evolve(start, targets, kernel=5 * torch.eye(9, dtype=torch.float64), time=0.3)
    scalar = evolve_at_rates(start, targets, rates=torch.ones(9, dtype=torch.float64), time=0.3)
    torch.testing.assert_close(whole, scalar, rtol=0, atol=1e-14)


def test_no_gradient_no_evolution(start, targets) -> None:
    assert torch.equal(evolve(start, targets, kernel=torch.zeros(9, 9, dtype=torch.float64), time=0.3), start)


@pytest.mark.parametrize("n_images", [1, 2, 10, 300])
@pytest.mark.parametrize("kind", ["random", "two opposite clusters", "equal", "with zeros"])
def test_largest_eigenvalue(n_images, kind) -> None:
    features = noise(n_images, 6, seed=3)
    if kind == "two opposite clusters":
        features = 1e-3 * features + torch.where(torch.arange(n_images) % 2 == 0, 1.0, -1.0)[:, None]
    elif kind == "equal":
        features = features[:1].repeat(n_images, 1)
    elif kind == "with zeros":
        features[::2] = 0
    kernel = infinite_head_kernel(features)
    expected = float(np.linalg.eigvalsh(kernel.numpy())[-1])
    assert largest_eigenvalue(kernel) == pytest.approx(expected, rel=1e-12)

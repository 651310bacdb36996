"""The solution of the logits' differential equation against integrators, which know nothing of solutions."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lead_hub.transferability.evolution import evolve, evolve_at_rates, largest_eigenvalue
from lead_hub.transferability.head_kernel import infinite_head_kernel
from tests.transferability.made_features import noise

Slope = Callable[[Tensor], Tensor]
Integrator = Callable[[Slope, Tensor, float, int], Tensor]


def euler(slope: Slope, start: Tensor, time: float, n_steps: int) -> Tensor:
    for _ in range(n_steps):
        start = start + time / n_steps * slope(start)
    return start


def runge_kutta(slope: Slope, start: Tensor, time: float, n_steps: int) -> Tensor:
    """The classical method of fourth order."""
    step = time / n_steps
    for _ in range(n_steps):
        first = slope(start)
        second = slope(start + step / 2 * first)
        third = slope(start + step / 2 * second)
        fourth = slope(start + step * third)
        start = start + step / 6 * (first + 2 * second + 2 * third + fourth)
    return start


def squared_loss_slope(rates: Tensor, targets: Tensor) -> Slope:
    """dF/dt = -eta Phi dL/dF for L = sum (F - Y)^2 / 2, its gradient taken by autograd."""

    def slope(logits: Tensor) -> Tensor:
        variable = logits.clone().requires_grad_()
        loss = (variable - targets).square().sum() / 2
        return -rates @ torch.autograd.grad(loss, variable)[0]

    return slope


@pytest.fixture
def problem() -> tuple[Tensor, Tensor, Tensor]:
    """Initial logits, targets and a kernel, of 9 images."""
    return (
        noise(9, 4, seed=1),
        torch.eye(4, dtype=torch.float64)[torch.arange(9) % 4],
        infinite_head_kernel(noise(9, 5)),
    )


def exponential_decay(kernel: Tensor, time: float) -> Tensor:
    """e^{-time kernel / largest eigenvalue}, from all eigenvectors."""
    eigenvalues, vectors = torch.linalg.eigh(kernel)
    return (vectors * (-time * eigenvalues / eigenvalues[-1]).exp()) @ vectors.T


@pytest.mark.parametrize(("integrator", "order", "n_steps"), [(euler, 1, 64), (runge_kutta, 4, 4)])
@pytest.mark.parametrize("time", [0.3, 2.0])
def test_the_whole_kernels_solution_is_where_integrators_converge(
    problem: tuple[Tensor, Tensor, Tensor], integrator: Integrator, order: int, n_steps: int, time: float
) -> None:
    initial, targets, kernel = problem
    solution = evolve(initial, targets, kernel=kernel, time=time)
    slope = squared_loss_slope(kernel / torch.linalg.eigvalsh(kernel)[-1], targets)
    assert_order(integrator, slope, initial, solution, time=time, n_steps=n_steps, order=order)


@pytest.mark.parametrize(("integrator", "order", "n_steps"), [(euler, 1, 64), (runge_kutta, 4, 4)])
def test_the_rates_solution_is_where_integrators_converge(
    problem: tuple[Tensor, Tensor, Tensor], integrator: Integrator, order: int, n_steps: int
) -> None:
    initial, targets, _ = problem
    rates = torch.linspace(0, 1.5, 9, dtype=torch.float64)
    solution = evolve_at_rates(initial, targets, rates=rates, time=1.0)
    slope = squared_loss_slope(torch.diag(rates), targets)
    assert_order(integrator, slope, initial, solution, time=1.0, n_steps=n_steps, order=order)


def assert_order(
    integrator: Integrator, slope: Slope, initial: Tensor, solution: Tensor, *, time: float, n_steps: int, order: int
) -> None:
    """Halving the step divides the error by 2 to the power of the integrator's order, three times in a row."""
    errors = [
        float((integrator(slope, initial, time, n_steps * 2**halvings) - solution).norm()) for halvings in range(4)
    ]
    measured = [math.log2(coarse / fine) for coarse, fine in zip(errors, errors[1:], strict=False)]
    assert measured == pytest.approx([order] * 3, abs=0.15)


@pytest.mark.parametrize("time", [0.0, 0.3, 1.0, 3.7, 40.0])
def test_equals_the_matrix_exponential(problem: tuple[Tensor, Tensor, Tensor], time: float) -> None:
    initial, targets, kernel = problem
    expected = targets + exponential_decay(kernel, time) @ (initial - targets)
    torch.testing.assert_close(evolve(initial, targets, kernel=kernel, time=time), expected, rtol=0, atol=1e-13)


def test_a_constant_spectrum_makes_the_kernel_a_rate(problem: tuple[Tensor, Tensor, Tensor]) -> None:
    initial, targets, _ = problem
    whole = evolve(initial, targets, kernel=7 * torch.eye(9, dtype=torch.float64), time=0.3)
    scalar = evolve_at_rates(initial, targets, rates=torch.ones(9, dtype=torch.float64), time=0.3)
    torch.testing.assert_close(whole, scalar, rtol=0, atol=1e-15)


def test_two_images_by_hand() -> None:
    # The kernel [[2, 1], [1, 2]] has eigenvalue 3 along (1, 1) and 1 along (1, -1): rates 1 and 1/3. The error
    # (1, 0) is half the sum of those two directions, so after time t (e^-t + e^-t/3, e^-t - e^-t/3) / 2 is left.
    kernel = torch.tensor([[2.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    initial, targets = (torch.tensor(column, dtype=torch.float64)[:, None] for column in ([2.0, 5.0], [1.0, 5.0]))
    fast, slow = math.exp(-0.3), math.exp(-0.1)
    expected = torch.tensor([[1 + (fast + slow) / 2], [5 + (fast - slow) / 2]], dtype=torch.float64)
    torch.testing.assert_close(evolve(initial, targets, kernel=kernel, time=0.3), expected, rtol=0, atol=1e-15)


def test_without_gradients_nothing_moves() -> None:
    initial, targets = noise(3, 2), noise(3, 2, seed=1)
    assert torch.equal(evolve(initial, targets, kernel=torch.zeros(3, 3, dtype=torch.float64), time=0.3), initial)


@pytest.mark.parametrize("n_features", [1, 2, 20, 500])
@pytest.mark.parametrize("n_images", [1, 2, 300])
def test_the_largest_eigenvalue_has_all_its_digits(n_images: int, n_features: int) -> None:
    kernel = infinite_head_kernel(noise(n_images, n_features))
    assert largest_eigenvalue(kernel) == pytest.approx(float(torch.linalg.eigvalsh(kernel)[-1]), rel=1e-12)


def test_two_opposite_directions_are_the_slowest_case_and_still_exact() -> None:
    # Half of the images along one ray, half along the opposite one: the second eigenvalue is as near as it gets.
    features = torch.cat([torch.ones(20, 1), -torch.ones(20, 1)]).double()
    kernel = infinite_head_kernel(features)
    # Blocks of 3 within a ray and 1 / pi between the two.
    assert largest_eigenvalue(kernel) == pytest.approx(20 * (3 + 1 / math.pi), rel=1e-13)

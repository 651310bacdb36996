"""A one-vs-rest linear support vector machine, to all digits."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lead_hub.errors import ScoreError
from lead_hub.transferability.spectrum import gram_spectrum

MAX_NEWTON_STEPS = 200
MAX_HALVINGS = 40
# Of the gradient's length, relative to that at weights of 0: at the wanted penalty, and on the way there.
GRADIENT_TOLERANCE = 1e-12
PATH_TOLERANCE = 1e-3
# Long features leave more rounding in the gradient than the tolerance. One that has stopped falling is as good as it
# gets, and good enough below this.
STALLED_TOLERANCE = 1e-7
STALLED_STEPS = 5
PATH_FACTOR = 4.0
# The classical constant of Armijo's rule, and what rounding may add to an objective that no longer falls.
SUFFICIENT_DECREASE = 1e-4
ROUNDING = 1e-14


def svm_scores(
    features: Float[Tensor, "image feature"], labels: Int[Tensor, " image"], *, penalty: float = 1.0
) -> Float[Tensor, "image target_class"]:
    """In-sample decision values: per class the w that minimises |w|^2 / 2 + penalty sum max(0, 1 - s w.x)^2.

    s is 1 for the images of the class and -1 for the others; x ends with a constant 1, so the intercept is
    penalised too, as in LIBLINEAR (Fan et al. 2008). Solved by Newton's method, which is finite for this
    objective (Mangasarian 2002). Only inner products between images matter, so the work is done in principal
    coordinates, of which there are never more than images.

    Raises:
        ScoreError: no convergence.
    """
    spectrum = gram_spectrum(torch.cat([features, features.new_ones(len(features), 1)], dim=1))
    coordinates = spectrum.coordinates()
    path = penalty_path(penalty, largest_eigenvalue=float(spectrum.eigenvalues[-1]))
    columns = []
    for target_class in range(int(labels.max()) + 1):
        signs = torch.where(labels == target_class, 1.0, -1.0).to(features.dtype)
        columns.append(coordinates @ _svm_weights(coordinates, signs, path=path))
    return torch.stack(columns, dim=1)


def penalty_path(penalty: float, *, largest_eigenvalue: float) -> list[float]:
    """Penalties that end at the wanted one and start where the objective is hardly more than |w|^2.

    Newton's method from weights of 0 wanders through hundreds of sets of support vectors when features are long
    or nearly separable; along this path it needs a few steps for every penalty, each starting at the last minimum.
    """
    n_steps = max(0, math.ceil(math.log(2 * penalty * largest_eigenvalue, PATH_FACTOR)))
    return [penalty * PATH_FACTOR**-step for step in range(n_steps, -1, -1)]


def _svm_weights(
    coordinates: Float[Tensor, "image axis"], signs: Float[Tensor, " image"], *, path: list[float]
) -> Float[Tensor, " axis"]:
    weights = coordinates.new_zeros(coordinates.shape[1])
    for penalty in path:
        tolerance = GRADIENT_TOLERANCE if penalty == path[-1] else PATH_TOLERANCE
        weights = _minimum(_Objective(coordinates, signs, penalty), weights, tolerance=tolerance)
    return weights


@dataclass(frozen=True, eq=False)
class _Objective:
    """What the weights of one class minimise, at one penalty."""

    coordinates: Float[Tensor, "image axis"]
    signs: Float[Tensor, " image"]
    penalty: float

    def shortfalls(self, weights: Float[Tensor, " axis"]) -> Float[Tensor, " image"]:
        """How much every image lacks to be on the right side of its margin; 0 where it is."""
        return (1 - self.signs * (self.coordinates @ weights)).clamp(min=0)

    def value(self, weights: Float[Tensor, " axis"]) -> float:
        return float(weights.square().sum() / 2 + self.penalty * self.shortfalls(weights).square().sum())

    def gradient(self, weights: Float[Tensor, " axis"]) -> Float[Tensor, " axis"]:
        return weights - 2 * self.penalty * self.coordinates.T @ (self.signs * self.shortfalls(weights))

    def newton_direction(self, weights: Float[Tensor, " axis"]) -> Float[Tensor, " axis"]:
        """To where the minimum would be if the images that fall short now were the only ones."""
        support = self.shortfalls(weights) > 0
        rows, signs = self.coordinates[support], self.signs[support]
        damping = 1 / (2 * self.penalty)
        # Ridge regression onto the signs, by the smaller of its two systems.
        if rows.shape[0] < rows.shape[1]:
            return rows.T @ _solved(rows @ rows.T, signs, damping=damping) - weights
        return _solved(rows.T @ rows, rows.T @ signs, damping=damping) - weights


def _solved(gram: Float[Tensor, "side side"], target: Float[Tensor, " side"], *, damping: float) -> Tensor:
    gram.diagonal().add_(damping)
    factor, failure = torch.linalg.cholesky_ex(gram)
    if int(failure):
        raise ScoreError(
            f"the linear classifier needs features whose squared length float64 can add to {damping}, found a sum of"
            f" {float(gram.trace()):.3g}: rescale the features"
        )
    return torch.cholesky_solve(target[:, None], factor)[:, 0]


def _minimum(objective: _Objective, weights: Float[Tensor, " axis"], *, tolerance: float) -> Float[Tensor, " axis"]:
    start = float(objective.gradient(torch.zeros_like(weights)).norm()) or 1.0
    lengths: list[float] = []
    for _ in range(MAX_NEWTON_STEPS):
        gradient = objective.gradient(weights)
        lengths.append(float(gradient.norm()) / start)
        stalled = len(lengths) > STALLED_STEPS and min(lengths[-STALLED_STEPS:]) >= min(lengths[:-STALLED_STEPS]) / 2
        if lengths[-1] <= tolerance or (stalled and lengths[-1] <= STALLED_TOLERANCE):
            return weights
        direction = objective.newton_direction(weights)
        weights = weights + direction * _step_length(objective, weights, direction, slope=float(gradient @ direction))
    raise ScoreError(
        f"the linear classifier must reach a relative gradient of {tolerance}, found {min(lengths):.1e} after"
        f" {MAX_NEWTON_STEPS} Newton steps at penalty {objective.penalty}: rescale the features"
    )


def _step_length(
    objective: _Objective, weights: Float[Tensor, " axis"], direction: Float[Tensor, " axis"], *, slope: float
) -> float:
    """The first of 1, 1/2, 1/4, ... that lowers the objective enough (Armijo's rule)."""
    before = objective.value(weights)
    length = 1.0
    for _ in range(MAX_HALVINGS):
        bound = before * (1 + ROUNDING) + SUFFICIENT_DECREASE * length * slope
        if objective.value(weights + length * direction) <= bound:
            break
        length /= 2
    return length

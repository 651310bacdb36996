"""A one-vs-rest linear support vector machine, all classes at once."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lead_hub.errors import ScoreError
from lead_hub.transferability.spectrum import gram_spectrum

MAX_NEWTON_STEPS = 200
MAX_CONJUGATE_STEPS = 2000
MAX_HALVINGS = 40
# Of the gradient's length, relative to that at weights of 0.
GRADIENT_TOLERANCE = 1e-12
PATH_TOLERANCE = 1e-3
PATH_FACTOR = 4.0
# Of what is left of the gradient after a Newton step that is not exact.
NEWTON_TOLERANCE = 0.01
# The classical constant of Armijo's rule, and what rounding may add to an objective that no longer falls.
SUFFICIENT_DECREASE = 1e-4
ROUNDING = 1e-14


def svm_scores(
    features: Float[Tensor, "image feature"], labels: Int[Tensor, " image"], *, penalty: float = 1.0
) -> Float[Tensor, "image target_class"]:
    """In-sample decision values: per class the w that minimises |w|^2 / 2 + penalty sum max(0, 1 - s w.x)^2.

    s is 1 for the images of the class and -1 for the others; x ends with a constant 1, so the intercept is
    penalised too, as in LIBLINEAR (Fan et al. 2008). Solved by Newton's method, which is finite for this
    objective (Mangasarian 2002), with conjugate gradients. Only inner products between images matter, so the
    work is done in principal coordinates, where the Hessian is nearly diagonal.

    Raises:
        ScoreError: no convergence.
    """
    rows = torch.cat([features, features.new_ones(len(features), 1)], dim=1)
    signs = 2 * torch.nn.functional.one_hot(labels).to(features.dtype) - 1
    spectrum = gram_spectrum(rows)
    coordinates = spectrum.coordinates()
    weights = features.new_zeros(coordinates.shape[1], signs.shape[1])
    for step in penalty_path(penalty, largest_eigenvalue=float(spectrum.eigenvalues[-1])):
        tolerance = GRADIENT_TOLERANCE if step == penalty else PATH_TOLERANCE
        weights = _minimum(_Problem(coordinates, signs, step), weights, tolerance=tolerance)
    return coordinates @ weights


def penalty_path(penalty: float, *, largest_eigenvalue: float) -> list[float]:
    """Penalties that end at the wanted one and start where the objective is hardly more than |w|^2.

    Newton's method from weights of 0 wanders through hundreds of sets of support vectors when features are long
    or nearly separable; along this path it needs a few steps for every penalty, each starting at the last minimum.
    """
    n_steps = max(0, math.ceil(math.log(2 * penalty * largest_eigenvalue, PATH_FACTOR)))
    return [penalty * PATH_FACTOR**-step for step in range(n_steps, -1, -1)]


def _minimum(
    problem: "_Problem", weights: Float[Tensor, "axis target_class"], *, tolerance: float
) -> Float[Tensor, "axis target_class"]:
    goal = tolerance * problem.gradient(torch.zeros_like(weights)).norm(dim=0)
    for _ in range(MAX_NEWTON_STEPS):
        gradient = problem.gradient(weights)
        if bool((gradient.norm(dim=0) <= goal).all()):
            return weights
        direction = problem.newton_direction(weights, gradient, goal=goal)
        weights = weights + direction * problem.step_lengths(weights, direction, gradient=gradient)
    raise ScoreError(
        f"the linear classifier must reach a relative gradient of {tolerance}, found more after"
        f" {MAX_NEWTON_STEPS} Newton steps at penalty {problem.penalty}: rescale the features"
    )


@dataclass(frozen=True, eq=False)
class _Problem:
    """The objectives of all classes: one column of weights each, none depending on another."""

    coordinates: Float[Tensor, "image axis"]
    signs: Float[Tensor, "image target_class"]
    penalty: float

    def shortfalls(self, weights: Float[Tensor, "axis target_class"]) -> Float[Tensor, "image target_class"]:
        """How much every image lacks to be on the right side of the margin; 0 where it is."""
        return (1 - self.signs * (self.coordinates @ weights)).clamp(min=0)

    def objective(self, weights: Float[Tensor, "axis target_class"]) -> Float[Tensor, " target_class"]:
        losses = self.shortfalls(weights).square().sum(dim=0)
        return weights.square().sum(dim=0) / 2 + self.penalty * losses

    def gradient(self, weights: Float[Tensor, "axis target_class"]) -> Float[Tensor, "axis target_class"]:
        return weights - 2 * self.penalty * self.coordinates.T @ (self.signs * self.shortfalls(weights))

    def newton_direction(
        self,
        weights: Float[Tensor, "axis target_class"],
        gradient: Float[Tensor, "axis target_class"],
        *,
        goal: Float[Tensor, " target_class"],
    ) -> Float[Tensor, "axis target_class"]:
        """Minus the inverse Hessian times the gradient, by conjugate gradients scaled with its diagonal."""
        curvature = 2 * self.penalty * (self.shortfalls(weights) > 0).to(weights.dtype)
        diagonal = 1 + self.coordinates.square().T @ curvature
        # Far from the minimum the set of support vectors is still wrong, and an exact step would be exactly wrong.
        accuracy = torch.maximum(NEWTON_TOLERANCE * gradient.norm(dim=0), goal / 2)
        accuracy = torch.where(gradient.norm(dim=0) > goal, accuracy, math.inf)
        solution, residual = torch.zeros_like(gradient), -gradient
        scaled = residual / diagonal
        search, product = scaled, (residual * scaled).sum(dim=0)
        for _ in range(MAX_CONJUGATE_STEPS):
            unfinished = residual.norm(dim=0) > accuracy
            if not bool(unfinished.any()):
                break
            image = search + self.coordinates.T @ (curvature * (self.coordinates @ search))
            length = torch.where(unfinished, product / (search * image).sum(dim=0), 0.0)
            solution = solution + length * search
            residual = residual - length * image
            scaled = residual / diagonal
            previous, product = product, (residual * scaled).sum(dim=0)
            search = scaled + torch.where(unfinished, product / previous, 0.0) * search
        return solution

    def step_lengths(
        self,
        weights: Float[Tensor, "axis target_class"],
        direction: Float[Tensor, "axis target_class"],
        *,
        gradient: Float[Tensor, "axis target_class"],
    ) -> Float[Tensor, " target_class"]:
        """Per class the first of 1, 1/2, 1/4, ... that lowers the objective enough (Armijo's rule)."""
        before = self.objective(weights)
        slope = (gradient * direction).sum(dim=0)
        lengths = torch.ones_like(before)
        for _ in range(MAX_HALVINGS):
            allowed = before * (1 + ROUNDING) + SUFFICIENT_DECREASE * lengths * slope
            too_long = self.objective(weights + lengths * direction) > allowed
            if not bool(too_long.any()):
                break
            lengths = torch.where(too_long, lengths / 2, lengths)
        return lengths

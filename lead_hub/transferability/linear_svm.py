"""A one-vs-rest linear support vector machine, all classes at once."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lead_hub.errors import ScoreError
from lead_hub.transferability.spectrum import gram_spectrum

MAX_NEWTON_STEPS = 200
MAX_CONJUGATE_STEPS = 1000
GRADIENT_TOLERANCE = 1e-11
CONJUGATE_TOLERANCE = 1e-3
SUFFICIENT_DECREASE = 1e-4


def svm_scores(
    features: Float[Tensor, "image feature"], labels: Int[Tensor, " image"], *, penalty: float = 1.0
) -> Float[Tensor, "image target_class"]:
    """In-sample decision values: for every class the w that minimises |w|^2 / 2 + penalty sum max(0, 1 - s w.x)^2.

    s is 1 for the images of the class and -1 for the others; x ends with a constant 1, so the intercept is penalised
    too, as in LIBLINEAR (Fan et al. 2008). Solved by a finite Newton method (Mangasarian 2002) with conjugate
    gradients, in principal coordinates, where the Hessian is nearly diagonal. Only inner products of images matter, so
    the rotation changes nothing.

    Raises:
        ScoreError: no convergence.
    """
    constant = features.new_ones(len(features), 1)
    coordinates = gram_spectrum(torch.cat([features, constant], dim=1)).coordinates()
    signs = 2 * torch.nn.functional.one_hot(labels).to(features.dtype) - 1
    weights = features.new_zeros(coordinates.shape[1], signs.shape[1])
    scale = (2 * penalty * (coordinates.T @ signs)).norm(dim=0)
    for _ in range(MAX_NEWTON_STEPS):
        margins = 1 - signs * (coordinates @ weights)
        violated = margins > 0
        gradient = weights - 2 * penalty * coordinates.T @ (signs * margins * violated)
        sizes = gradient.norm(dim=0) / scale
        if bool((sizes <= GRADIENT_TOLERANCE).all()):
            return coordinates @ weights
        direction = _newton_direction(coordinates, violated, gradient, penalty=penalty)
        weights = weights + direction * _step_lengths(
            weights, direction, gradient=gradient, margins=margins, change=signs * (coordinates @ direction), penalty=penalty
        )
    raise ScoreError(
        f"the linear classifier must converge to a relative gradient of {GRADIENT_TOLERANCE}, found"
        f" {float(sizes.max()):.1e} after {MAX_NEWTON_STEPS} Newton steps: rescale the features"
    )

"""How the logits of one class move when a head is trained: the paper's differential equation, solved.

Eq. 5 (as quoted) is dF/dt = -eta Phi dL/dF with the neural tangent kernel Phi. Under the squared loss its
solution is Eq. 6 (as quoted), F_t = (I - e^{-eta Phi t}) Y + e^{-eta Phi t} F_0, for targets Y and initial logits
F_0: what is left of the error Y - F_0 decays along every eigenvector of Phi at the rate of its eigenvalue.
"""

import math

from jaxtyping import Float
from torch import Tensor

SERIES_TOLERANCE = 1e-17
POWER_ITERATIONS = 1000
POWER_TOLERANCE = 1e-14


def evolve(
    initial: Float[Tensor, "image target_class"],
    targets: Float[Tensor, "image target_class"],
    *,
    kernel: Float[Tensor, "image image"],
    time: float,
) -> Float[Tensor, "image target_class"]:
    """Eq. 6 with the whole kernel, of which `time` is in units of 1 / (its largest eigenvalue).

    So the fastest direction decays by e^{-time}, every other one by less, whatever the size of the features
    and the width of the head. A kernel of zeros (no image has a gradient) leaves the logits as they are.
    """
    largest = largest_eigenvalue(kernel)
    if largest == 0:
        return initial
    # Each step of at most 1 has a series whose terms fall from the start, so none of them can cancel digits.
    n_steps = max(1, math.ceil(time))
    remaining = initial - targets
    for _ in range(n_steps):
        remaining = _decayed(remaining, kernel=kernel, factor=time / n_steps / largest, norm=time / n_steps)
    return targets + remaining


def evolve_at_rates(
    initial: Float[Tensor, "image target_class"],
    targets: Float[Tensor, "image target_class"],
    *,
    rates: Float[Tensor, " image"],
    time: float,
) -> Float[Tensor, "image target_class"]:
    """Eq. 7 (as quoted): Eq. 6 with one number per image in place of the kernel's eigenvalues."""
    return targets + (-rates * time).exp()[:, None] * (initial - targets)


def _decayed(
    error: Float[Tensor, "image target_class"], *, kernel: Float[Tensor, "image image"], factor: float, norm: float
) -> Float[Tensor, "image target_class"]:
    """e^{-factor kernel} error by its Taylor series, where `norm` bounds factor times the largest eigenvalue."""
    total, term, bound, order = error, error, 1.0, 0
    while bound > SERIES_TOLERANCE:
        order += 1
        term = kernel @ term * (-factor / order)
        total = total + term
        bound *= norm / order
    return total


def largest_eigenvalue(kernel: Float[Tensor, "image image"]) -> float:
    """Power iteration from the vector of ones, for symmetric kernels without negative entries.

    Such a kernel's first eigenvector has no negative entry (Perron and Frobenius), so ones are never orthogonal to
    it. Between any two images the infinite-width head's kernel lies between 0.26 and 3, hence its second eigenvalue
    is below 0.85 of its first (Birkhoff's contraction), and some 100 products give all digits of any class.
    """
    vector = kernel.sum(dim=1)
    previous = 0.0
    for _ in range(POWER_ITERATIONS):
        length = float(vector.norm())
        if length == 0:
            return 0.0
        vector = vector / length
        product = kernel @ vector
        quotient = float(vector @ product)
        if abs(quotient - previous) <= POWER_TOLERANCE * quotient:
            break
        previous, vector = quotient, product
    return quotient

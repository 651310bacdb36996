"""The neural tangent kernel of an infinitely wide random head: no widths, no seed, no noise."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

COSINE_ROUNDING = 1e-14


def row_cosines(features: Float[Tensor, "image feature"]) -> Float[Tensor, "image image"]:
    """Cosine between every two rows; 0 with a row of zeros, which has no direction, its own diagonal included."""
    # Largest number 1, so that squares do not overflow.
    largest = torch.linalg.vector_norm(features, ord=math.inf)
    rows = features / torch.where(largest > 0, largest, 1.0)
    products = rows @ rows.T
    lengths = products.diagonal().sqrt()
    inverses = torch.where(lengths > 0, 1 / lengths, 0.0)
    cosines = products * inverses[:, None] * inverses
    # Rounding leaves 1 - 1e-16 between equal images, and the arc cosine makes 1e-8 of that.
    cosines = torch.where(cosines.abs() > 1 - COSINE_ROUNDING, cosines.sign(), cosines)
    cosines.diagonal().copy_(lengths > 0)
    return cosines


def infinite_head_kernel(features: Float[Tensor, "image feature"]) -> Float[Tensor, "image image"]:
    """Kernel between images, of unit length, of the paper's head as its two hidden layers become infinitely wide.

    The head has two hidden ReLU layers without biases, weights N(0, 2 / fan in), and each layer's gradient is
    divided by its fan in (the parametrisation of Jacot et al. 2018, in which the limit exists). What is
    differentiated is the sum of the logits, per logit. With rho the cosine between two images and kappa_0,
    kappa_1 the arc-cosine kernels (Cho and Saul 2009), the three layers, from the last to the first, add up to

        kappa_1(kappa_1(rho)) + kappa_1(rho) kappa_0(kappa_1(rho)) + rho kappa_0(rho) kappa_0(kappa_1(rho)),

    3 on the diagonal. An image of zeros sends no signal through such a head, so its gradient and its row are 0.
    """
    cosines = row_cosines(features)
    slopes, hidden_cosines = _arc_cosine_kernels(cosines)
    hidden_slopes, last_layer = _arc_cosine_kernels(hidden_cosines)
    kernel = last_layer + hidden_slopes * (hidden_cosines + cosines * slopes)
    has_signal = cosines.diagonal()
    return kernel * has_signal[:, None] * has_signal


def _arc_cosine_kernels(
    cosines: Float[Tensor, "image image"],
) -> tuple[Float[Tensor, "image image"], Float[Tensor, "image image"]]:
    """Twice the chance that one random ReLU is active for both (kappa_0), and their activations' cosine (kappa_1)."""
    slopes = 1 - cosines.acos() / math.pi
    sines = (1 - cosines.square()).clamp(min=0).sqrt()
    return slopes, sines / math.pi + cosines * slopes

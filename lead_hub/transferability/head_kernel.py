"""The neural tangent kernel of the paper's random head: of an infinitely wide one, and of one that is drawn.

The infinitely wide head has no widths, no seed and no noise; the random one is the paper's, and its kernel that of the
sum of its logits.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

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


HIDDEN_WIDTHS = (1024, 2048)


@dataclass(frozen=True, eq=False)
class RandomHead:
    """Three layers without biases, ReLU after the first two: features -> hidden -> hidden -> one logit per class."""

    first: Float[Tensor, "hidden feature"]
    second: Float[Tensor, "hidden_2 hidden"]
    last: Float[Tensor, "target_class hidden_2"]


@dataclass(frozen=True, eq=False)
class LayerSignals:
    """What a layer's gradient is made of: it is the outer product of the two, image by image.

    Attributes:
        activations: what enters the layer going forward.
        backward: the gradient of the sum of the logits with respect to what leaves it.
    """

    activations: Float[Tensor, "image fan_in"]
    backward: Float[Tensor, "image fan_out"]


def random_head(
    n_features: int, n_classes: int, *, seed: int, like: Tensor, widths: tuple[int, int] = HIDDEN_WIDTHS
) -> RandomHead:
    """Weights N(0, 2 / fan in) (He et al. 2015), drawn first layer first on the CPU, so that all devices get the same.

    Args:
        n_features: fan in of the first layer.
        n_classes: number of logits.
        seed: of a generator used for nothing else.
        like: the head gets this tensor's number format and device.
        widths: of the two hidden layers.
    """
    generator = torch.Generator().manual_seed(seed)
    sizes = (n_features, *widths, n_classes)
    first, second, last = (
        torch.randn(fan_out, fan_in, generator=generator, dtype=like.dtype).to(like.device) * (2 / fan_in) ** 0.5
        for fan_in, fan_out in pairwise(sizes)
    )
    return RandomHead(first, second, last)


def layer_signals(
    head: RandomHead, features: Float[Tensor, "image feature"]
) -> tuple[LayerSignals, LayerSignals, LayerSignals]:
    """One pass forward and one backward, for the layers from first to last."""
    hidden = (features @ head.first.T).clamp(min=0)
    hidden_2 = (hidden @ head.second.T).clamp(min=0)
    ones = features.new_ones(len(features), len(head.last))
    backward_2 = (ones @ head.last) * (hidden_2 > 0)
    backward = (backward_2 @ head.second) * (hidden > 0)
    return LayerSignals(features, backward), LayerSignals(hidden, backward_2), LayerSignals(hidden_2, ones)


def gradient_gram(
    head: RandomHead,
    features: Float[Tensor, "image feature"],
    *,
    layer_rates: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> Float[Tensor, "image image"]:
    """Inner products between images of the gradients of the sum of the logits with respect to all weights.

    An inner product of two outer products is the product of two inner products, so no gradient is ever formed.
    Each layer's part is weighted by its rate, as if that layer had a learning rate of its own.
    """
    gram = features.new_zeros(len(features), len(features))
    for rate, layer in zip(layer_rates, layer_signals(head, features), strict=True):
        gram += rate * (layer.activations @ layer.activations.T) * (layer.backward @ layer.backward.T)
    return gram


def mean_eigenvalue(head: RandomHead, features: Float[Tensor, "image feature"]) -> float:
    """Of `gradient_gram` at equal rates: its trace over its size, the mean squared length of the gradients."""
    squared_lengths = features.new_zeros(len(features))
    for layer in layer_signals(head, features):
        squared_lengths += layer.activations.square().sum(dim=1) * layer.backward.square().sum(dim=1)
    return float(squared_lengths.mean())

"""The paper's randomly initialised head, and the neural tangent kernel of the sum of its logits."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

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

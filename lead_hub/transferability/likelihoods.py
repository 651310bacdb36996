"""Left-out predictions -> how likely they make the labels, at the sharpness that makes them likeliest."""

from jaxtyping import Float, Int
from torch import Tensor

SHARPEST = 16.0  # of separable classes there is no best: the sharper, the likelier
HALVINGS = 50


def log_likelihoods(
    predictions: Float[Tensor, "image target_class"], labels: Int[Tensor, " image"], *, sharpness: float
) -> Float[Tensor, " image"]:
    """Log of the softmax probability of every image's own class."""
    return (sharpness * predictions).log_softmax(dim=1).gather(1, labels[:, None])[:, 0]


def fitted_sharpness(predictions: Float[Tensor, "image target_class"], labels: Int[Tensor, " image"]) -> float:
    """The sharpness in [0, 16] under which the labels are most likely (Guo et al. 2017, temperature scaling).

    The log-likelihood is concave in it, so its slope, the mean of an image's own logit minus the mean logit under the
    softmax, falls: halving finds where it crosses 0. At 0 all classes are as likely: predictions that mislead.
    """
    own = predictions.gather(1, labels[:, None])[:, 0]

    def slope(sharpness: float) -> float:
        return float((own - (predictions * (sharpness * predictions).softmax(dim=1)).sum(dim=1)).mean())

    low, high = 0.0, SHARPEST
    if slope(low) <= 0:
        return low
    if slope(high) >= 0:
        return high
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return (low + high) / 2


def accuracy(predictions: Float[Tensor, "image target_class"], labels: Int[Tensor, " image"]) -> float:
    """Share of images whose own class is the most likely one."""
    return float((predictions.argmax(dim=1) == labels).double().mean())

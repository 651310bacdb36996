"""Left-out predictions -> the accuracy of a linear probe, and the accuracy to expect after full fine-tuning.

The logit of the one is close to that of the other plus a constant, once a left-out accuracy below that of guessing
counts as guessing. So it is this that predicts the accuracy, not the score: a score is for the order, and its unit
depends on the number of classes. Within one ranking the order is kept: where two checkpoints would stand the other way
round, which their left-out accuracies cannot tell apart anyway, both get the mean.

The interval adds up two errors: other images would have given another left-out accuracy, and fine-tuning gives
something else than what is expected (the calibration).
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from lead_hub.confidence.calibration import Calibration
from lead_hub.errors import ScoreError


@dataclass(frozen=True, eq=False)
class PredictedAccuracy:
    """Accuracy in [0, 1] after full fine-tuning, and its 90% interval."""

    accuracy: Float[np.ndarray, " checkpoint"]
    low: Float[np.ndarray, " checkpoint"]
    high: Float[np.ndarray, " checkpoint"]


def predicted_accuracy(
    left_out: Float[np.ndarray, " checkpoint"],
    scores: Float[np.ndarray, " checkpoint"],
    calibration: Calibration,
    *,
    n_images: int,
    n_classes: int,
) -> PredictedAccuracy:
    """What the calibration expects of every checkpoint.

    Args:
        left_out: share of images that are right when left out, in [0, 1].
        scores: by which the checkpoints are ranked; a better one is not expected to be less accurate.
        calibration: of the method that predicted the classes.
        n_images: how many images the shares are of, copies not counted.
        n_classes: how many classes there are.
    """
    shares = above_guessing(left_out, n_images=n_images, n_classes=n_classes)
    centre = calibration.intercept + calibration.slope * logit(shares) + calibration.classes_slope * math.log(n_classes)
    centre = in_order_of(scores, centre)
    deviation = np.sqrt(calibration.error_sd**2 + calibration.slope**2 * logit_variance(shares, n_images=n_images))
    half = calibration.error_quantile * deviation
    return PredictedAccuracy(expit(centre), low=expit(centre - half), high=expit(centre + half))


def in_order_of(
    scores: Float[np.ndarray, " checkpoint"], values: Float[np.ndarray, " checkpoint"]
) -> Float[np.ndarray, " checkpoint"]:
    """The values that are nearest to the given ones, in squares, and nowhere lower for a higher score.

    Neighbours that stand the wrong way round get their mean, until none do (pool adjacent violators); checkpoints of
    equal score have one value.
    """
    levels, place = np.unique(scores, return_inverse=True)
    blocks: list[tuple[float, int, int]] = []  # mean, weight, number of levels
    for level in range(len(levels)):
        own = values[place == level]
        blocks.append((float(own.mean()), len(own), 1))
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            (low, low_weight, low_levels), (high, high_weight, high_levels) = blocks[-2:]
            weight = low_weight + high_weight
            blocks[-2:] = [((low * low_weight + high * high_weight) / weight, weight, low_levels + high_levels)]
    means = [mean for mean, _, n_levels in blocks for _ in range(n_levels)]
    return np.array(means, dtype=np.float64)[place]


def above_guessing(
    left_out: Float[np.ndarray, " checkpoint"],
    *,
    n_images: int | Int[np.ndarray, " checkpoint"],
    n_classes: int | Int[np.ndarray, " checkpoint"],
) -> Float[np.ndarray, " checkpoint"]:
    """The share of right images, half an image added to right and to wrong ones, and at least 1 / classes.

    Half an image: none wrong is no accuracy of 1. Leaving an image out makes its own class rarer, so that features
    which say nothing are right less often than a guess; a fine-tuned checkpoint is not.
    """
    return np.maximum((left_out * n_images + 0.5) / (n_images + 1), 1 / n_classes)


def logit(shares: Float[np.ndarray, " checkpoint"]) -> Float[np.ndarray, " checkpoint"]:
    logits: Float[np.ndarray, " checkpoint"] = np.log(shares / (1 - shares))
    return logits


def expit(logits: Float[np.ndarray, " checkpoint"]) -> Float[np.ndarray, " checkpoint"]:
    shares: Float[np.ndarray, " checkpoint"] = 1 / (1 + np.exp(-logits))
    return shares


def logit_variance(
    shares: Float[np.ndarray, " checkpoint"], *, n_images: int | Int[np.ndarray, " checkpoint"]
) -> Float[np.ndarray, " checkpoint"]:
    """Variance of a share's logit over other images, to first order: the binomial one by the logit's slope."""
    variance: Float[np.ndarray, " checkpoint"] = 1 / (n_images * shares * (1 - shares))
    return variance


# 95% point of the normal distribution: intervals of 90% leave 5% on either side.
NORMAL_QUANTILE_95 = 1.6448536269514722


@dataclass(frozen=True)
class ProbeAccuracy:
    """Accuracy in [0, 1] of a linear classifier on frozen features, with its 90% interval."""

    accuracy: float
    low: float
    high: float


def probe_accuracy(correct: Bool[np.ndarray, " image"], *, n_independent: int | None = None) -> ProbeAccuracy:
    """Share of correct left-out predictions, and Wilson's interval (JASA 1927) for the share in other images.

    Right or wrong is a coin with one unknown, so its bootstrap distribution is known, a binomial over n, and drawing it
    would add noise alone. Its percentiles have no width where all images are right or all are wrong; Wilson's have.
    The strength of the ridge regression was chosen on the same images, which flatters the share a little.

    Args:
        correct: whether each image is right when left out.
        n_independent: how many of them show something of their own, where some are copies; None means all.

    Raises:
        ScoreError: no images.
    """
    n_images = len(correct) if n_independent is None else n_independent
    if len(correct) == 0:
        raise ScoreError("the accuracy of left-out predictions needs at least one image, found none")
    share = float(correct.mean())
    squared = NORMAL_QUANTILE_95**2 / n_images
    centre = (share + squared / 2) / (1 + squared)
    half = math.sqrt(squared * (share * (1 - share) + squared / 4)) / (1 + squared)
    # The share lies within in exact arithmetic, at 0 and 1 on the edge.
    return ProbeAccuracy(share, low=min(share, centre - half), high=max(share, centre + half))

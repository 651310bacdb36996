"""The accuracy that a linear probe should have: the share of images that it gets right when they are left out."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from lead_hub.errors import ScoreError

# 95% point of the normal distribution: intervals of 90% leave 5% on either side.
NORMAL_QUANTILE_95 = 1.6448536269514722


@dataclass(frozen=True)
class ProbeAccuracy:
    """Accuracy in [0, 1] of a linear classifier on frozen features, with its 90% interval."""

    accuracy: float
    low: float
    high: float


def probe_accuracy(correct: Bool[np.ndarray, " image"]) -> ProbeAccuracy:
    """Share of correct left-out predictions, and Wilson's interval (JASA 1927) for the share in other images.

    Right or wrong is a coin with one unknown, so its bootstrap distribution is known, a binomial over n, and drawing it
    would add noise alone. Its percentiles have no width where all images are right or all are wrong; Wilson's have.
    The strength of the ridge regression was chosen on the same images, which flatters the share a little.

    Raises:
        ScoreError: no images.
    """
    n_images = len(correct)
    if n_images == 0:
        raise ScoreError("the accuracy of left-out predictions needs at least one image, found none")
    share = float(correct.mean())
    squared = NORMAL_QUANTILE_95**2 / n_images
    centre = (share + squared / 2) / (1 + squared)
    half = math.sqrt(squared * (share * (1 - share) + squared / 4)) / (1 + squared)
    # The share lies within in exact arithmetic, at 0 and 1 on the edge.
    return ProbeAccuracy(share, low=min(share, centre - half), high=max(share, centre + half))

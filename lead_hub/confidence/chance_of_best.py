"""Resampled scores -> how probable it is for each checkpoint to be the best after fine-tuning, and who could be.

Two things stand between a score and being the best: other images would have given other scores (the resamples), and
fine-tuning gives something else than the score says (the spread, measured on fine-tuned checkpoints).
"""

import numpy as np
from jaxtyping import Bool, Float

from lead_hub.errors import ScoreError

LEVEL = 0.9
# Chances that differ by less are equal.
ROUNDING = 1e-9


def chances_of_best(
    resampled: Float[np.ndarray, "resample checkpoint"], *, spread: float
) -> Float[np.ndarray, " checkpoint"]:
    """Probability of each checkpoint to be the best of these; they add up to 1, equal checkpoints get equal ones.

    What fine-tuning gives is taken as the score plus an error of its own for every checkpoint, with the Gumbel
    distribution of this scale: a little heavier above than the normal one, and the chance of being the best is then
    exactly softmax(scores / spread) (McFadden, "Conditional logit analysis of qualitative choice behavior", 1974). So
    no error need be drawn; the chances are averaged over the resamples.

    Args:
        resampled: of `image_bootstrap.resampled_scores`.
        spread: scale of the errors, in the unit of the score; their standard deviation is pi / sqrt(6) times it.

    Raises:
        ScoreError: a spread that is not above 0, or no resamples.
    """
    if not spread > 0 or not len(resampled):
        raise ScoreError(
            "the chance of being the best needs a spread above 0 and one or more resamples, found"
            f" {spread} and {len(resampled)}"
        )
    if not resampled.shape[1]:
        return np.zeros(0)
    weights = np.exp((resampled - resampled.max(axis=1, keepdims=True)) / spread)
    chances: Float[np.ndarray, " checkpoint"] = (weights / weights.sum(axis=1, keepdims=True)).mean(axis=0)
    return chances


def could_be_best(
    chances: Float[np.ndarray, " checkpoint"], *, level: float = LEVEL
) -> Bool[np.ndarray, " checkpoint"]:
    """The smallest set of checkpoints, most probable first, that holds the best with at least this probability.

    Checkpoints as probable as the last one that is needed belong to it too, so that no order decides. Never empty,
    unless there are no checkpoints.
    """
    if not len(chances):
        return np.zeros(0, dtype=bool)
    descending = np.sort(chances)[::-1]
    n_needed = int(np.searchsorted(np.cumsum(descending), level - ROUNDING)) + 1
    least = descending[min(n_needed, len(chances)) - 1]
    possible: Bool[np.ndarray, " checkpoint"] = chances >= least - ROUNDING
    return possible

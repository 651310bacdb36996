"""How far scores would move had other images been drawn: a paired bootstrap from terms that are kept per image.

Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 1979. Paired, because a resample is the
same for every checkpoint: an image that is hard for all of them moves all scores and no rank.

What it cannot know: that other images would also have trained other classifiers, which moves many terms at once. For a
calibrated score that was measured, and `widened` makes up for it; the intervals of other scores are narrower than the
truth, by up to a factor of 2.

Images that show the same thing, copies or crops of it, are drawn together: another sample would have had all or none.
"""

import numpy as np
from jaxtyping import Float, Int

from lead_hub.errors import ScoreError

N_RESAMPLES = 1000
# Resamples are drawn in blocks of at most this many numbers (32 MiB of them), whatever their count.
BLOCK_NUMBERS = 4 * 1024 * 1024


def resampled_scores(
    terms: Float[np.ndarray, "checkpoint image"],
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
    groups: Int[np.ndarray, " image"] | None = None,
) -> Float[np.ndarray, "resample checkpoint"]:
    """The mean of every checkpoint's terms over images, or groups of them, as many as there are drawn with replacement.

    Args:
        terms: one number per checkpoint and image, whose mean over images is the score, in its unit.
        n_resamples: how often the images are drawn.
        seed: the same seed draws the same images, for any checkpoints in any order.
        groups: 0..G-1, two or more of them, each drawn with all of its images; None where every image is alone.

    Raises:
        ScoreError: fewer than two images or groups, of which no spread can be told, or terms that are not finite.
    """
    check_terms(terms)
    n_images = terms.shape[1]
    n_drawn = n_images if groups is None else check_groups(groups)
    block = max(1, BLOCK_NUMBERS // n_images)
    bits = np.random.PCG64(seed)
    resampled = np.empty((n_resamples, len(terms)))
    for start in range(0, n_resamples, block):
        weights = image_counts(bits, n_resamples=min(block, n_resamples - start), n_images=n_drawn)
        if groups is not None:
            weights = weights[:, groups]
        resampled[start : start + len(weights)] = weighted_means(terms, weights)
    return resampled


def widened(
    resampled: Float[np.ndarray, "resample checkpoint"],
    scores: Float[np.ndarray, " checkpoint"],
    *,
    variance_ratio: float,
) -> Float[np.ndarray, "resample checkpoint"]:
    """The resamples moved away from the scores until their variances are so many times as large."""
    moved: Float[np.ndarray, "resample checkpoint"] = scores + np.sqrt(variance_ratio) * (resampled - scores)
    return moved


def weighted_means(
    terms: Float[np.ndarray, "checkpoint image"], weights: Float[np.ndarray, "resample image"]
) -> Float[np.ndarray, "resample checkpoint"]:
    """Mean of every checkpoint's terms, each image counted as often as its weight says; weights are not negative."""
    means: Float[np.ndarray, "resample checkpoint"] = weights @ terms.T / weights.sum(axis=1, keepdims=True)
    return means


def image_counts(bits: np.random.PCG64, *, n_resamples: int, n_images: int) -> Float[np.ndarray, "resample image"]:
    """How often each image is in each resample: a multinomial draw of `n_images` out of as many."""
    # Raw output of a bit generator: numpy promises that it never changes. The remainder favours no image by more
    # than n_images / 2^64.
    raw = np.asarray(bits.random_raw(n_resamples * n_images), dtype=np.uint64)
    drawn = (raw % np.uint64(n_images)).astype(np.int64).reshape(n_resamples, n_images)
    places: Int[np.ndarray, "resample image"] = drawn + n_images * np.arange(n_resamples)[:, None]
    counts = np.bincount(places.ravel(), minlength=n_resamples * n_images)
    return counts.reshape(n_resamples, n_images).astype(np.float64)


def check_terms(terms: Float[np.ndarray, "checkpoint image"]) -> None:
    if terms.ndim != 2 or terms.shape[1] < 2:
        raise ScoreError(
            "intervals need one term per checkpoint and image, of two images or more, found shape"
            f" {tuple(terms.shape)}: use more images"
        )
    if not np.isfinite(terms).all():
        raise ScoreError("every image's term must be finite, found NaN or infinity")


def check_groups(groups: Int[np.ndarray, " image"]) -> int:
    """How many groups there are."""
    n_groups = int(groups.max(initial=-1)) + 1
    if n_groups < 2 or groups.min() < 0:
        raise ScoreError(
            "groups must be numbers from 0, two or more of them, found numbers from"
            f" {groups.min(initial=0)} to {n_groups - 1}"
        )
    return n_groups

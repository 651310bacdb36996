"""Which rows to look at: a seeded sample in which every class keeps its share, and never fewer than two images."""

import numpy as np
from jaxtyping import Int64

MINIMUM_PER_CLASS = 2


def stratified_sample(labels: Int64[np.ndarray, " row"], max_images: int, *, seed: int) -> Int64[np.ndarray, " image"]:
    """Positions of at most `max_images` rows, ascending; every class of `labels` must have at least two.

    Each row gets one random key, and a class gives its rows of smallest key. So a smaller sample is
    part of a larger one with the same seed, and the names or order of the classes change nothing.

    Raises:
        ValueError: max_images is below two per class.
    """
    classes, class_of_row = np.unique(labels, return_inverse=True)
    counts = np.bincount(class_of_row, minlength=len(classes))
    if len(labels) <= max_images:
        return np.arange(len(labels), dtype=np.int64)
    quota = images_per_class(counts.astype(np.int64), max_images)
    # Raw output of a bit generator: numpy promises that it never changes, which it does not for shuffles.
    keys = np.random.PCG64(seed).random_raw(len(labels))
    order = np.lexsort((keys, class_of_row))
    first_of_class = np.concatenate([[0], np.cumsum(counts)[:-1]])
    rank_within_class = np.arange(len(labels)) - np.repeat(first_of_class, counts)
    return np.sort(order[rank_within_class < np.repeat(quota, counts)]).astype(np.int64)


def images_per_class(counts: Int64[np.ndarray, " class"], total: int) -> Int64[np.ndarray, " class"]:
    """Split `total` images over classes in proportion to `counts`, at least two each, by largest remainder.

    A class whose share would be below two gets two, and the others share what is left.
    """
    if total < MINIMUM_PER_CLASS * len(counts):
        raise ValueError(f"{len(counts)} classes need at least {MINIMUM_PER_CLASS * len(counts)} images, found {total}")
    raised = np.zeros(len(counts), dtype=bool)
    while True:
        quota = np.full(len(counts), MINIMUM_PER_CLASS, dtype=np.int64)
        quota[~raised] = _largest_remainder(counts[~raised], total - MINIMUM_PER_CLASS * int(raised.sum()))
        too_small = quota < MINIMUM_PER_CLASS
        if not too_small.any():
            return quota
        raised |= too_small


def _largest_remainder(counts: Int64[np.ndarray, " class"], total: int) -> Int64[np.ndarray, " class"]:
    # Integer arithmetic: with floats two equal remainders could differ in the last bit.
    whole, remainder = np.divmod(counts * total, counts.sum())
    by_remainder = np.argsort(-remainder, kind="stable")
    whole[by_remainder[: total - int(whole.sum())]] += 1
    return whole

"""Which rows to look at: a seeded sample in which every class keeps its share, and never fewer than two images."""

import numpy as np
from jaxtyping import Bool, Int64

MINIMUM_PER_CLASS = 2


def stratified_sample(labels: Int64[np.ndarray, " row"], max_images: int, *, seed: int) -> Int64[np.ndarray, " image"]:
    """Positions of at most `max_images` rows, ascending; every class of `labels` must have at least two.

    Each row gets one random key, and a class gives its rows of smallest key. So a smaller sample is
    part of a larger one with the same seed, and the names or order of the classes change nothing.

    Raises:
        ValueError: max_images is below two per class.
    """
    if len(labels) <= max_images:
        return np.arange(len(labels), dtype=np.int64)
    classes = _numbered(labels)
    return _first_of_each_class(classes, images_per_class(np.bincount(classes).astype(np.int64), max_images), seed=seed)


def clustered_sample(
    labels: Int64[np.ndarray, " row"],
    max_images: int,
    *,
    seed: int,
    clusters: Int64[np.ndarray, " row"],
    sizes: Int64[np.ndarray, " cluster"],
    at_most: int,
) -> Int64[np.ndarray, " image"]:
    """The same shares of the classes, from rows that are read in clusters: only some of which are paid for.

    Clusters are taken at random until the next one would cost too much in all. Then, however much that costs, one at
    random of those that have at least half as much of what classes still lack as the one that has most, until none
    lacks any; what a cluster costs does not count, because that may be the size of its images. From all that were
    taken, a class gives its rows of smallest key; with all clusters it is `stratified_sample`.

    Args:
        labels: class of each row; every class must have two or more.
        max_images: how many rows, two per class or more.
        seed: decides which.
        clusters: number of each row's cluster.
        sizes: what reading each cluster costs.
        at_most: what the clusters that are taken at random may cost together; one is always taken.

    Raises:
        ValueError: max_images is below two per class.
    """
    if len(labels) <= max_images:
        return np.arange(len(labels), dtype=np.int64)
    classes = _numbered(labels)
    quota = images_per_class(np.bincount(classes).astype(np.int64), max_images)
    n_classes = len(quota)
    pairs, n_rows = np.unique(clusters * n_classes + classes, return_counts=True)
    cluster_of_pair, class_of_pair = np.divmod(pairs, n_classes)
    keys = np.random.PCG64(np.random.SeedSequence([seed, 1])).random_raw(len(sizes))
    present = np.unique(cluster_of_pair)
    by_key = present[np.argsort(keys[present], kind="stable")]
    taken = np.zeros(len(sizes), dtype=bool)
    taken[by_key[: max(1, int((np.cumsum(sizes[by_key]) <= at_most).sum()))]] = True
    while True:
        is_taken = taken[cluster_of_pair]
        found = np.bincount(class_of_pair[is_taken], n_rows[is_taken], minlength=n_classes)
        lacking = np.maximum(quota - found, 0)
        if not lacking.any():
            break
        useful = ~is_taken & (lacking[class_of_pair] > 0)
        gain = np.minimum(n_rows[useful], lacking[class_of_pair[useful]])
        of_cluster = np.bincount(cluster_of_pair[useful], gain, minlength=len(sizes))
        good = np.flatnonzero(2 * of_cluster >= of_cluster.max())
        taken[good[np.argmin(keys[good])]] = True
    return _first_of_each_class(classes, quota, seed=seed, among=taken[clusters])


def _numbered(labels: Int64[np.ndarray, " row"]) -> Int64[np.ndarray, " row"]:
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _first_of_each_class(
    classes: Int64[np.ndarray, " row"],
    quota: Int64[np.ndarray, " class"],
    *,
    seed: int,
    among: Bool[np.ndarray, " row"] | None = None,
) -> Int64[np.ndarray, " image"]:
    """As many rows of each class as its quota, those of smallest key; each row has one, whichever rows are asked."""
    # Raw output of a bit generator: numpy promises that it never changes, which it does not for shuffles.
    keys = np.random.PCG64(seed).random_raw(len(classes))
    rows = np.arange(len(classes)) if among is None else np.flatnonzero(among)
    order = rows[np.lexsort((keys[rows], classes[rows]))]
    counts = np.bincount(classes[rows], minlength=len(quota))
    first_of_class = np.concatenate([[0], np.cumsum(counts)[:-1]])
    rank_within_class = np.arange(len(rows)) - np.repeat(first_of_class, counts)
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

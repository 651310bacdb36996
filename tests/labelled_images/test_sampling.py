import numpy as np
import pytest

from lead_hub.labelled_images.sampling import clustered_sample, images_per_class, stratified_sample


def labels_of(*counts):
    return np.repeat(np.arange(len(counts)), counts).astype(np.int64)


@pytest.mark.parametrize(
    ("counts", "total", "expected"),
    [
        # shares 5, 3, 2: exact
        ([50, 30, 20], 10, [5, 3, 2]),
        # shares 3.33, 3.33, 3.33: floors give 9, the first class gets the tenth
        ([10, 10, 10], 10, [4, 3, 3]),
        # shares 6.3, 2.45, 1.75 of 10.5: with total 11 of 100: 6.6, 2.97, 1.43 -> the last is raised to 2,
        # and 9 are left for 60 and 27: 6.21, 2.79 -> 6, 3
        ([60, 27, 13], 11, [6, 3, 2]),
        # 97 and three singletons-to-be: 2 each for the small ones, the rest for the large one
        ([1000, 2, 2, 2], 20, [14, 2, 2, 2]),
        # raising the last class to 2 leaves 6 for 39 and 10: 4.78, 1.22 -> the second is raised too
        ([39, 10, 1], 8, [4, 2, 2]),
        ([5, 5], 4, [2, 2]),
    ],
)
def test_shares_by_hand(counts, total, expected):
    assert images_per_class(np.array(counts), total).tolist() == expected


def test_too_few_images_for_the_classes():
    with pytest.raises(ValueError, match="at least 6"):
        images_per_class(np.array([5, 5, 5]), 5)


def test_sample_has_the_shares_and_is_ascending_and_unique():
    labels = np.random.default_rng(0).permutation(labels_of(60, 27, 13))
    sample = stratified_sample(labels, 11, seed=0)
    assert np.bincount(labels[sample]).tolist() == [6, 3, 2]
    assert (np.diff(sample) > 0).all()
    assert sample.dtype == np.int64


def test_all_rows_when_they_fit():
    assert stratified_sample(labels_of(3, 2), 5, seed=0).tolist() == [0, 1, 2, 3, 4]
    assert stratified_sample(labels_of(3, 2), 50, seed=0).tolist() == [0, 1, 2, 3, 4]


def test_same_seed_same_rows_and_other_seed_other_rows():
    labels = labels_of(500, 500)
    first = stratified_sample(labels, 100, seed=1)
    assert np.array_equal(first, stratified_sample(labels, 100, seed=1))
    assert not np.array_equal(first, stratified_sample(labels, 100, seed=2))


def test_smaller_sample_is_part_of_the_larger_and_class_numbers_do_not_matter():
    labels = labels_of(500, 300, 200)
    large = stratified_sample(labels, 400, seed=3)
    assert set(stratified_sample(labels, 100, seed=3)) < set(large)
    assert np.array_equal(large, stratified_sample(7 * (2 - labels), 400, seed=3))


def test_every_row_of_a_class_is_as_likely():
    # 400 samples of 10 from 40 rows of one class: each row is expected 100 times, standard deviation below 9.
    labels = labels_of(40, 40)
    drawn = np.concatenate([stratified_sample(labels, 20, seed=seed) for seed in range(400)])
    frequency = np.bincount(drawn, minlength=80)
    assert frequency.sum() == 400 * 20
    assert np.abs(frequency - 100).max() < 45


def in_clusters(labels, max_images, *, of, sizes, at_most=1, seed=0):
    clusters, sizes = np.array(of, dtype=np.int64), np.array(sizes, dtype=np.int64)
    return clustered_sample(labels, max_images, seed=seed, clusters=clusters, sizes=sizes, at_most=at_most)


@pytest.mark.parametrize("seed", range(5))
def test_with_all_clusters_it_is_the_sample_of_all_rows(seed):
    labels = np.random.default_rng(seed).permutation(labels_of(60, 27, 13))
    sample = in_clusters(labels, 11, of=np.arange(100) // 10, sizes=[1] * 10, at_most=10, seed=seed)
    assert np.array_equal(sample, stratified_sample(labels, 11, seed=seed))


def test_one_of_the_clusters_that_have_much_of_what_is_lacking_is_taken_whatever_it_costs():
    # One of the first ten, of class 0, is taken at random. Class 1 then lacks eight rows: cluster 10 has eight of them
    # and 11 has four, half as many; 12 and 13, of three each, are not looked at while one of these can be had.
    labels = np.array([0] * 80 + [1] * 18, dtype=np.int64)
    of = [row // 8 for row in range(80)] + [10] * 8 + [11] * 4 + [12] * 3 + [13] * 3
    seen = set()
    for seed in range(200):
        # Ten times as dear, yet as often taken.
        sample = in_clusters(labels, 44, of=of, sizes=[1] * 10 + [10, 1, 1, 1], seed=seed)
        taken = {of[row] for row in sample}
        # Shares of 44: 35.9 and 8.1, so 36 and 8: five of the first ten, and of class 1 one of 10 or 11 first.
        assert np.bincount(labels[sample]).tolist() == [36, 8]
        seen.add(frozenset(taken & {10, 11, 12, 13}))
    assert frozenset({10}) in seen
    assert all(10 in found or 11 in found for found in seen)
    assert any(10 not in found for found in seen)


def test_of_clusters_at_random_as_many_are_taken_as_may_be_paid_for():
    labels = np.zeros(100, dtype=np.int64)
    labels[::2] = 1
    for at_most, expected in ((1, 1), (30, 3), (39, 3), (1000, 10)):
        sample = in_clusters(labels, 8, of=np.arange(100) // 10, sizes=[10] * 10, at_most=at_most)
        assert len({row // 10 for row in sample}) <= expected
        assert np.bincount(labels[sample]).tolist() == [4, 4]
    assert len({row // 10 for row in in_clusters(labels, 80, of=np.arange(100) // 10, sizes=[10] * 10)}) == 8


def test_clusters_keep_the_shares_of_all_rows():
    labels = np.repeat(np.arange(4), [60, 20, 10, 10]).astype(np.int64)  # sorted: a cluster is of one class
    sample = in_clusters(labels, 10, of=np.arange(100) // 5, sizes=[1] * 20, at_most=1)
    # Shares 6, 2, 1, 1: the last two are raised to 2, which leaves 6 for 60 and 20: 4.5 and 1.5, the remainders are
    # equal and the first gets the one that is left: 5 and 1, so that the second is raised too, which leaves 4.
    assert np.bincount(labels[sample]).tolist() == [4, 2, 2, 2]
    assert in_clusters(labels, 100, of=np.arange(100) // 5, sizes=[1] * 20).tolist() == list(range(100))

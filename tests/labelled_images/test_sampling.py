import numpy as np
import pytest

from lead_hub.labelled_images.sampling import images_per_class, stratified_sample


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

"""The bootstrap over images: weights worked by hand, its spread where theory gives it, the same images for all."""

import math

import numpy as np
import pytest
from scipy.stats import binom, chisquare

from lead_hub.confidence import image_bootstrap
from lead_hub.confidence.image_bootstrap import image_counts, resampled_scores, weighted_means, widened
from lead_hub.errors import ScoreError


def test_weighted_means_by_hand() -> None:
    terms = np.array([[1.0, 2.0, 6.0], [0.0, -3.0, 3.0]])
    weights = np.array([[1.0, 1.0, 1.0], [2.0, 0.0, 1.0], [0.0, 3.0, 0.0]])
    expected = [
        [(1 + 2 + 6) / 3, (0 - 3 + 3) / 3],
        [(2 * 1 + 6) / 3, (2 * 0 + 3) / 3],
        [3 * 2 / 3, 3 * -3 / 3],
    ]
    np.testing.assert_allclose(weighted_means(terms, weights), expected, rtol=1e-15)


def test_a_resample_is_a_mean_over_images_drawn_with_replacement() -> None:
    """Terms 1, 1/10, 1/100 and so on spell the counts out: every resample draws as many images as there are."""
    terms = np.array([[10.0**-image for image in range(6)]])
    for mean in resampled_scores(terms, n_resamples=50, seed=3)[:, 0]:
        counts = [int(digit) for digit in f"{round(mean * 6 * 10**5):06d}"]
        assert sum(counts) == 6


def test_counts_are_binomial() -> None:
    """Of n draws each falls on an image with probability 1/n; 20,000 counts against that law, at one in a thousand."""
    n_images, n_resamples = 8, 20_000
    first = image_counts(np.random.PCG64(0), n_resamples=n_resamples, n_images=n_images)[:, 0]
    observed = np.bincount(first.astype(int), minlength=5)
    observed = np.append(observed[:4], observed[4:].sum())
    law = binom.pmf(np.arange(4), n_images, 1 / n_images)
    assert chisquare(observed, n_resamples * np.append(law, 1 - law.sum())).pvalue > 0.001


def test_the_spread_is_the_standard_error_of_a_mean() -> None:
    # Resampled means of n numbers have the variance (mean of squared deviations) / n, here (1/2)^2 / 100. The variance
    # of R draws of about a normal is known to a relative standard deviation of sqrt(2 / R): 1% of 20,000.
    terms = (np.arange(100) % 2).astype(float)[None]
    spread = resampled_scores(terms, n_resamples=20_000).var()
    assert spread == pytest.approx(0.25 / 100, rel=4 * math.sqrt(2 / 20_000))


def test_every_checkpoint_sees_the_same_images_in_any_company() -> None:
    terms = np.random.default_rng(0).normal(size=(4, 30))
    together = resampled_scores(terms, n_resamples=40)
    np.testing.assert_allclose(resampled_scores(terms[[2, 0, 3, 1]], n_resamples=40), together[:, [2, 0, 3, 1]], 1e-12)
    np.testing.assert_allclose(resampled_scores(terms[1:2], n_resamples=40)[:, 0], together[:, 1], 1e-12)
    shifted = resampled_scores(np.stack([terms[0], terms[0] + 1]), n_resamples=40)
    np.testing.assert_allclose(shifted[:, 1] - shifted[:, 0], 1.0, rtol=1e-12)


def test_groups_are_drawn_whole() -> None:
    """Six images in three groups: every resample has each image as often as the others of its group, three draws."""
    groups = np.array([2, 0, 2, 1, 2, 0])
    # A resample is a ratio: the sum over what was drawn, by how many images that were.
    own = (groups == np.arange(3)[:, None]).astype(float)
    shares = resampled_scores(own, n_resamples=200, seed=3, groups=groups)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-12)
    sizes = own.sum(axis=1)
    possible = [
        counts * sizes / (counts @ sizes)
        for counts in (np.array([a, b, 3 - a - b]) for a in range(4) for b in range(4 - a))
    ]
    for share in shares:
        assert min(np.abs(share - one).max() for one in possible) < 1e-12
    within = resampled_scores((np.arange(6) == 0).astype(float)[None], n_resamples=200, seed=3, groups=groups)
    np.testing.assert_allclose(3 * within[:, 0], shares[:, 2], rtol=1e-12)


def test_copies_make_no_interval_narrower() -> None:
    """Every image four times is as many draws as once: the same spread with groups, half of it without."""
    terms = np.random.default_rng(0).normal(size=(1, 50))
    copied, groups = np.repeat(terms, 4, axis=1), np.repeat(np.arange(50), 4)
    once = resampled_scores(terms)
    np.testing.assert_allclose(resampled_scores(copied, groups=groups), once, rtol=1e-9)
    assert resampled_scores(copied).std() < 0.6 * once.std()


def test_groups_of_one_image_draw_the_same() -> None:
    terms = np.random.default_rng(0).normal(size=(2, 30))
    assert (resampled_scores(terms, groups=np.arange(30)) == resampled_scores(terms)).all()


@pytest.mark.parametrize("groups", [[0, 0, 0], [-1, 0, 1]])
def test_groups_that_are_none_are_refused(groups: list[int]) -> None:
    with pytest.raises(ScoreError, match="groups must be numbers from 0, two or more of them"):
        resampled_scores(np.zeros((1, 3)), groups=np.array(groups))


def test_seeds_and_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    terms = np.random.default_rng(0).normal(size=(2, 30))
    whole = resampled_scores(terms, n_resamples=11, seed=5)
    assert (resampled_scores(terms, n_resamples=11, seed=6) != whole).all()
    monkeypatch.setattr(image_bootstrap, "BLOCK_NUMBERS", 30 * 4)
    np.testing.assert_allclose(resampled_scores(terms, n_resamples=11, seed=5), whole, rtol=1e-12)
    monkeypatch.setattr(image_bootstrap, "BLOCK_NUMBERS", 7)  # less than one resample
    np.testing.assert_allclose(resampled_scores(terms, n_resamples=11, seed=5), whole, rtol=1e-12)


def test_widened_by_hand() -> None:
    # Four times the variance is twice the distance from the score.
    resampled, scores = np.array([[1.0, 5.0], [3.0, 4.0]]), np.array([2.0, 4.0])
    assert widened(resampled, scores, variance_ratio=4.0).tolist() == [[0.0, 6.0], [4.0, 4.0]]
    assert widened(resampled, scores, variance_ratio=1.0).tolist() == resampled.tolist()


def test_what_has_no_spread_is_refused() -> None:
    with pytest.raises(ScoreError, match=r"two images or more, found shape \(3, 1\)"):
        resampled_scores(np.zeros((3, 1)))
    with pytest.raises(ScoreError, match="found NaN or infinity"):
        resampled_scores(np.array([[0.0, np.nan]]))
    assert resampled_scores(np.zeros((0, 5)), n_resamples=7).shape == (7, 0)

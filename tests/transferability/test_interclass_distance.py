import itertools
import math

import pytest
import torch

from lead_hub.transferability import score
from tests.transferability.made_features import balanced_labels, clusters, noise


def naive_interclass_distance(features: list[list[float]], labels: list[int]) -> float:
    """2 / (K (K - 1)) sum over pairs of classes of 1 / (n_a n_b) sum over their images of the distance, in loops."""
    classes, total = sorted(set(labels)), 0.0
    for first, second in itertools.combinations(classes, 2):
        distances = [
            math.dist(one, other)
            for one, own in zip(features, labels, strict=True)
            for other, others in zip(features, labels, strict=True)
            if (own, others) == (first, second)
        ]
        total += math.fsum(distances) / (labels.count(first) * labels.count(second))
    return 2 / (len(classes) * (len(classes) - 1)) * total


@pytest.mark.parametrize(("n_images", "n_features", "n_classes"), [(20, 3, 2), (60, 10, 6), (20, 90, 3), (2, 2, 2)])
@pytest.mark.parametrize("distance", [0.0, 4.0])
def test_equals_the_naive_definition(n_images, n_features, n_classes, distance) -> None:
    labels = balanced_labels(n_images, n_classes)
    features = clusters(labels, n_features, distance=distance) + 3.0
    expected = naive_interclass_distance(features.tolist(), labels.tolist())
    assert score(features, labels, "interclass-distance") == pytest.approx(expected, rel=1e-10)


def test_classes_of_unequal_size_count_the_same() -> None:
    labels = torch.tensor([0] * 30 + [1] * 3 + [2])
    features = clusters(labels, 4, distance=3.0)
    expected = naive_interclass_distance(features.tolist(), labels.tolist())
    assert score(features, labels, "interclass-distance") == pytest.approx(expected, rel=1e-10)


def test_by_hand() -> None:
    # Classes at 0 and 2, at 3, and at 7: distances 3 and 1, 7 and 5, and 4, so pairs of classes are 2, 6 and 4 apart.
    features, labels = [[0.0], [2.0], [3.0], [7.0]], [0, 0, 1, 2]
    assert score(features, labels, "interclass-distance") == pytest.approx((2 + 6 + 4) / 3, abs=1e-14)


def test_more_images_than_are_compared_at_a_time() -> None:
    """Along one feature the distances of a sorted class to a point are a difference of sums."""
    labels = balanced_labels(2500, 2)
    features = noise(2500, 1)
    first, second = features[labels == 0].flatten(), features[labels == 1].flatten()
    expected = float((first[:, None] - second).abs().mean())
    assert score(features, labels, "interclass-distance") == pytest.approx(expected, rel=1e-10)


def test_permuted_labels_are_as_far_apart_as_all_images() -> None:
    """Classes that mean nothing differ by what any two images do; real ones by more."""
    labels = balanced_labels(400, 4)
    features = clusters(labels, 6, distance=6.0)
    order = torch.randperm(400, generator=torch.Generator().manual_seed(0))
    permuted = score(features, labels[order], "interclass-distance")
    assert permuted == pytest.approx(float(torch.pdist(features).mean()), rel=0.01)
    assert score(features, labels, "interclass-distance") > 1.1 * permuted


def test_twice_the_length_is_twice_the_score() -> None:
    """As the definition has it: checkpoints whose features have another unit are not comparable by it."""
    labels = balanced_labels(60, 3)
    features = clusters(labels, 5, distance=2.0)
    assert score(2 * features, labels, "interclass-distance") == pytest.approx(
        2 * score(features, labels, "interclass-distance"), rel=1e-12
    )

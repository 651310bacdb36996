import math

import numpy as np
import pytest
import torch

from lead_hub.errors import ScoreError
from lead_hub.transferability import score
from tests.transferability.made_features import balanced_labels, clusters


def naive_alignment(features: list[list[float]], labels: list[int]) -> float:
    """Both kernels pair by pair, each without its row and column means, and their cosine, in loops."""
    n_images = len(features)
    places = range(n_images)
    by_features = [
        [math.fsum(a * b for a, b in zip(features[one], features[other], strict=True)) for other in places]
        for one in places
    ]
    by_labels = [[float(labels[one] == labels[other]) for other in places] for one in places]
    entries = []
    for kernel in (by_features, by_labels):
        means = [math.fsum(row) / n_images for row in kernel]
        mean = math.fsum(means) / n_images
        entries.append([kernel[one][other] - means[one] - means[other] + mean for one in places for other in places])
    products = math.fsum(a * b for a, b in zip(*entries, strict=True))
    return products / (math.hypot(*entries[0]) * math.hypot(*entries[1]))


@pytest.mark.parametrize(("n_images", "n_features", "n_classes"), [(20, 3, 2), (30, 10, 6), (20, 90, 3), (2, 2, 2)])
@pytest.mark.parametrize("distance", [0.0, 4.0])
def test_equals_the_naive_definition(n_images, n_features, n_classes, distance) -> None:
    labels = balanced_labels(n_images, n_classes)
    features = clusters(labels, n_features, distance=distance) + 0.7
    expected = naive_alignment(features.tolist(), labels.tolist())
    assert score(features, labels, "kernel-alignment") == pytest.approx(expected, abs=1e-10)


def test_classes_of_unequal_size() -> None:
    labels = torch.tensor([0] * 20 + [1] * 4 + [2])
    features = clusters(labels, 5, distance=2.0)
    expected = naive_alignment(features.tolist(), labels.tolist())
    assert score(features, labels, "kernel-alignment") == pytest.approx(expected, abs=1e-10)


def test_by_hand() -> None:
    # Centred features (-1, -1, 1, 1) and (-1, 1, -1, 1), of which the labels are the first: of the two directions of
    # the kernel of features, as long as each other, the kernel of labels has one, so the cosine is 1 / sqrt(2).
    features = [[0.0, 0.0], [0.0, 2.0], [2.0, 0.0], [2.0, 2.0]]
    assert score(features, [0, 0, 1, 1], "kernel-alignment") == pytest.approx(1 / math.sqrt(2), abs=1e-14)


def test_one_hot_labels_are_aligned_with_themselves() -> None:
    labels = [0, 0, 1, 2, 2, 2]
    assert score(np.eye(3)[labels], labels, "kernel-alignment") == pytest.approx(1, abs=1e-14)


def test_features_that_cannot_tell_the_classes_are_not_aligned() -> None:
    assert score([[0.0], [1.0], [0.0], [1.0]], [0, 0, 1, 1], "kernel-alignment") == pytest.approx(0, abs=1e-14)


def test_permuted_labels_are_hardly_aligned() -> None:
    labels = balanced_labels(400, 4)
    features = clusters(labels, 6, distance=6.0)
    order = torch.randperm(400, generator=torch.Generator().manual_seed(0))
    assert 0 <= score(features, labels[order], "kernel-alignment") < 0.02
    assert score(features, labels, "kernel-alignment") > 0.5


def test_features_that_are_all_the_same_are_refused() -> None:
    with pytest.raises(ScoreError, match="must differ between images"):
        score(torch.full((6, 3), 0.3), [0, 1] * 3, "kernel-alignment")

import math
import sys

import pytest
import torch

from lead_hub.errors import ScoreError
from lead_hub.transferability import score, transferability
from tests.transferability.made_features import balanced_labels, clusters, noise


def naive_variations(features: list[list[float]], labels: list[int]) -> list[float]:
    """The definition in loops: features from 0 to 1, then for every image the weights of all others."""
    n_features = len(features[0])
    lowest = [min(row[number] for row in features) for number in range(n_features)]
    highest = [max(row[number] for row in features) for number in range(n_features)]
    rows = [
        [
            (value - low) / (high - low) if high > low else 0.0
            for value, low, high in zip(row, lowest, highest, strict=True)
        ]
        for row in features
    ]
    variations = []
    for image, row in enumerate(rows):
        with_other_label, total = 0.0, 0.0
        for other, other_row in enumerate(rows):
            if other == image:
                continue
            distance = math.dist(row, other_row)
            weight = 2 ** (-2 * distance / max(math.sqrt(n_features) - distance, sys.float_info.epsilon))
            total += weight
            with_other_label += weight * (labels[other] != labels[image])
        variations.append(with_other_label / total)
    return variations


@pytest.mark.parametrize(("n_images", "n_features", "n_classes"), [(20, 3, 2), (60, 10, 6), (20, 90, 3), (5, 2, 2)])
@pytest.mark.parametrize("distance", [0.0, 4.0])
def test_equals_the_naive_definition(n_images, n_features, n_classes, distance) -> None:
    labels = balanced_labels(n_images, n_classes)
    features = clusters(labels, n_features, distance=distance) + 3.0
    found = transferability(features, labels, "concept-variation")
    expected = naive_variations(features.tolist(), labels.tolist())
    assert found.per_image.tolist() == pytest.approx([-variation for variation in expected], abs=1e-10)
    assert found.value == pytest.approx(-math.fsum(expected) / n_images, abs=1e-10)


def test_by_hand() -> None:
    # One feature, from 0 to 1 already; 0 and 1 are so far apart that they weigh nothing, and 1/2 lies in the middle of
    # both: 2^(-2 (1/2) / (1/2)) = 1/4 each way. So the first and the last image see the middle one alone, which is of
    # the first one's class, and the middle one sees both.
    found = transferability([[0.0], [0.5], [1.0]], [0, 0, 1], "concept-variation")
    assert found.per_image.tolist() == pytest.approx([0.0, -0.5, -1.0], abs=1e-14)


def test_weights_by_hand() -> None:
    # From the image at 0 those at 1/2 and 1/3 weigh 1/4 and 2^(-2 (1/3) / (2/3)) = 1/2; the one at 1 weighs nothing.
    found = transferability([[0.0], [3.0], [2.0], [6.0]], [0, 0, 1, 1], "concept-variation")
    assert float(found.per_image[0]) == pytest.approx(-(1 / 2) / (1 / 2 + 1 / 4), abs=1e-14)


def test_images_that_are_all_the_same_are_all_as_near() -> None:
    found = transferability(torch.full((6, 3), 0.3), [0, 0, 0, 0, 1, 1], "concept-variation")
    assert found.per_image.tolist() == pytest.approx([-2 / 5] * 4 + [-4 / 5] * 2, abs=1e-14)


def test_an_image_without_neighbours_is_refused() -> None:
    with pytest.raises(ScoreError, match="found 2 of 2 images without"):
        score([[0.0, 1.0], [1.0, 0.0]], [0, 1], "concept-variation")


def test_more_images_than_are_compared_at_a_time() -> None:
    labels = balanced_labels(1100, 2)
    features = clusters(labels, 3, distance=1.0)
    found = transferability(features, labels, "concept-variation")
    rows = (features - features.amin(dim=0)) / (features.amax(dim=0) - features.amin(dim=0))
    for image in (0, 1023, 1024, 1099):
        distances = (rows - rows[image]).square().sum(dim=1).sqrt()
        weights = 2 ** (-2 * distances / (3**0.5 - distances))
        weights[image] = 0
        expected = float(weights[labels != labels[image]].sum() / weights.sum())
        assert float(found.per_image[image]) == pytest.approx(-expected, abs=1e-10)


def test_permuted_labels_vary_as_much_as_classes_are_frequent() -> None:
    labels = balanced_labels(400, 4)
    features = clusters(labels, 6, distance=20.0)
    order = torch.randperm(400, generator=torch.Generator().manual_seed(0))
    assert score(features, labels[order], "concept-variation") == pytest.approx(-3 / 4, abs=0.01)
    assert score(features, labels, "concept-variation") > -0.6


@pytest.mark.parametrize("change", [lambda rows: 1e3 * rows + 7, lambda rows: torch.cat([rows, -rows], dim=1)])
def test_unit_and_repetition_of_features_do_not_matter(change) -> None:
    labels = balanced_labels(60, 3)
    features = noise(60, 5) + clusters(labels, 5, distance=2.0)
    assert score(change(features), labels, "concept-variation") == pytest.approx(
        score(features, labels, "concept-variation"), abs=1e-10
    )

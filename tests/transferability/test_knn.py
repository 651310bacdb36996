import math

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from lead_hub.transferability import score, transferability
from tests.transferability.made_features import balanced_labels, clusters, noise


def naive_knn(features: np.ndarray, labels: np.ndarray) -> list[float]:
    """The definition in loops: who votes, how many for whom, and which sum of cosines breaks a tie."""
    terms = []
    for image, row in enumerate(features):
        others = [other for other in range(len(features)) if other != image]
        cosines = {other: row @ features[other] / math.hypot(*row) / math.hypot(*features[other]) for other in others}
        fifth = sorted(cosines.values(), reverse=True)[: min(5, len(others))][-1]
        standing: dict[int, tuple[int, float]] = {int(own): (0, 0.0) for own in labels}
        for other in others:
            if cosines[other] >= fifth - 1e-12:
                votes, nearness = standing[int(labels[other])]
                standing[int(labels[other])] = (votes + 1, nearness + cosines[other])
        own = standing.pop(int(labels[image]))
        best = max(standing.values())
        terms.append(float(own[0] > best[0] or (own[0] == best[0] and own[1] > best[1] + 1e-9)))
    return terms


@pytest.mark.parametrize(("n_images", "n_features", "n_classes"), [(40, 3, 2), (60, 10, 6), (20, 50, 3), (5, 2, 2)])
@pytest.mark.parametrize("distance", [0.0, 1.0, 4.0])
def test_equals_the_naive_definition(n_images, n_features, n_classes, distance) -> None:
    labels = balanced_labels(n_images, n_classes)
    features = clusters(labels, n_features, distance=distance)
    found = transferability(features, labels, "knn")
    expected = naive_knn(features.numpy(), labels.numpy())
    assert found.per_image.tolist() == expected
    assert found.value == pytest.approx(np.mean(expected), abs=1e-15)


def test_more_images_than_are_compared_at_a_time() -> None:
    """By scikit-learn, with two classes: five votes then have no ties."""
    labels = balanced_labels(1100, 2)
    features = clusters(labels, 3, distance=1.0)
    rows = features.numpy() / np.linalg.norm(features.numpy(), axis=1, keepdims=True)
    model = KNeighborsClassifier(n_neighbors=5).fit(rows, labels.numpy())
    neighbours = model.kneighbors(return_distance=False)
    expected = (labels.numpy()[neighbours].mean(axis=1) > 0.5).astype(int)
    found = transferability(features, labels, "knn")
    assert found.predicted.tolist() == expected.tolist()
    assert found.per_image.tolist() == (expected == labels.numpy()).astype(float).tolist()


def on_circle(*degrees: float) -> torch.Tensor:
    angles = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def test_votes_by_hand() -> None:
    # Seven images, so five of the other six vote: all but the furthest. Images 0, 1, 2 lie together, 3 to 6 apart.
    features = on_circle(0, 1, 2, 90, 91, 92, 93) * torch.tensor([[1.0], [7], [2], [1], [5], [1], [3]])
    labels = torch.tensor([0, 0, 0, 1, 1, 1, 1])
    # An image at 0, 1 or 2 degrees has 2 votes of its class and 3 of the other; one of the far group has 3 to 2.
    assert transferability(features, labels, "knn").per_image.tolist() == [0, 0, 0, 1, 1, 1, 1]


def test_the_nearer_class_wins_a_tie_of_votes() -> None:
    # Two of five voters for class 0 at 1 and 2 degrees, two for class 1 at 10 and 11, one for class 2.
    features = on_circle(0, 1, 2, 10, 11, 20, 180, 181)
    labels = torch.tensor([0, 0, 0, 1, 1, 2, 1, 2])
    assert transferability(features, labels, "knn").per_image[0] == 1
    swapped = torch.tensor([1, 0, 0, 1, 1, 2, 0, 2])
    assert transferability(features, swapped, "knn").per_image[0] == 0


def test_a_tie_in_everything_is_wrong_and_no_order_or_name_decides() -> None:
    # Each image has three copies; at its place one of its own class and two of the other, or one and one.
    features = noise(4, 3).repeat(3, 1)
    labels = torch.tensor([0] * 4 + [1] * 4 + [2] * 4)
    found = transferability(features, labels, "knn").per_image
    order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    assert torch.equal(transferability(features[order], labels[order], "knn").per_image, found[order])
    assert torch.equal(transferability(features, 2 - labels, "knn").per_image, found)
    # Constant features: all others vote, and of equal classes the image's own has one vote less.
    assert score(torch.ones(12, 2), labels, "knn") == 0
    # Two classes with two votes each and equal cosines.
    assert score(torch.ones(5, 2), torch.tensor([0, 0, 0, 1, 1]), "knn") == 0


def test_an_image_of_zeros_is_as_near_to_all() -> None:
    features = torch.cat([on_circle(0, 1, 2, 3, 4, 5, 6), torch.zeros(1, 2, dtype=torch.float64)])
    found = transferability(features, torch.tensor([0, 0, 0, 0, 1, 1, 1, 0]), "knn")
    assert found.per_image[7] == 1
    assert found.predicted[7] == 0


@pytest.mark.parametrize("unit", [1e-200, 1e-3, 1e3, 1e200])
def test_unit_does_not_matter(unit) -> None:
    labels = balanced_labels(60, 3)
    features = clusters(labels, 8, distance=2.0)
    assert score(unit * features, labels, "knn") == score(features, labels, "knn")

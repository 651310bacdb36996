import math

import numpy as np
import pytest
import torch

from lead_hub.transferability import score
from lead_hub.transferability.ped import parted
from tests.transferability.made_features import balanced_labels, clusters, noise


def naive_parted(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, int]:
    """The motion with a loop over pairs of classes, image by image, and how many moves it had."""
    mean, spread = features.mean(axis=0), features.std(axis=0)
    rows = (features - mean) / spread
    classes = range(int(labels.max()) + 1)
    first, n_moves = None, 0
    while n_moves < 6:
        centres = [rows[labels == one].mean(axis=0) for one in classes]
        radii = [0.6 * math.sqrt(float(rows[labels == one].var(axis=0).sum())) for one in classes]
        moves = [np.zeros(rows.shape[1]) for _ in classes]
        for one in classes:
            for other in classes:
                if one == other:
                    continue
                apart = centres[one] - centres[other]
                distance = math.sqrt(float(apart @ apart))
                overlap = max(radii[one] + radii[other] - distance, 0.0)
                moves[one] += apart / distance * min(overlap * 0.1**2 / 2, overlap)
        length = sum(float(np.abs(move).sum()) for move in moves)
        first = length if first is None else first
        if not length > 0.5 * first:
            break
        rows = np.stack([row + moves[label] for row, label in zip(rows, labels, strict=True)])
        n_moves += 1
    return rows * spread + mean, n_moves


@pytest.mark.parametrize(
    ("n_images", "n_features", "n_classes", "distance", "n_moves"),
    [(40, 3, 2, 1.0, 6), (60, 10, 4, 1.0, 6), (30, 60, 3, 1.0, 6), (400, 20, 100, 0.0, 2)],
)
def test_equals_the_naive_motion(n_images, n_features, n_classes, distance, n_moves) -> None:
    labels = balanced_labels(n_images, n_classes)
    features = 3 * clusters(labels, n_features, distance=distance) + 5
    expected, moves_made = naive_parted(features.numpy(), labels.numpy())
    assert moves_made == n_moves
    np.testing.assert_allclose(parted(features, labels).numpy(), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("method", ["sfda", "logme"])
def test_the_score_is_the_other_one_of_the_features_after_the_motion(method) -> None:
    labels = balanced_labels(60, 4)
    features = clusters(labels, 10, distance=1.5)
    moved, _ = naive_parted(features.numpy(), labels.numpy())
    found = score(features, labels, f"ped-{method}")
    assert found == pytest.approx(score(moved, labels, method), abs=1e-9)
    assert found > score(features, labels, method)


def test_two_balls_by_hand() -> None:
    # Mean 0 and variance 5. Means -1 and 1, each class 2 wide, so radii of 1.2 overlap by 2.4 - 2 = 0.4, and a move
    # takes 0.005 of the overlap on either side: 0.99 of it is left. All in units of sqrt(5), which cancels.
    features = torch.tensor([[-3.0], [1.0], [-1.0], [3.0]], dtype=torch.float64)
    way = sum(0.005 * 0.4 * 0.99**move for move in range(6))
    expected = features + torch.tensor([[-way], [-way], [way], [way]], dtype=torch.float64)
    torch.testing.assert_close(parted(features, torch.tensor([0, 0, 1, 1])), expected, rtol=0, atol=1e-14)


def test_classes_that_do_not_overlap_stay() -> None:
    labels = balanced_labels(40, 4)
    features = clusters(labels, 5, distance=30.0)
    assert torch.equal(parted(features, labels), features)


def test_classes_in_the_same_place_have_nowhere_to_go() -> None:
    features = noise(7, 5).repeat(2, 1)
    assert torch.equal(parted(features, torch.tensor([0] * 7 + [1] * 7)), features)


def test_no_force_without_a_counterforce_and_none_within_a_class() -> None:
    labels = balanced_labels(40, 4)
    features = clusters(labels, 5, distance=1.0)
    motion = parted(features, labels) - features
    assert float(motion.abs().max()) > 1e-3
    torch.testing.assert_close(motion, motion[:4].repeat(10, 1), rtol=0, atol=1e-14)
    torch.testing.assert_close(motion[:4].sum(dim=0), torch.zeros(5, dtype=torch.float64), rtol=0, atol=1e-14)


@pytest.mark.parametrize("unit", [1e-3, 1e3, 1e160])
def test_unit_and_origin_do_not_matter_to_the_motion(unit) -> None:
    labels = balanced_labels(40, 4)
    features = clusters(labels, 5, distance=1.0)
    expected = parted(features, labels)
    torch.testing.assert_close(parted(unit * features, labels) / unit, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(parted(features + 9, labels) - 9, expected, rtol=0, atol=1e-12)


def test_a_constant_feature_stays() -> None:
    labels = balanced_labels(40, 4)
    features = clusters(labels, 5, distance=1.0)
    padded = torch.cat([features, torch.full((40, 1), 0.1, dtype=torch.float64)], dim=1)
    moved = parted(padded, labels)
    assert torch.equal(moved[:, 5:], padded[:, 5:])
    torch.testing.assert_close(moved[:, :5], parted(features, labels), rtol=0, atol=1e-14)

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from lead_hub.transferability import transferability
from lead_hub.transferability.leave_one_out import RELATIVE_STRENGTHS
from tests.transferability.made_features import balanced_labels, clusters, noise


def naive_predictions(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Refit for every image and every strength, and keep the strength with the smallest squared error."""
    targets = np.eye(labels.max() + 1)[labels]
    unit = float(np.mean([row @ row for row in features - features.mean(axis=0)]))
    attempts = []
    for strength in RELATIVE_STRENGTHS:
        predictions = np.empty_like(targets)
        for image in range(len(labels)):
            others = np.arange(len(labels)) != image
            model = Ridge(alpha=strength * unit, solver="svd").fit(features[others], targets[others])
            predictions[image] = model.predict(features[image : image + 1])[0]
        attempts.append(predictions)
    return min(attempts, key=lambda predictions: float(np.square(targets - predictions).sum()))


@pytest.mark.slow
@pytest.mark.parametrize(("n_images", "n_features", "n_classes"), [(24, 4, 3), (12, 20, 2)])
@pytest.mark.parametrize("distance", [0.5, 2.0])
def test_equals_refitting_without_each_image(n_images, n_features, n_classes, distance) -> None:
    labels = balanced_labels(n_images, n_classes)
    features = clusters(labels, n_features, distance=distance)
    expected = naive_predictions(features.numpy(), labels.numpy()).argmax(axis=1)
    found = transferability(features, labels, "linear-probe")
    assert found.predicted.tolist() == expected.tolist()
    assert found.per_image.tolist() == (expected == labels.numpy()).astype(float).tolist()
    assert found.value == pytest.approx(float((expected == labels.numpy()).mean()), abs=1e-15)


def test_constant_features_by_hand() -> None:
    # Only class frequencies are left. Of three and one, the three are predicted right by the two others.
    assert transferability(torch.ones(4, 2), [0, 0, 0, 1], "linear-probe").per_image.tolist() == [1, 1, 1, 0]
    # Of three and two, each of the three sees two and two: a tie, whichever of the classes has the smaller number.
    for labels in ([0, 0, 0, 1, 1], [1, 1, 1, 0, 0]):
        assert transferability(torch.full((5, 2), 0.1), labels, "linear-probe").value == 0


def test_is_the_accuracy_that_stands_beside_lead() -> None:
    labels = balanced_labels(60, 5)
    features = clusters(labels, 8, distance=1.5)
    found = transferability(features, labels, "linear-probe")
    assert 0.2 < found.value < 0.9
    assert found.value == pytest.approx(transferability(features, labels).companions["loo_accuracy"], abs=1e-15)


def test_noise_with_more_features_than_images_stays_near_chance() -> None:
    assert transferability(noise(200, 800), balanced_labels(200, 10), "linear-probe").value < 0.2

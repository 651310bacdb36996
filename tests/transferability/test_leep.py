import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lead_hub.errors import ScoreError
from lead_hub.transferability import score, transferability
from lead_hub.transferability.leep import leep, log_expected_predictions
from lead_hub.transferability.score_inputs import ScoreInputs
from tests.transferability.made_features import balanced_labels, noise


def naive_leep(probabilities: np.ndarray, labels: np.ndarray) -> list[float]:
    """The paper's three steps, one number at a time."""
    n_images, n_source_classes = probabilities.shape
    n_classes = int(labels.max()) + 1
    joint = np.zeros((n_classes, n_source_classes))
    for image in range(n_images):
        for source_class in range(n_source_classes):
            joint[labels[image], source_class] += probabilities[image, source_class] / n_images
    terms = []
    for image in range(n_images):
        prediction = 0.0
        for source_class in range(n_source_classes):
            marginal = sum(joint[target_class, source_class] for target_class in range(n_classes))
            if marginal > 0:
                prediction += joint[labels[image], source_class] / marginal * probabilities[image, source_class]
        terms.append(math.log(prediction))
    return terms


def softmax(logits: np.ndarray) -> np.ndarray:
    return np.array([[math.exp(logit) / sum(math.exp(other) for other in row) for logit in row] for row in logits])


def entropy(labels: torch.Tensor) -> float:
    shares = labels.bincount().double() / len(labels)
    return -float((shares[shares > 0] * shares[shares > 0].log()).sum())


@pytest.mark.parametrize(("n_images", "n_source_classes", "n_classes"), [(20, 5, 3), (12, 40, 2), (30, 1, 4)])
@pytest.mark.parametrize("sharpness", [0.1, 3.0])
def test_equals_the_naive_definition(n_images, n_source_classes, n_classes, sharpness) -> None:
    labels = balanced_labels(n_images, n_classes)
    logits = sharpness * noise(n_images, n_source_classes)
    found = transferability(noise(n_images, 2), labels, "leep", logits=logits)
    expected = naive_leep(softmax(logits.numpy()), labels.numpy())
    np.testing.assert_allclose(found.per_image.numpy(), expected, rtol=0, atol=1e-12)
    assert found.value == pytest.approx(np.mean(expected), abs=1e-12)


def test_two_images_by_hand() -> None:
    # Source probabilities (3/4, 1/4) and (1/4, 3/4): the first source class is label 0 with probability 3/4, and the
    # second one label 1. Both images get 3/4 * 3/4 + 1/4 * 1/4 = 5/8 for their own label.
    logits = np.log([[0.75, 0.25], [0.25, 0.75]])
    assert score(noise(2, 3), [0, 1], "leep", logits=logits) == pytest.approx(math.log(5 / 8), abs=1e-14)


def test_a_source_class_that_is_never_predicted_adds_nothing() -> None:
    labels = balanced_labels(20, 3)
    logits = noise(20, 5)
    with_unused = torch.cat([logits, torch.full((20, 1), -1e4, dtype=torch.float64)], dim=1)
    assert float(with_unused.softmax(dim=1)[:, 5].max()) == 0.0
    expected = score(noise(20, 2), labels, "leep", logits=logits)
    assert score(noise(20, 2), labels, "leep", logits=with_unused) == pytest.approx(expected, abs=1e-14)


def test_a_head_that_says_the_same_of_all_images_gets_the_entropy() -> None:
    # Labels 0, 0, 0, 1: every image's expected prediction is the frequency of its label.
    expected = (3 * math.log(3 / 4) + math.log(1 / 4)) / 4
    found = score(noise(4, 2), [0, 0, 0, 1], "leep", logits=np.tile([2.0, -1.0, 0.5], (4, 1)))
    assert found == pytest.approx(expected, abs=1e-14)


def test_a_head_that_tells_the_labels_apart_gets_0() -> None:
    labels = balanced_labels(12, 3)
    logits = 1e4 * torch.eye(3, dtype=torch.float64)[labels]
    assert score(noise(12, 2), labels, "leep", logits=logits) == 0.0


def test_features_do_not_matter() -> None:
    labels, logits = balanced_labels(20, 3), noise(20, 5)
    found = score(noise(20, 2), labels, "leep", logits=logits)
    assert score(noise(20, 7, seed=1), labels, "leep", logits=logits) == found


def test_logits_are_needed() -> None:
    with pytest.raises(ScoreError, match="leep needs the logits"):
        score(noise(20, 2), balanced_labels(20, 3), "leep")
    with pytest.raises(ScoreError, match="leep needs the logits"):
        leep(ScoreInputs(noise(20, 2), balanced_labels(20, 3)))


@settings(max_examples=30, deadline=None)
@given(
    n_images=st.integers(2, 30),
    n_source_classes=st.integers(1, 9),
    n_classes=st.integers(2, 5),
    sharpness=st.floats(0, 500),
    seed=st.integers(0, 2**31),
)
def test_is_between_minus_the_entropy_of_the_labels_and_0(
    n_images, n_source_classes, n_classes, sharpness, seed
) -> None:
    labels = balanced_labels(n_images, n_classes)
    probabilities = (sharpness * noise(n_images, n_source_classes, seed=seed)).softmax(dim=1)
    value = float(log_expected_predictions(probabilities, labels).mean())
    assert -entropy(labels) - 1e-12 <= value <= 0

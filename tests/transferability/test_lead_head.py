import math

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import torch
from sklearn.linear_model import Ridge

from lead_hub.transferability import transferability
from lead_hub.transferability.lead_head import LeadHeadSettings, lead_head
from lead_hub.transferability.leave_one_out import RELATIVE_STRENGTHS
from lead_hub.transferability.likelihoods import fitted_sharpness
from lead_hub.transferability.score_inputs import ScoreInputs
from tests.transferability.made_features import balanced_labels, clusters, noise


def naive_lead_head(
    features: np.ndarray, labels: np.ndarray, *, time: float = 0.3, groups: np.ndarray | None = None
) -> list[float]:
    """The definition in plain loops: refit for every image, one kernel entry at a time, a matrix exponential."""
    groups = np.arange(len(labels)) if groups is None else groups
    n_images, n_classes = len(labels), int(labels.max()) + 1
    targets = np.eye(n_classes)[labels]
    centred = features - features.mean(axis=0)
    unit = float(np.mean([row @ row for row in centred]))
    best_error, initial = math.inf, targets
    for strength in RELATIVE_STRENGTHS:
        predictions = np.empty_like(targets)
        for image in range(n_images):
            others = np.flatnonzero(groups != groups[image])
            model = Ridge(alpha=strength * unit, solver="svd").fit(features[others], targets[others])
            predictions[image] = model.predict(features[image : image + 1])[0]
        error = float(np.square(targets - predictions).sum())
        if error < best_error:
            best_error, initial = error, predictions
    frequencies = np.stack([targets[groups != groups[image]].mean(axis=0) for image in range(n_images)])
    explained = max(0.0, 1 - best_error / float(np.square(targets - frequencies).sum()))
    evolved = initial.copy()
    for target_class in range(n_classes):
        members = np.flatnonzero(labels == target_class)
        kernel = np.array([[kernel_entry(features[u], features[v]) for v in members] for u in members])
        decay = scipy.linalg.expm(-time * explained * kernel / np.linalg.eigvalsh(kernel).max())
        evolved[members] = targets[members] + decay @ (initial[members] - targets[members])
    sharpness = likeliest_sharpness(initial, labels)
    return likelihoods(evolved, labels, sharpness)


def likeliest_sharpness(predictions: np.ndarray, labels: np.ndarray) -> float:
    """Where the log-likelihood's derivative is 0, or the end of [0, 16] that it rises towards."""

    def slope(sharpness: float) -> float:
        total = 0.0
        for row, label in zip(predictions, labels, strict=True):
            weights = [math.exp(sharpness * logit) for logit in row]
            total += row[label] - sum(w * logit for w, logit in zip(weights, row, strict=True)) / sum(weights)
        return total

    if slope(0.0) <= 0:
        return 0.0
    return 16.0 if slope(16.0) >= 0 else float(scipy.optimize.brentq(slope, 0.0, 16.0, xtol=1e-13))


def likelihoods(predictions: np.ndarray, labels: np.ndarray, sharpness: float) -> list[float]:
    return [
        sharpness * row[label] - math.log(sum(math.exp(sharpness * logit) for logit in row))
        for row, label in zip(predictions, labels, strict=True)
    ]


def kernel_entry(image: np.ndarray, other: np.ndarray) -> float:
    """Jacot et al.'s recursion over the layers of the infinitely wide head."""
    cosine = min(1.0, float(image @ other) / math.sqrt(float(image @ image) * float(other @ other)))
    tangent = cosine
    for _ in range(2):
        slope = (math.pi - math.acos(cosine)) / math.pi
        cosine = (math.sqrt(1 - cosine**2) + cosine * (math.pi - math.acos(cosine))) / math.pi
        tangent = cosine + slope * tangent
    return tangent


@pytest.mark.slow
@pytest.mark.parametrize(("n_images", "n_features", "n_classes"), [(14, 4, 3), (12, 20, 2), (20, 6, 4)])
@pytest.mark.parametrize("distance", [0.5, 3.0])
def test_equals_the_naive_definition(n_images, n_features, n_classes, distance) -> None:
    labels = balanced_labels(n_images, n_classes)
    features = clusters(labels, n_features, distance=distance) + 0.5
    found = transferability(features, labels, "lead-head")
    expected = naive_lead_head(features.numpy(), labels.numpy())
    np.testing.assert_allclose(found.per_image.numpy(), expected, rtol=0, atol=1e-9)
    assert found.value == pytest.approx(np.mean(expected), abs=1e-10)


def test_four_images_by_hand() -> None:
    # Images 1, 1 of one class and -1, -1 of the other; ridge strength l, in units of the mean squared norm, 1.
    # The leverage is 1/4 + 1/(4 + l), the fit of the own class 1/2 + 2/(4 + l): the left-out error is
    # (1/2 - 2/(4 + l)) / (3/4 - 1/(4 + l)) = 2 l / (8 + 3 l), least at the weakest strength.
    error = 2 * 1e-6 / (8 + 3 * 1e-6)
    # Within a class the images are equal, so their kernel is constant and the error, equal for both, lies along its
    # only eigenvector with a positive eigenvalue, the largest: it decays by e^{-0.3 explained}, where the class
    # frequencies alone, 1/3 for an image's own class when it is left out, have an error of 2/3.
    explained = 1 - error**2 / (2 / 3) ** 2
    error_left = math.exp(-0.3 * explained) * error
    # Two classes whose predictions add up to 1: the margin is (1 - error) - error. All are right, so the sharper the
    # likelier: the sharpness is the largest, 16.
    expected = -math.log1p(math.exp(-16 * (1 - 2 * error_left)))
    found = transferability(np.array([[1.0], [1.0], [-1.0], [-1.0]]), np.array([0, 0, 1, 1]), "lead-head")
    assert found.value == pytest.approx(expected, rel=1e-6)
    assert found.companions["loo_log_loss"] == pytest.approx(math.log1p(math.exp(-16 * (1 - 2 * error))), rel=1e-6)
    assert found.companions["loo_accuracy"] == 1.0


def test_features_without_information_by_hand() -> None:
    # Constant features, K balanced classes of m images: the left-out prediction of the own class is (m - 1) / (n - 1),
    # of every other m / (n - 1). That misleads, so the likeliest sharpness is 0 and every class has a chance of 1 / K.
    n_classes, n_members = 5, 6
    labels = balanced_labels(n_classes * n_members, n_classes)
    found = transferability(torch.full((len(labels), 3), 0.1), labels, "lead-head")
    assert found.value == pytest.approx(-math.log(5), abs=1e-12)
    assert found.companions["loo_log_loss"] == pytest.approx(math.log(5), abs=1e-12)
    assert found.companions["loo_accuracy"] == 0.0


@pytest.mark.parametrize(
    ("wrong", "expected"),
    # Two classes and predictions 1 and 0, of which a share w is wrong: the likeliest chance of the predicted class is
    # 1 - w = 1 / (1 + e^{-s}), so s = log((1 - w) / w); half wrong or more says nothing.
    [(0, 16.0), (1, math.log(9)), (3, math.log(7 / 3)), (5, 0.0), (7, 0.0)],
)
def test_the_sharpness_by_hand(wrong, expected) -> None:
    labels = balanced_labels(10, 2)
    predicted = torch.where(torch.arange(10) < wrong, 1 - labels, labels)
    found = fitted_sharpness(torch.nn.functional.one_hot(predicted).double(), labels)
    assert found == pytest.approx(expected, abs=1e-9)


def test_a_given_sharpness_is_taken() -> None:
    # The four images above: 8 (1 - 2 error) is the margin at a sharpness of 8.
    features, labels = torch.tensor([[1.0], [1.0], [-1.0], [-1.0]]).double(), torch.tensor([0, 0, 1, 1])
    found = lead_head(ScoreInputs(features, labels), settings=LeadHeadSettings(time=0.0, sharpness=8.0))
    error = 2 * 1e-6 / (8 + 3 * 1e-6)
    assert found.value == pytest.approx(-math.log1p(math.exp(-8 * (1 - 2 * error))), rel=1e-9)


def test_left_out_predictions_are_positions_among_the_labels_that_occur() -> None:
    # Nothing but class frequencies to go by: leaving an image out makes its own class the rarer of two equal ones.
    found = transferability(np.full((4, 2), 0.1), np.array([7, 3, 7, 3]), "lead-head")
    assert found.predicted.tolist() == [0, 1, 0, 1]
    separable = transferability(np.array([[1.0], [1.0], [-1.0], [-1.0]]), np.array([9, 9, 4, 4]), "lead-head")
    assert separable.predicted.tolist() == [1, 1, 0, 0]


@pytest.mark.slow
@pytest.mark.parametrize("n_features", [50, 500, 2048, 5000])
def test_noise_loses_and_separable_classes_win_for_every_shape(n_features) -> None:
    """n / d from 10 to 0.1: noise is near chance, minus log 10; separable near 0."""
    labels = balanced_labels(500, 10)
    bad = transferability(noise(500, n_features), labels, "lead-head")
    good = transferability(clusters(labels, n_features, distance=4 * n_features**0.25), labels, "lead-head")
    assert abs(bad.value + math.log(10)) < 0.1
    assert abs(bad.companions["loo_log_loss"] - math.log(10)) < 0.1
    assert bad.companions["loo_accuracy"] < 0.2
    assert -0.05 < good.value <= 0
    assert good.companions["loo_log_loss"] < 0.1
    assert good.companions["loo_accuracy"] > 0.99


@pytest.mark.parametrize("n_classes", [2, 3, 10, 40])
def test_noise_loses_to_weak_features_however_few_the_classes(n_classes) -> None:
    """The labels pull the evolution: at a fixed time of 0.3 noise beats features that are 90% right about 2 classes."""
    labels = balanced_labels(400, n_classes)
    random, weak, fair = (
        transferability(clusters(labels, 64, distance=d), labels, "lead-head") for d in (0.0, 1.2, 2.5)
    )
    assert random.value < weak.value < fair.value
    assert random.companions["loo_log_loss"] > weak.companions["loo_log_loss"] > fair.companions["loo_log_loss"]


def test_without_time_it_is_the_plain_log_loss() -> None:
    labels = balanced_labels(40, 4)
    features = clusters(labels, 6, distance=1.5)
    still = lead_head(ScoreInputs(features, labels), settings=LeadHeadSettings(time=0.0))
    plain = transferability(features, labels, "loo-log-loss")
    assert still.value == plain.value == -transferability(features, labels, "lead-head").companions["loo_log_loss"]


@pytest.mark.parametrize("seed", [1, 2, 12345])
def test_no_seed_matters(seed) -> None:
    labels = balanced_labels(40, 4)
    features = clusters(labels, 6, distance=1.5)
    found = transferability(features, labels, "lead-head", seed=seed)
    assert found.value == transferability(features, labels, "lead-head", seed=0).value


@pytest.mark.slow
def test_a_class_of_5000_among_classes_of_5() -> None:
    labels = torch.cat([torch.zeros(5000, dtype=torch.int64), torch.arange(20) % 4 + 1])
    found = transferability(clusters(labels, 8, distance=12.0), labels, "lead-head")
    assert found.per_image.shape == (5020,)
    assert -0.05 < found.value < 0
    # A ridge classifier serves the many first: the few are further from their labels, but nearer than without features.
    blind = transferability(torch.ones(5020, 1), labels, "lead-head")
    assert found.per_image[:5000].mean() > found.per_image[5000:].mean() > blind.per_image[5000:].mean() + 1

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from lead_hub.transferability.leave_one_out import RELATIVE_STRENGTHS, leave_one_out_logits, standardised
from tests.transferability.made_features import balanced_labels, clusters, noise, rotation

# The fourth has as many features as images that stay when one is left out.
SHAPES = [(12, 3, 2), (15, 15, 3), (12, 40, 4), (21, 20, 5), (9, 1, 3)]


def refitted(rows: np.ndarray, one_hot: np.ndarray, strength: float) -> np.ndarray:
    """What the closed form must equal: one fit per image, without it."""
    predictions = np.empty_like(one_hot)
    for image in range(len(rows)):
        others = np.arange(len(rows)) != image
        model = Ridge(alpha=strength, solver="svd").fit(rows[others], one_hot[others])
        predictions[image] = model.predict(rows[image : image + 1])[0]
    return predictions


def mean_eigenvalue(rows: np.ndarray) -> float:
    return float(np.linalg.eigvalsh(rows @ rows.T).mean())


@pytest.mark.parametrize(("n_images", "n_features", "n_classes"), SHAPES)
@pytest.mark.parametrize("relative_strength", [1e-4, 0.1, 100.0])
@pytest.mark.parametrize("scaling", ["global", "each"])
def test_equals_refitting_without_each_image(n_images, n_features, n_classes, relative_strength, scaling) -> None:
    labels = balanced_labels(n_images, n_classes)
    features = clusters(labels, n_features, distance=1.0) + 5
    found = leave_one_out_logits(features, labels, relative_strengths=(relative_strength,), scaling=scaling)
    rows = (features - features.mean(dim=0)).numpy()
    rows = rows / (rows.std(axis=0) if scaling == "each" else 1.0)
    one_hot = np.eye(n_classes)[labels]
    expected = refitted(rows, one_hot, relative_strength * mean_eigenvalue(rows))
    np.testing.assert_allclose(found.logits.numpy(), expected, rtol=0, atol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("distance", [0.0, 0.5, 2.0])
@pytest.mark.parametrize(("n_images", "n_features", "n_classes"), SHAPES)
def test_strength_has_the_smallest_error_of_the_grid(n_images, n_features, n_classes, distance) -> None:
    labels = balanced_labels(n_images, n_classes)
    features = clusters(labels, n_features, distance=distance)
    rows = (features - features.mean(dim=0)).numpy()
    one_hot = np.eye(n_classes)[labels]
    unit = mean_eigenvalue(rows)
    errors = {
        strength: float(np.square(one_hot - refitted(rows, one_hot, strength * unit)).sum())
        for strength in RELATIVE_STRENGTHS
    }
    assert leave_one_out_logits(features, labels).relative_strength == min(errors, key=errors.__getitem__)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda rows: 1e3 * rows, id="scaled up"),
        pytest.param(lambda rows: 1e-3 * rows, id="scaled down"),
        pytest.param(lambda rows: rows + 10, id="shifted"),
        pytest.param(lambda rows: rows @ rotation(rows.shape[1]), id="rotated"),
        pytest.param(lambda rows: torch.cat([rows, rows], dim=1), id="duplicated"),
        pytest.param(lambda rows: torch.cat([rows, torch.ones(len(rows), 7)], dim=1), id="padded"),
    ],
)
@pytest.mark.parametrize("n_features", [5, 60])
def test_logits_do_not_depend_on_the_basis_or_unit(change, n_features) -> None:
    labels = balanced_labels(30, 3)
    features = clusters(labels, n_features, distance=2.0)
    before, after = leave_one_out_logits(features, labels), leave_one_out_logits(change(features), labels)
    torch.testing.assert_close(after.logits, before.logits, rtol=0, atol=1e-10)


def test_constant_features_predict_how_often_a_class_is_among_the_others() -> None:
    labels = torch.tensor([0, 0, 0, 1, 1])
    found = leave_one_out_logits(torch.full((5, 4), 0.1, dtype=torch.float64), labels).logits
    # Without an image of class 0 the others are 2 and 2; without one of class 1 they are 3 and 1.
    expected = torch.tensor([[2 / 4, 2 / 4]] * 3 + [[3 / 4, 1 / 4]] * 2, dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)


def test_the_only_image_of_a_class_is_predicted_without_it() -> None:
    labels = torch.tensor([0, 0, 0, 1, 1, 1, 2])
    found = leave_one_out_logits(clusters(labels, 4, distance=3.0), labels).logits
    assert abs(float(found[6, 2])) < 1e-12


def test_standardised_features_are_centred_and_the_input_is_left_alone() -> None:
    features = noise(10, 3) * torch.tensor([1.0, 10.0, 0.0]) + 4
    before = features.clone()
    each, overall = standardised(features, scaling="each"), standardised(features, scaling="global")
    assert torch.equal(features, before)
    torch.testing.assert_close(each.square().mean(dim=0), torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64))
    assert float(overall.abs().max()) == 1.0
    torch.testing.assert_close(overall.mean(dim=0), torch.zeros(3, dtype=torch.float64))

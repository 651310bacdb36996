"""What every score promises, and what the public functions check for all of them."""

import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lead_hub.errors import ScoreError
from lead_hub.transferability import SCORES, score, transferability
from tests.transferability.made_features import balanced_labels, clusters, noise, rotation

LABELS = balanced_labels(60, 3)
FEATURES = clusters(LABELS, 8, distance=2.0)
every_score = pytest.mark.parametrize("method", list(SCORES))


def test_the_list() -> None:
    assert {"lead", "lead-paper", "logme", "loo-log-loss"} <= set(SCORES)
    for name, method in SCORES.items():
        assert method.name == name
        assert method.direction == "higher is better"
        assert all((method.title, method.paper, method.range, method.cost))
    with pytest.raises(TypeError):
        SCORES["mine"] = SCORES["lead"]
    with pytest.raises(FrozenInstanceError):
        SCORES["lead"].name = "mine"


@every_score
def test_separable_classes_beat_overlapping_ones_beat_noise(method) -> None:
    labels = balanced_labels(300, 10)
    values = [score(clusters(labels, 8, distance=distance), labels, method) for distance in (0.0, 2.0, 8.0)]
    assert values[0] < values[1] < values[2]


@every_score
@pytest.mark.parametrize("renamed", [(2, 0, 1), (700, -3, 12)])
def test_names_of_classes_do_not_matter(method, renamed) -> None:
    found = transferability(FEATURES, torch.tensor(renamed)[LABELS], method)
    expected = transferability(FEATURES, LABELS, method)
    assert found.value == pytest.approx(expected.value, abs=1e-10)
    if expected.per_image is not None:
        torch.testing.assert_close(found.per_image, expected.per_image, rtol=0, atol=1e-9)


@pytest.mark.parametrize("method", ["lead", "logme", "loo-log-loss"])
def test_order_of_images_does_not_matter(method) -> None:
    order = torch.randperm(60, generator=torch.Generator().manual_seed(3))
    found = transferability(FEATURES[order], LABELS[order], method)
    expected = transferability(FEATURES, LABELS, method)
    assert found.value == pytest.approx(expected.value, abs=1e-10)
    if expected.per_image is not None:
        torch.testing.assert_close(found.per_image, expected.per_image[order], rtol=0, atol=1e-9)


CHANGES = {
    "scaled up": lambda rows: 1e3 * rows,
    "scaled down": lambda rows: 1e-3 * rows,
    "rotated": lambda rows: rows @ rotation(rows.shape[1]),
    "duplicated": lambda rows: torch.cat([rows, rows], dim=1),
    "padded with zeros": lambda rows: torch.cat([rows, torch.zeros_like(rows)], dim=1),
}


@pytest.mark.parametrize("method", ["lead", "logme", "loo-log-loss"])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("n_features", [8, 150])
def test_basis_and_unit_of_features_do_not_matter(method, change, n_features) -> None:
    features = clusters(LABELS, n_features, distance=2.0)
    found = score(CHANGES[change](features), LABELS, method)
    # LogME's precisions creep towards infinity where a class has no signal, and stop a little apart.
    tolerance = 1e-5 if method == "logme" else 1e-7
    assert found == pytest.approx(score(features, LABELS, method), abs=tolerance)


@every_score
def test_input_is_left_as_it_was(method) -> None:
    features, labels = FEATURES.clone(), LABELS.clone()
    score(features, labels, method)
    assert torch.equal(features, FEATURES)
    assert torch.equal(labels, LABELS)


@every_score
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_narrow_formats_are_widened_before_anything_is_computed(method, dtype) -> None:
    narrow = FEATURES.to(dtype)
    assert score(narrow, LABELS, method) == score(narrow.double(), LABELS, method)


@every_score
def test_numpy_and_torch_agree(method) -> None:
    expected = score(FEATURES, LABELS, method)
    read_only = FEATURES.numpy().copy()
    read_only.flags.writeable = False
    assert score(read_only, LABELS.numpy(), method) == expected
    assert score(FEATURES.numpy().astype(">f8"), LABELS.tolist(), method) == expected
    assert score(FEATURES.clone().requires_grad_(), LABELS.to(torch.uint8), method) == expected


@every_score
def test_terms_have_the_score_as_their_mean(method) -> None:
    found = transferability(FEATURES, LABELS, method)
    assert found.value == score(FEATURES, LABELS, method)
    assert all(math.isfinite(figure) for figure in found.companions.values())
    if found.per_image is not None:
        assert found.per_image.shape == (60,)
        assert float(found.per_image.mean()) == pytest.approx(found.value, abs=1e-14)
    assert (found.per_image is None) == (method == "logme")


@every_score
def test_threads_do_not_matter(method) -> None:
    labels = balanced_labels(300, 4)
    features = clusters(labels, 150, distance=4.0)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = score(features, labels, method)
        torch.set_num_threads(2)
        together = score(features, labels, method)
    finally:
        torch.set_num_threads(before)
    assert together == pytest.approx(alone, abs=1e-9)


@every_score
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_gpu_and_cpu_agree(method) -> None:
    on_gpu = transferability(FEATURES.cuda(), LABELS, method)
    assert on_gpu.value == pytest.approx(score(FEATURES, LABELS, method), abs=1e-6)


DEGENERATE = {
    "one image in a class": (clusters(torch.tensor([0, 0, 0, 1, 1, 1, 2]), 4, distance=3.0), [0, 0, 0, 1, 1, 1, 2]),
    "every class one image": (noise(4, 3), [0, 1, 2, 3]),
    "two images": (noise(2, 3), [0, 1]),
    "constant features": (torch.full((9, 4), 0.3), [0, 1, 2] * 3),
    "constant within a class": (torch.eye(3)[LABELS] + noise(60, 1)[:, :1] * 0.1, LABELS.tolist()),
    "one feature": (noise(20, 1), [0, 1] * 10),
    "two classes": (noise(20, 5), [0, 1] * 10),
    "fewer images than features": (noise(12, 300), [0, 1, 2] * 4),
    "the same images again": (noise(6, 5).repeat(3, 1), [0, 1, 0, 1, 0, 1] * 3),
    "an image of zeros": (torch.cat([noise(11, 5), torch.zeros(1, 5, dtype=torch.float64)]), [0, 1, 2] * 4),
    "huge numbers": (1e30 * noise(20, 5), [0, 1] * 10),
    "tiny numbers": (1e-30 * noise(20, 5), [0, 1] * 10),
    "labels not from 0": (noise(20, 5), [-7, 1000] * 10),
    "unequal classes": (noise(60, 5), [0] * 50 + [1] * 10),
}


@pytest.mark.parametrize("method", ["lead", "lead-paper", "loo-log-loss"])
@pytest.mark.parametrize("case", DEGENERATE)
def test_odd_inputs_have_a_score(method, case) -> None:
    features, labels = DEGENERATE[case]
    value = score(features, np.array(labels), method)
    assert math.isfinite(value)
    assert value <= 0


@pytest.mark.parametrize("case", sorted(set(DEGENERATE) - {"constant within a class"}))
def test_odd_inputs_have_a_logme(case) -> None:
    features, labels = DEGENERATE[case]
    assert math.isfinite(score(features, np.array(labels), "logme"))


def test_all_zero_features_have_no_direction_and_no_evolution() -> None:
    found = transferability(torch.zeros(9, 4), [0, 1, 2] * 3)
    assert found.value == pytest.approx(-found.companions["loo_log_loss"], abs=1e-14)


@every_score
@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        pytest.param([[1.0, math.nan], [1.0, 2.0]], [0, 1], "for 1 of 2 images", id="NaN"),
        pytest.param([[1.0, 3.0], [math.inf, 2.0]], [0, 1], "NaN or infinity", id="infinity"),
        pytest.param([[1.0], [2.0]], [5, 5], "at least 2 classes, found 1", id="one class"),
        pytest.param([[1.0], [2.0]], [0, 1, 1], "found 2 and 3", id="lengths"),
        pytest.param([1.0, 2.0], [0, 1], r"found \(2,\)", id="features not a matrix"),
        pytest.param([[], []], [0, 1], r"found \(2, 0\)", id="no features"),
        pytest.param([[1.0], [2.0]], [[0], [1]], r"found \(2, 1\)", id="labels not a vector"),
        pytest.param([[1.0], [2.0]], [0.5, 1.5], "must be integers", id="fractional labels"),
        pytest.param([[1.0], [2.0]], ["a", "b"], "labels must be numbers", id="text"),
        pytest.param([[1.0], [2.0, 3.0]], [0, 1], "rectangular", id="ragged"),
        pytest.param(np.zeros((0, 3)), np.zeros(0, dtype=int), r"found \(0, 3\)", id="no images"),
        pytest.param(np.ones((2, 1), dtype=complex), [0, 1], "features must be numbers", id="complex"),
        pytest.param(torch.ones(2, 1, dtype=torch.complex64), [0, 1], "real numbers", id="complex tensor"),
    ],
)
def test_unusable_inputs_are_refused(method, features, labels, message) -> None:
    with pytest.raises(ScoreError, match=message):
        score(features, labels, method)


def test_unusable_logits_are_refused() -> None:
    with pytest.raises(ScoreError, match="features and logits must have one row per image, found 60 and 59"):
        score(FEATURES, LABELS, logits=noise(59, 4))
    with pytest.raises(ScoreError, match="logits must be finite"):
        score(FEATURES, LABELS, logits=torch.full((60, 4), math.nan))
    assert score(FEATURES, LABELS, logits=noise(60, 4)) == score(FEATURES, LABELS)


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ScoreError, match="lead, lead-paper, logme, loo-log-loss, found 'best'"):
        score(FEATURES, LABELS, "best")


@settings(max_examples=40, deadline=None)
@given(
    n_images=st.integers(4, 40),
    n_features=st.integers(1, 60),
    n_classes=st.integers(2, 4),
    distance=st.floats(0, 10),
    seed=st.integers(0, 2**31),
)
def test_lead_is_finite_and_at_most_0_whatever_the_shape(n_images, n_features, n_classes, distance, seed) -> None:
    labels = balanced_labels(n_images, n_classes)
    found = transferability(clusters(labels, n_features, distance=distance, seed=seed), labels)
    assert found.value <= 0
    assert found.companions["loo_log_loss"] >= 0
    assert 0 <= found.companions["loo_accuracy"] <= 1

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
from lead_hub.transferability.score import TransferabilityScore
from tests.transferability.made_features import balanced_labels, clusters, linear_kernel, noise, rotation

LABELS = balanced_labels(60, 3)
FEATURES = clusters(LABELS, 8, distance=2.0)
# Scores that are computed from the images; the others are facts known beforehand, see test_static_facts.py.
COMPUTED = [name for name, method in SCORES.items() if method.function is not None]
every_score = pytest.mark.parametrize("method", COMPUTED)
# Sums over pairs or classes, with no term for a single image.
WITHOUT_TERMS = {"logme", "h-score", "gbc", "transrate", "parc", "ped-logme", "ncti"}
WITHOUT_TERMS |= {"interclass-distance", "kernel-alignment"}


def instead(features, method: str) -> dict[str, object]:
    """Scores that need logits or kernels get the features in their place: as good, and as bad, as those are."""
    chosen = SCORES[method]
    rows = torch.as_tensor(features.astype(float) if isinstance(features, np.ndarray) else features)
    kernels = {name: linear_kernel(rows) for name in chosen.needs_kernels}
    return {"logits": features if chosen.needs_logits else None, "kernels": kernels}


def scored(features, labels, method: str) -> TransferabilityScore:
    return transferability(features, labels, method, **instead(features, method))


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


@pytest.mark.slow
@every_score
def test_separable_classes_beat_overlapping_ones_beat_noise(method) -> None:
    labels = balanced_labels(300, 10)
    values = [scored(clusters(labels, 8, distance=distance), labels, method).value for distance in (0.0, 2.0, 8.0)]
    assert values[0] < values[1] < values[2]


@pytest.mark.slow
@every_score
@pytest.mark.parametrize("renamed", [(2, 0, 1), (700, -3, 12)])
def test_names_of_classes_do_not_matter(method, renamed) -> None:
    found = scored(FEATURES, torch.tensor(renamed)[LABELS], method)
    expected = scored(FEATURES, LABELS, method)
    assert found.value == pytest.approx(expected.value, abs=1e-10)
    if expected.per_image is not None:
        torch.testing.assert_close(found.per_image, expected.per_image, rtol=0, atol=1e-9)


# The others draw random numbers, which fall on other images when the order is another.
WHATEVER_THE_ORDER = [name for name in COMPUTED if name not in {"lead-paper", "nleep"}]


@pytest.mark.parametrize("method", WHATEVER_THE_ORDER)
def test_order_of_images_does_not_matter(method) -> None:
    order = torch.randperm(60, generator=torch.Generator().manual_seed(3))
    found = scored(FEATURES[order], LABELS[order], method)
    expected = scored(FEATURES, LABELS, method)
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


# The shrinkage of SFDA, ETran and NCTI depends on the unit of the features, and so do distances between classes; PED
# standardises every feature, and the concept variation brings it to [0, 1].
WHATEVER_THE_BASIS = [
    *("lead", "lead-network", "lead+prior", "lead-head", "logme", "loo-log-loss", "nleep", "gbc", "transrate", "parc"),
    *("knn", "linear-probe", "kernel-alignment"),
]


@pytest.mark.slow
@pytest.mark.parametrize("method", WHATEVER_THE_BASIS)
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("n_features", [8, 150])
def test_basis_and_unit_of_features_do_not_matter(method, change, n_features) -> None:
    features = clusters(LABELS, n_features, distance=2.0)
    found = scored(CHANGES[change](features), LABELS, method).value
    # LogME's precisions creep towards infinity where a class has no signal, and stop a little apart.
    tolerance = 1e-5 if method == "logme" else 1e-7
    assert found == pytest.approx(scored(features, LABELS, method).value, abs=tolerance)


# The shrinkage of the H-score depends on how many features there are.
@pytest.mark.parametrize("change", ["scaled up", "scaled down", "rotated"])
@pytest.mark.parametrize("n_features", [8, 150])
def test_basis_and_unit_of_features_do_not_matter_to_the_h_score(change, n_features) -> None:
    features = clusters(LABELS, n_features, distance=2.0)
    found = score(CHANGES[change](features), LABELS, "h-score")
    assert found == pytest.approx(score(features, LABELS, "h-score"), abs=1e-9)


@every_score
def test_input_is_left_as_it_was(method) -> None:
    features, labels = FEATURES.clone(), LABELS.clone()
    scored(features, labels, method)
    assert torch.equal(features, FEATURES)
    assert torch.equal(labels, LABELS)


@pytest.mark.slow
@every_score
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_narrow_formats_are_widened_before_anything_is_computed(method, dtype) -> None:
    narrow = FEATURES.to(dtype)
    assert scored(narrow, LABELS, method).value == scored(narrow.double(), LABELS, method).value


@pytest.mark.slow
@every_score
def test_numpy_and_torch_agree(method) -> None:
    expected = scored(FEATURES, LABELS, method).value
    read_only = FEATURES.numpy().copy()
    read_only.flags.writeable = False
    assert scored(read_only, LABELS.numpy(), method).value == expected
    assert scored(FEATURES.numpy().astype(">f8"), LABELS.tolist(), method).value == expected
    assert scored(FEATURES.clone().requires_grad_(), LABELS.to(torch.uint8), method).value == expected


@every_score
def test_terms_have_the_score_as_their_mean(method) -> None:
    found = scored(FEATURES, LABELS, method)
    assert found.value == score(FEATURES, LABELS, method, **{**instead(FEATURES, method), "logits": FEATURES})
    assert all(math.isfinite(figure) for figure in found.companions.values())
    if found.per_image is not None:
        assert found.per_image.shape == (60,)
        assert float(found.per_image.mean()) == pytest.approx(found.value, abs=1e-14)
    assert (found.per_image is None) == (method in WITHOUT_TERMS)


@pytest.mark.slow
@every_score
def test_threads_do_not_matter(method) -> None:
    labels = balanced_labels(300, 4)
    features = clusters(labels, 150, distance=4.0)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = scored(features, labels, method).value
        torch.set_num_threads(2)
        together = scored(features, labels, method).value
    finally:
        torch.set_num_threads(before)
    assert together == pytest.approx(alone, abs=1e-9)


@every_score
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_gpu_and_cpu_agree(method) -> None:
    on_gpu = scored(FEATURES.cuda(), LABELS, method)
    assert on_gpu.value == pytest.approx(scored(FEATURES, LABELS, method).value, abs=1e-6)


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


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lead", "lead-network", "lead+prior", "lead-head", "lead-paper", "loo-log-loss"])
@pytest.mark.parametrize("case", DEGENERATE)
def test_odd_inputs_have_a_score(method, case) -> None:
    features, labels = DEGENERATE[case]
    value = scored(features, np.array(labels), method).value
    assert math.isfinite(value)
    assert value <= 0


@pytest.mark.parametrize("case", sorted(set(DEGENERATE) - {"constant within a class"}))
def test_odd_inputs_have_a_logme(case) -> None:
    features, labels = DEGENERATE[case]
    assert math.isfinite(score(features, np.array(labels), "logme"))


# Discriminant analysis needs images that differ within some class.
WITHOUT_SPREAD = {
    "constant features": "must differ between images",
    "every class one image": "differ within some class",
    "two images": "differ within some class",
}
# What these scores are undefined for; they have a value for all other odd inputs.
UNDEFINED: dict[str, dict[str, str]] = {
    **dict.fromkeys(("sfda", "ped-sfda", "etran-classification", "etran", "ncti"), WITHOUT_SPREAD),
    **{name: {} for name in ("ped-logme", "etran-energy", "knn", "linear-probe")},
    "h-score": {"constant features": "must differ between images"},
    "leep": {},
    "nleep": {"constant features": "must differ between images"},
    "gbc": {"constant features": "must differ between images"},
    "transrate": {"constant features": "must differ between images"},
    "kernel-alignment": {"constant features": "must differ between images"},
    "interclass-distance": {},
    "concept-variation": {"two images": "found 2 of 2 images without"},
    "parc": {
        "constant features": "must differ between images",
        "every class one image": "with the same and with different labels",
        "two images": "with the same and with different labels",
        "fewer images than features": "found 12 images and 11 axes",
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("method", UNDEFINED)
@pytest.mark.parametrize("case", DEGENERATE)
def test_odd_inputs_have_a_score_or_are_refused(method, case) -> None:
    features, labels = DEGENERATE[case]
    if case in UNDEFINED[method]:
        with pytest.raises(ScoreError, match=UNDEFINED[method][case]):
            scored(features, np.array(labels), method)
    else:
        assert math.isfinite(scored(features, np.array(labels), method).value)


def test_all_zero_features_have_no_direction_and_no_evolution() -> None:
    found = transferability(torch.zeros(9, 4), [0, 1, 2] * 3)
    assert found.value == pytest.approx(-found.companions["loo_log_loss"], abs=1e-14)


@pytest.mark.slow
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
    kernels = {name: torch.eye(2) for name in SCORES[method].needs_kernels}
    with pytest.raises(ScoreError, match=message):
        transferability(
            features, labels, method, logits=features if SCORES[method].needs_logits else None, kernels=kernels
        )


def test_unusable_logits_are_refused() -> None:
    with pytest.raises(ScoreError, match="features and logits must have one row per image, found 60 and 59"):
        score(FEATURES, LABELS, logits=noise(59, 4))
    with pytest.raises(ScoreError, match="logits must be finite"):
        score(FEATURES, LABELS, logits=torch.full((60, 4), math.nan))
    assert score(FEATURES, LABELS, logits=noise(60, 4)) == score(FEATURES, LABELS)


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ScoreError, match=r"one of lead, .*logme, .*parc, .*found 'best'"):
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

"""One number or one image that drowns all others: found, said, remedied, and nothing else touched."""

import math
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import lead_hub
from lead_hub.transferability import score, transferability
from lead_hub.transferability.leave_one_out import leave_one_out_logits
from lead_hub.transferability.outliers import (
    FURTHEST_ORDINARY,
    are_ordinary,
    left_out_predictions,
    without_far_images,
    without_loud_features,
)
from lead_hub.transferability.principal_axes import centred_spectrum
from lead_hub.transferability.score_inputs import checked_inputs
from tests.transferability.made_features import balanced_labels, clusters, noise

LABELS = balanced_labels(300, 5)
FEATURES = clusters(LABELS, 40, distance=3.0)
LEFT_OUT = ["lead", "loo-log-loss", "linear-probe"]
MATRICES = (
    Path(lead_hub.__file__).parent / "bench" / "matrix",
    Path(__file__).parents[1] / "benchmarks" / "ground_truth" / "confirmation",
)


def times(factor: float, *, features: slice = slice(0), images: slice = slice(0)) -> Tensor:
    """The features with some columns, and some rows, so many times as large."""
    rows = FEATURES.clone()
    rows[:, features] *= factor
    rows[images] *= factor
    return rows


DROWNED = {
    "one feature": times(1e5, features=slice(3, 4)),
    "one feature, by far": times(1e9, features=slice(3, 4)),
    "four features": times(1e6, features=slice(7, 11)),
    "one image": times(1e4, images=slice(8, 9)),
    "one image, by far": times(1e9, images=slice(8, 9)),
    "the first image": times(1e4, images=slice(0, 1)),
    "three images": times(1e5, images=slice(20, 23)),
    "every fifth image of a few": times(1e4, images=slice(0, 150, 5)),
    "a feature and an image": times(1e5, features=slice(3, 4), images=slice(8, 9)),
}


@pytest.mark.parametrize("method", LEFT_OUT)
@pytest.mark.parametrize("case", DROWNED)
def test_what_drowns_the_others_costs_little_and_is_said(method, case) -> None:
    whole = score(FEATURES, LABELS, method)
    found = transferability(DROWNED[case], LABELS, method)
    assert abs(found.value - whole) < 0.06
    text = "; ".join(found.notes)
    assert ("features have up to" in text) == ("feature" in case)
    assert ("images (number" in text) == ("image" in case)


def test_without_the_remedy_they_are_drowned() -> None:
    """So that the tests above stand for something: nothing but guessing is left of separable classes."""
    one_hot = torch.nn.functional.one_hot(LABELS).double()
    guessing = float((one_hot - 1 / 5).square().sum())
    assert leave_one_out_logits(FEATURES, LABELS).squared_error < 0.5 * guessing
    for case in ("one feature, by far", "one image", "three images"):
        assert leave_one_out_logits(DROWNED[case], LABELS).squared_error > 0.95 * guessing


def test_the_notes_say_how_many_and_by_how_much() -> None:
    (note,) = transferability(DROWNED["one feature"], LABELS).notes
    factor = re.match(r"1 of 40 features have up to ([\d,]+) times the spread", note)
    assert factor
    assert float(factor[1].replace(",", "")) == pytest.approx(1e5, rel=0.1)
    assert note.endswith("the score would see little else: all count at the same spread")
    (note,) = transferability(DROWNED["three images"], LABELS).notes
    assert note.startswith("3 of 300 images (number 21, 22, 23 of the sample) lie up to ")
    (note,) = transferability(DROWNED["every fifth image of a few"], LABELS).notes
    assert note.startswith("30 of 300 images (number 1, 6, 11, ... of the sample) lie up to ")


@pytest.mark.parametrize("power", [0, 1, 2, 3, 4, 5, 6, 8, 12])
def test_no_factor_leaves_a_gap(power) -> None:
    """Where the remedy sets in, and where it does not yet, the score stays near that of the features themselves."""
    whole = score(FEATURES, LABELS)
    for factor in (10**power, 3 * 10**power):
        assert abs(score(times(factor, features=slice(3, 4)), LABELS) - whole) < 0.06
        if factor != 10:
            assert abs(score(times(factor, images=slice(8, 9)), LABELS) - whole) < 0.06


@pytest.mark.slow
@pytest.mark.parametrize("matrix", MATRICES, ids=["package", "confirmation"])
def test_no_real_checkpoint_is_touched(matrix: Path) -> None:
    files = sorted((matrix / "outputs").glob("*.safetensors"))
    assert len(files) >= 8
    for file in files:
        outputs = {name: rows.double() for name, rows in load_file(file).items() if name.endswith(".features")}
        assert len(outputs) == 28
        for name, rows in outputs.items():
            for remedied, note in (without_far_images(rows), without_loud_features(rows)):
                assert remedied is rows, f"{file.stem} {name}: {note}"


def test_noise_stays_at_chance_with_the_remedy() -> None:
    for rows in (noise(300, 40), noise(300, 900)):
        loud, far = rows.clone(), rows.clone()
        loud[:, 5] *= 1e6
        far[7] *= 1e5
        for drowned in (loud, far):
            assert score(drowned, LABELS) == pytest.approx(-math.log(5), abs=0.05)


def test_a_loud_feature_that_tells_the_classes_is_left_alone() -> None:
    rows = noise(300, 900) * 1e-7
    rows[:, 5] = LABELS + 0.01 * noise(300, 1, seed=5)[:, 0]
    found = transferability(rows, LABELS)
    assert torch.equal(left_out_predictions(checked_inputs(rows, LABELS)).features, rows)
    assert found.notes[-1].startswith("left-out images are predicted no better then")
    expected = leave_one_out_logits(rows, LABELS).logits
    assert found.predicted.tolist() == expected.argmax(dim=1).tolist()


def test_a_far_image_by_hand() -> None:
    # Distances from the centre: the nearer half of -4..4 and 1000 is -2..2, whose mean is 0; the median of the
    # distances 0, 1, 1, 2, 2, 3, 3, 4, 4, 1000 is (torch takes the lower) 2. Beyond 16 times that lies 1000 alone; the
    # furthest ordinary distance is 4.
    rows = torch.tensor([-4.0, -3, -2, -1, 0, 1, 2, 3, 4, 1000], dtype=torch.float64)[:, None]
    near, note = without_far_images(rows)
    assert near[:, 0].tolist() == pytest.approx([-4, -3, -2, -1, 0, 1, 2, 3, 4, 4], abs=1e-12)
    assert note.startswith("1 of 10 images (number 10 of the sample) lie up to 500 times as far from the others")
    rows[-1] = 2 * FURTHEST_ORDINARY
    assert without_far_images(rows) == (rows, "")


def test_loud_features_by_hand() -> None:
    # 100 images, variances 1 (three features) and v; the median spread is 1. Hidden: 100 * 1 < 1e-4 * (3 + v), so above
    # v = 999,997, a spread of 999.9985.
    signs = torch.where(torch.arange(100) % 2 == 0, 1.0, -1.0).double()
    rows = torch.stack([signs, signs.roll(1), signs, 999 * signs], dim=1)
    assert without_loud_features(rows) == (rows, "")
    rows[:, 3] = 1001 * signs
    even, note = without_loud_features(rows)
    torch.testing.assert_close(even[:, 3], signs, rtol=0, atol=1e-12)
    assert note.startswith("1 of 4 features have up to 1,001 times the spread that is usual among them")


def test_constant_features_are_no_reference() -> None:
    """Dead units neither make the others loud nor are blown up themselves."""
    rows = torch.cat([torch.full((300, 100), 0.1, dtype=torch.float64), FEATURES], dim=1)
    assert transferability(rows, LABELS).notes == ()
    loud = torch.cat([torch.full((300, 100), 0.1, dtype=torch.float64), DROWNED["one feature"]], dim=1)
    found = score(loud, LABELS, "loo-log-loss")
    assert found == pytest.approx(score(DROWNED["one feature"], LABELS, "loo-log-loss"), abs=1e-9)


@pytest.mark.parametrize("method", LEFT_OUT)
@pytest.mark.parametrize("case", ["one feature", "three images", "a feature and an image"])
def test_units_names_and_order_do_not_matter(method, case) -> None:
    rows = DROWNED[case]
    expected = transferability(rows, LABELS, method)
    order = torch.randperm(300, generator=torch.Generator().manual_seed(2))
    shuffled = transferability(rows[order], LABELS[order], method)
    torch.testing.assert_close(shuffled.per_image, expected.per_image[order], rtol=0, atol=1e-8)
    assert score(1e-3 * rows, 7 - 2 * LABELS, method) == pytest.approx(expected.value, abs=1e-8)


def test_groups_and_input_are_kept() -> None:
    rows = DROWNED["a feature and an image"]
    before, groups = rows.clone(), torch.arange(300) // 2
    found = transferability(rows, LABELS, groups=groups)
    assert torch.equal(rows, before)
    assert abs(found.value - score(FEATURES, LABELS, groups=groups)) < 0.06


@pytest.mark.parametrize("case", DROWNED)
def test_the_shortcut_takes_nothing_drowned_for_ordinary(case) -> None:
    assert not are_ordinary(centred_spectrum(checked_inputs(DROWNED[case], LABELS)))


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0])
@pytest.mark.parametrize("which", ["images", "features"])
def test_what_the_shortcut_takes_for_ordinary_is_not_touched(exponent, which) -> None:
    """Of spreads that differ by ever more, from none to all, some are ordinary, and none of these has a note."""
    spread = torch.arange(1, 301 if which == "images" else 41, dtype=torch.float64) ** exponent
    rows = FEATURES * (spread[:, None] if which == "images" else spread)
    ordinary = are_ordinary(centred_spectrum(checked_inputs(rows, LABELS)))
    notes = without_far_images(rows)[1] + without_loud_features(rows)[1]
    assert not (ordinary and notes)
    assert ordinary or exponent > 1

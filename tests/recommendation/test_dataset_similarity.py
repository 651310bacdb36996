"""How alike the images of two datasets look decides how much the one says of the other."""

import json
import math
from contextlib import closing
from pathlib import Path

import pytest
import torch

from lead_hub.access import Access
from lead_hub.labelled_images import DatasetQuery, load_labelled_images
from lead_hub.recommendation.dataset_similarity import (
    N_SAMPLED,
    NAMES,
    Statistics,
    distance,
    image_statistics,
    read_statistics,
    sampled,
    similarity_weights,
    statistics_entry,
    statistics_of,
)

HERE = dict.fromkeys(NAMES, 0.09)


def apart(logarithm: float) -> Statistics:
    """So far from HERE: 0.01 is added before the ratio is taken."""
    return dict.fromkeys(NAMES, 0.1 * math.exp(logarithm) - 0.01)


def test_statistics_of_a_plain_and_a_halved_image() -> None:
    plain, halved = torch.full((3, 32, 32), 0.25), torch.zeros(3, 32, 32)
    halved[:, :, 16:] = 1
    found = image_statistics(torch.stack([plain, halved]))
    # Of 2 x 31 x 32 neighbours of the second 32 differ, by 1; of 2 x 7 x 8 coarse ones 8.
    edges, coarse = 1 / 62, 1 / 14
    of_two = {
        "brightness": (0.25, 0.5),
        "colour": (0, 0),
        "contrast": (0, 0.5),
        "edges": (0, edges),
        "coarse_edges": (0, coarse),
        "flat": (1, 1 - edges),
    }
    assert found.keys() == set(NAMES)
    for name, (one, other) in of_two.items():
        assert found[name] == pytest.approx((one + other) / 2, abs=1e-6), name
        assert found[f"{name}_deviation"] == pytest.approx(abs(one - other) / 2, abs=1e-6), name
    assert found["alike"] == 0  # to an image without a pattern


def test_images_are_alike_by_their_patterns_whatever_their_colours() -> None:
    steps = torch.linspace(0, 1, 32)
    down, across = steps[:, None].expand(32, 32), steps[None].expand(32, 32)
    red, negative = torch.stack([down, 0 * down, 0 * down]), (1 - down).expand(3, 32, 32)
    assert image_statistics(torch.stack([red, negative]))["alike"] == pytest.approx(1, abs=1e-5)
    # Of three pairs one is alike: the mean of the squares is a third.
    found = image_statistics(torch.stack([red, negative, across.expand(3, 32, 32)]))
    assert found["alike"] == pytest.approx(3**-0.5, abs=1e-5)
    assert image_statistics(torch.stack([red, red]))["colour"] == pytest.approx(0.5, abs=1e-6)


def test_the_distance_is_that_of_logarithms() -> None:
    assert distance(HERE, HERE) == 0
    assert distance(HERE, apart(0.7)) == pytest.approx(0.7)
    # One of the thirteen numbers three times as large.
    assert distance(HERE, {**HERE, "edges": 0.29}) == pytest.approx(math.log(3) / 13**0.5)
    assert distance({**HERE, "edges": 0.29}, HERE) == pytest.approx(math.log(3) / 13**0.5)


def test_the_more_alike_the_more_a_dataset_weighs() -> None:
    others = {"equal": HERE, "other": apart(0.4), "unknown": None}
    weights = similarity_weights(HERE, others, width=0.4, shrinking=3.0)
    # exp(0) and exp(-1), over their mean; two known datasets of 2 + 3 go two fifths of the way there.
    mean = (1 + math.exp(-1)) / 2
    expected = {"equal": 0.6 + 0.4 / mean, "other": 0.6 + 0.4 * math.exp(-1) / mean, "unknown": 1.0}
    assert weights == pytest.approx(expected)
    assert weights["equal"] == pytest.approx(1.1848469, abs=1e-6)


def test_what_nothing_is_known_of_weighs_alike() -> None:
    assert similarity_weights(HERE, {"one": None, "other": None}) == {"one": 1.0, "other": 1.0}
    assert similarity_weights(HERE, {"alone": apart(3.0), "unknown": None}) == pytest.approx(
        {"alone": 1.0, "unknown": 1.0}
    )
    assert similarity_weights(HERE, {}) == {}


def test_the_farthest_there_can_be_still_count() -> None:
    farthest = dict.fromkeys(NAMES, 1.0)
    weights = similarity_weights(dict.fromkeys(NAMES, 0.0), {"far": farthest, "farther": farthest})
    assert weights == pytest.approx({"far": 1.0, "farther": 1.0})


def test_a_sample_of_images_is_looked_at() -> None:
    chosen = sampled(5 * N_SAMPLED)
    assert len(set(chosen)) == N_SAMPLED
    assert chosen == sorted(chosen)
    assert max(chosen) >= 4 * N_SAMPLED  # from all of them
    assert sampled(3) == [0, 1, 2]


def test_what_is_kept_of_images_is_thirteen_numbers(colour_folder: Path, tmp_path: Path) -> None:
    access = Access(tmp_path, progress=False)
    with closing(load_labelled_images(DatasetQuery(str(colour_folder)), access)) as images:
        found = statistics_of(images)
        entry = json.loads(json.dumps(statistics_entry(found)))
        assert [*entry["values"]] == [*NAMES]
        assert len(NAMES) == 13
        assert all(isinstance(value, float) for value in entry["values"].values())
        assert read_statistics(entry) == pytest.approx(found, abs=5e-5)
        # The mean colour of all pixels, by hand: no thumbnail changes it by more than rounding.
        pixels = [images.pixels[position].mean() / 255 for position in range(len(images))]
        assert found["brightness"] == pytest.approx(sum(pixels) / len(pixels), abs=0.01)


@pytest.mark.parametrize(
    "damage",
    [
        {"edges": math.nan},
        {"edges": math.inf},
        {"edges": 10**400},
        {"edges": 1.5},
        {"edges": -0.1},
        {"edges": "0.1"},
        {"edges": None},
        {"edges": [0.1]},
        {"another": 0.1},
    ],
    ids=str,
)
def test_a_damaged_number_is_none(damage: dict[str, object]) -> None:
    entry = {"version": 1, "values": {**HERE, **damage}}
    assert read_statistics({"version": 1, "values": HERE}) == HERE
    assert read_statistics(entry) is None


@pytest.mark.parametrize(
    "entry",
    [
        None,
        "text",
        13,
        [0.1] * 13,
        {},
        {"version": 1},
        {"version": 1, "values": [0.1] * 13},
        {"version": 1, "values": dict.fromkeys(NAMES[1:], 0.1)},
        {"version": 2, "values": HERE},
        {"version": [1], "values": HERE},
        {"values": HERE},
    ],
    ids=str,
)
def test_anything_else_is_none(entry: object) -> None:
    assert read_statistics(entry) is None

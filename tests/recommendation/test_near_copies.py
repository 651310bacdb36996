"""Which pictures are taken for one: real ones, changed as people change them; and no two ordinary ones."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_sample_images
from torch import Tensor

from lead_hub.demo import TARGETS
from lead_hub.recommendation.near_copies import OVERLAYS, SIDE_PX, same_pictures, start_of, thumbnail, usually_left
from tests.recommendation.copied_pictures import COPIES, Picture, cropped, demo_pictures, every_kth


def small(decoded: list[Picture]) -> Tensor:
    return torch.stack([thumbnail(picture) for picture in decoded])


def found_pairs(decoded: list[Picture], labels: list[int]) -> set[tuple[int, int]]:
    return {(min(pair), max(pair)) for pair in same_pictures(small(decoded), torch.tensor(labels))}


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_no_two_pictures_of_the_demo_are_one(target: str) -> None:
    """Many of one class are much alike there: letters of one script, flags, faces, signs."""
    assert found_pairs(*demo_pictures(target)) == set()


def test_no_two_parts_of_a_photo_are_one() -> None:
    side = 96
    parts, labels = [], []
    for number, photo in enumerate(load_sample_images().images):
        for top in range(0, photo.shape[0] - side, side):
            for left in range(0, photo.shape[1] - side, side):
                parts.append(np.ascontiguousarray(photo[top : top + side, left : left + side]))
                labels.append(number)
    assert len(parts) > 40
    assert found_pairs(parts, labels) == set()


@pytest.mark.slow
def test_digits_of_one_class_are_alike_and_yet_others() -> None:
    """8 x 8 grey levels: of the nearest ones by far the most differ by no more than what a copy may."""
    digits = load_digits()
    decoded = [np.repeat((15.9 * image).astype(np.uint8)[:, :, None], 3, axis=2) for image in digits.images[:400]]
    assert len(found_pairs(decoded, digits.target[:400].tolist())) <= 4


@pytest.mark.slow
@pytest.mark.parametrize("target", ["clipart", "scripts"])
@pytest.mark.parametrize("change", COPIES)
def test_copies_are_found_and_nothing_else(change: str, target: str) -> None:
    decoded, labels = every_kth(target, 4)
    n_pictures = len(decoded)
    found = found_pairs([*decoded, *map(COPIES[change], decoded)], labels * 2)
    assert {second - first for first, second in found} == {n_pictures}
    assert len(found) >= 0.9 * n_pictures


@pytest.mark.slow
@pytest.mark.parametrize("target", ["clipart", "emoji"])
def test_two_crops_of_a_picture_are_mostly_found(target: str) -> None:
    """Neither is a part of the other, and both were brought back to the size of the whole."""
    decoded, labels = every_kth(target, 4)
    first = [cropped(picture, 0, 0, 0.9, 0.9) for picture in decoded]
    second = [cropped(picture, 0.1, 0.08, 1, 0.98) for picture in decoded]
    found = found_pairs([*first, *second], labels * 2)
    assert {other - one for one, other in found} == {len(decoded)}
    assert len(found) >= 0.8 * len(decoded)


def test_labels_of_copies_do_not_matter() -> None:
    decoded, labels = every_kth("clipart", 4)
    copied = [*decoded, *map(COPIES["compressed"], decoded)]
    contradicting = [(label + 1) % (max(labels) + 1) for label in labels]
    assert len(found_pairs(copied, labels + contradicting)) >= 0.9 * len(decoded)


@pytest.mark.slow
def test_the_order_of_images_does_not_matter() -> None:
    decoded, labels = every_kth("emoji", 5)
    copied, twice = [*decoded, *map(COPIES["shifted by 5 px"], decoded)], labels * 2
    order = np.random.default_rng(1).permutation(len(copied)).tolist()
    shuffled = found_pairs([copied[place] for place in order], [twice[place] for place in order])
    back = {(min(order[one], order[other]), max(order[one], order[other])) for one, other in shuffled}
    assert back == found_pairs(copied, twice)


def test_pictures_without_contrast_are_nobodys_copies() -> None:
    """Any two plain ones differ by nothing but brightness. (Those that are equal are found by their pixels.)"""
    plain = [np.full((20, 30, 3), shade, dtype=np.uint8) for shade in (0, 10, 10, 200, 255)]
    assert found_pairs(plain, [0, 0, 1, 1, 1]) == set()


def test_two_images() -> None:
    (picture, other), labels = demo_pictures("clipart")[0][:2], [0, 1]
    assert found_pairs([picture, picture], labels) == {(0, 1)}
    assert found_pairs([picture, other], labels) == set()


def test_where_a_window_lies_on_another_by_hand() -> None:
    # The right half of the upper picture on the left half of the lower one: the lower one's left edge, -1, lies on the
    # middle of the upper one, 0, and its middle, 0, on the upper one's right edge, 1: a place of 1 at full width.
    assert start_of((0.5, 0.0, 0.5, 1.0), (0.0, 0.0, 0.5, 1.0)) == (1.0, 1.0, 1.0, 0.0)
    # The upper picture's part from 1/4 to 3/4 across is the whole lower one: half as wide, about the same middle.
    assert start_of((0.25, 0.0, 0.5, 1.0), (0.0, 0.0, 1.0, 1.0)) == (0.5, 0.0, 1.0, 0.0)
    assert ((0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 1.0, 1.0)) in OVERLAYS
    for upper, lower in OVERLAYS:
        for left, top, width, height in (upper, lower):
            assert 0 <= left <= left + width <= 1
            assert 0 <= top <= top + height <= 1


@pytest.mark.parametrize(
    ("n_classmates", "place"),
    # A quarter of them, at least eight, at most three quarters; what is left counts from the nearest, 0.
    [(101, 25), (41, 10), (21, 8), (12, 8), (9, 6), (5, 3), (3, 2), (2, 1), (1, 0)],
)
def test_what_is_usual_by_hand(n_classmates: int, place: int) -> None:
    left = torch.arange(n_classmates) / 200
    fits = (1 - left).sqrt()[torch.randperm(n_classmates, generator=torch.Generator().manual_seed(0))]
    assert usually_left(fits) == pytest.approx(place / 200, abs=1e-6)


def test_an_image_that_is_alone_in_its_class_is_compared_with_chance() -> None:
    assert usually_left(torch.zeros(0)) == 1.0


def test_a_thumbnail_is_the_whole_picture() -> None:
    picture = np.zeros((64, 96, 3), dtype=np.uint8)
    picture[:, 48:] = 255
    found = thumbnail(picture)
    assert found.shape == (3, SIDE_PX, SIDE_PX)
    assert found[:, :, :15].max() == 0
    assert found[:, :, 17:].min() == 1

"""Which pictures of a target train and which test: no photograph twice, and chance that never changes."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from lead_hub.recommendation.near_copies import same_pictures, thumbnail


@dataclass(frozen=True)
class Sides:
    """Positions of the pictures that train, and of those that test, each ascending."""

    train: list[int]
    test: list[int]


def without_copies(pictures: Sequence[NDArray[np.uint8]], labels: Sequence[str], *, are_textures: bool) -> list[int]:
    """Positions of the pictures that stay: of each set of copies the first, and none where copies have two classes."""
    parent = list(range(len(pictures)))
    for first, second in copies(pictures, labels, are_textures=are_textures):
        parent[_root(parent, max(first, second))] = _root(parent, min(first, second))
    members: dict[int, list[int]] = defaultdict(list)
    for position in range(len(pictures)):
        members[_root(parent, position)].append(position)
    return [root for root, same in sorted(members.items()) if len({labels[position] for position in same}) == 1]


def _root(parent: list[int], position: int) -> int:
    while parent[position] != position:
        position = parent[position]
    return position


def copies(
    pictures: Sequence[NDArray[np.uint8]], labels: Sequence[str], *, are_textures: bool
) -> set[tuple[int, int]]:
    """Pairs of positions of pictures that show the same photograph, mirrored, cropped, brighter or of other colours.

    Textures, which packages also turn by quarters and which as a whole are plain, are compared turned too, and by their
    middle, where they still have their grain.
    """
    numbers = {name: number for number, name in enumerate(sorted(set(labels)))}
    classes = torch.tensor([numbers[label] for label in labels])
    whole = _thumbnails(pictures)
    pairs = same_pictures(whole, classes) + same_pictures(_grey(whole), classes)
    if are_textures:
        middles = _thumbnails([_middle(picture) for picture in pictures])
        pairs += same_pictures(middles, classes) + same_pictures(_grey(middles), classes)
        pairs += [pair for turns in (1, 2, 3) for pair in _turned_copies(whole, classes, turns=turns)]
    return set(pairs)


def _thumbnails(pictures: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
    return torch.stack([thumbnail(np.ascontiguousarray(picture)) for picture in pictures])


def _turned_copies(thumbnails: torch.Tensor, classes: torch.Tensor, *, turns: int) -> list[tuple[int, int]]:
    """Pairs of which one is the other turned by some quarters."""
    n_pictures = len(thumbnails)
    both = torch.cat([thumbnails, thumbnails.rot90(turns, dims=(2, 3))])
    found = [(first % n_pictures, second % n_pictures) for first, second in same_pictures(both, classes.repeat(2))]
    return [(first, second) for first, second in found if first != second]


def _middle(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    return picture[3 * height // 8 : 5 * height // 8, 3 * width // 8 : 5 * width // 8]


def _grey(thumbnails: torch.Tensor) -> torch.Tensor:
    return thumbnails.mean(dim=1, keepdim=True).expand_as(thumbnails)


def split(labels: Sequence[str], *, test_share: float, most_a_class: int, seed: int) -> Sides:
    """Of each class at most `most_a_class` pictures drawn at random, and of these a share for the test."""
    keys = np.random.PCG64(seed).random_raw(len(labels))
    train: list[int] = []
    test: list[int] = []
    for label in sorted(set(labels)):
        members = sorted((position for position, own in enumerate(labels) if own == label), key=keys.__getitem__)
        members = members[:most_a_class]
        n_test = round(test_share * len(members))
        test += members[:n_test]
        train += members[n_test:]
    return Sides(sorted(train), sorted(test))

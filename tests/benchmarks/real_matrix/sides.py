"""Which pictures of a target train and which test: no photograph twice, and chance that never changes."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from lead_hub.recommendation.near_copies import same_pictures, thumbnail

from .texture_copies import same_textures


@dataclass(frozen=True)
class Sides:
    """Positions of the pictures that train, and of those that test, each ascending."""

    train: list[int]
    test: list[int]


def without_copies(pictures: Sequence[NDArray[np.uint8]], labels: Sequence[str], *, are_textures: bool) -> list[int]:
    """Positions of the pictures that stay: of each set of copies the first.

    None stays where copies have two classes, but of textures, of which packages hold copies in other colours under the
    name of another material.
    """
    parent = list(range(len(pictures)))
    for first, second in same_textures(pictures) if are_textures else near_copies(pictures, labels):
        roots = _root(parent, first), _root(parent, second)
        parent[max(roots)] = min(roots)
    sets: dict[int, set[str]] = defaultdict(set)
    for position, label in enumerate(labels):
        sets[_root(parent, position)].add(label)
    return [root for root, names in sorted(sets.items()) if are_textures or len(names) == 1]


def _root(parent: list[int], position: int) -> int:
    while parent[position] != position:
        position = parent[position]
    return position


def near_copies(pictures: Sequence[NDArray[np.uint8]], labels: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of positions that show one picture, mirrored, cropped or brighter, in its colours or in grey."""
    numbers = {name: number for number, name in enumerate(sorted(set(labels)))}
    classes = torch.tensor([numbers[label] for label in labels])
    thumbnails = torch.stack([thumbnail(picture) for picture in pictures])
    grey = thumbnails.mean(dim=1, keepdim=True).expand_as(thumbnails)
    return [*same_pictures(thumbnails, classes), *same_pictures(grey, classes)]


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

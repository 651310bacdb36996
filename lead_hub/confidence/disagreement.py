"""Left-out predictions of two checkpoints -> where they disagree, and which images show best what one gets wrong."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from lead_hub.confidence.class_errors import check_numbers


@dataclass(frozen=True)
class PairOfPredictions:
    """How two checkpoints fare on the same images, each left out.

    Attributes:
        n_both_right: images that both get right.
        only_first: positions of the images that only the first gets right, ascending.
        only_second: positions of those that only the second gets right.
        n_both_wrong: images that neither gets right.
    """

    n_both_right: int
    only_first: tuple[int, ...]
    only_second: tuple[int, ...]
    n_both_wrong: int


def compare_predictions(
    labels: Int[np.ndarray, " image"], first: Int[np.ndarray, " image"], second: Int[np.ndarray, " image"]
) -> PairOfPredictions:
    """Count the images by which of the two gets them right.

    Args:
        labels: class numbers.
        first: what the first takes each image for when it is left out.
        second: what the second takes it for.
    """
    first_right, second_right = first == labels, second == labels
    return PairOfPredictions(
        n_both_right=int((first_right & second_right).sum()),
        only_first=tuple(np.flatnonzero(first_right & ~second_right).tolist()),
        only_second=tuple(np.flatnonzero(second_right & ~first_right).tolist()),
        n_both_wrong=int((~first_right & ~second_right).sum()),
    )


def telling_mistakes(
    labels: Int[np.ndarray, " image"], predicted: Int[np.ndarray, " image"], *, n_classes: int, at_most: int
) -> tuple[int, ...]:
    """Positions of wrong images to show: one of each confused pair in turn, the pairs with the most images first.

    Args:
        labels: class numbers from 0.
        predicted: the class number that an image is given when it is left out.
        n_classes: how many classes there are.
        at_most: how many positions.

    Raises:
        ScoreError: no images, or numbers that name no class.
    """
    check_numbers(labels, predicted, n_classes=n_classes)
    by_pair: dict[tuple[int, int], list[int]] = {}
    for position in np.flatnonzero(labels != predicted).tolist():
        by_pair.setdefault((int(labels[position]), int(predicted[position])), []).append(position)
    largest_first = sorted(by_pair.values(), key=lambda positions: -len(positions))
    # The first of every pair, then the second of every pair that has one, and so on.
    turns = [
        (turn, number, position)
        for number, positions in enumerate(largest_first)
        for turn, position in enumerate(positions[:at_most])
    ]
    return tuple(position for _, _, position in sorted(turns)[:at_most])

"""Left-out predictions -> the classes that a checkpoint should do badly on, and what they are taken for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from lead_hub.errors import ScoreError

N_LISTED = 3


@dataclass(frozen=True)
class ClassAccuracy:
    """How many images of one class are right when left out.

    Attributes:
        name: of the class.
        accuracy: share of its images that are right when left out, in [0, 1].
        n_images: how many it has.
    """

    name: str
    accuracy: float
    n_images: int


@dataclass(frozen=True)
class ConfusedPair:
    """Images of one class that are taken for another: `true` and `predicted` are class names."""

    true: str
    predicted: str
    n_images: int


def class_accuracies(
    labels: Int[np.ndarray, " image"], predicted: Int[np.ndarray, " image"], class_names: Sequence[str]
) -> tuple[ClassAccuracy, ...]:
    """Accuracy of every class that has images, in the order of the names.

    Args:
        labels: class numbers from 0, positions in `class_names`.
        predicted: the class number that a classifier gives to an image when it is left out of its training.
        class_names: one a class.

    Raises:
        ScoreError: no images, or numbers that name no class.
    """
    check_numbers(labels, predicted, n_classes=len(class_names))
    n_images = np.bincount(labels, minlength=len(class_names)).tolist()
    n_right = np.bincount(labels[labels == predicted], minlength=len(class_names)).tolist()
    figures = zip(class_names, n_right, n_images, strict=True)
    return tuple(ClassAccuracy(name, right / count, count) for name, right, count in figures if count)


def worst_classes(accuracies: Sequence[ClassAccuracy], *, at_most: int = N_LISTED) -> tuple[ClassAccuracy, ...]:
    """The classes with the lowest accuracy, worst first, larger ones first among equals; none that is all right."""
    imperfect = [figure for figure in accuracies if figure.accuracy < 1]
    return tuple(sorted(imperfect, key=lambda figure: (figure.accuracy, -figure.n_images))[:at_most])


def most_confused(
    labels: Int[np.ndarray, " image"],
    predicted: Int[np.ndarray, " image"],
    class_names: Sequence[str],
    *,
    at_most: int = N_LISTED,
) -> tuple[ConfusedPair, ...]:
    """The pairs of true and predicted class with the most images, most first; fewer where fewer are confused.

    Raises:
        ScoreError: as of `class_accuracies`.
    """
    check_numbers(labels, predicted, n_classes=len(class_names))
    wrong = labels != predicted
    # Pairs that occur, not a table of all classes by all, which would not fit for tens of thousands of them.
    pairs, counts = np.unique(np.stack([labels[wrong], predicted[wrong]], axis=1), axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:at_most]
    listed = zip(pairs[order].tolist(), counts[order].tolist(), strict=True)
    return tuple(ConfusedPair(class_names[true], class_names[taken], count) for (true, taken), count in listed)


def check_numbers(labels: Int[np.ndarray, " image"], predicted: Int[np.ndarray, " image"], *, n_classes: int) -> None:
    numbers = np.concatenate([labels, predicted])
    if not len(numbers) or numbers.min() < 0 or numbers.max() >= n_classes:
        raise ScoreError(
            f"labels and predictions must be numbers from 0 to {n_classes - 1}, at least one of each, found"
            f" {len(numbers)} between {numbers.min(initial=0)} and {numbers.max(initial=0)}"
        )


MOST_CLASSES = 20
OTHERS = "others"


@dataclass(frozen=True)
class Confusion:
    """A table of images by true and predicted class.

    Attributes:
        class_names: of its rows and columns; the last one is "others" where there are more classes than rows.
        counts: images, one row a true class, one column a class that they are taken for when left out.
    """

    class_names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


def confusion(
    labels: Int[np.ndarray, " image"],
    predicted: Int[np.ndarray, " image"],
    class_names: Sequence[str],
    *,
    at_most: int = MOST_CLASSES,
) -> Confusion:
    """The table over all classes, or where there are too many over the worst ones and all others together.

    The worst have the lowest left-out accuracy, among equals the most images. Classes keep their order.

    Args:
        labels: class numbers from 0, positions in `class_names`.
        predicted: the class number that a classifier gives to an image when it is left out of its training.
        class_names: one a class.
        at_most: classes with a row of their own.

    Raises:
        ScoreError: no images, or numbers that name no class.
    """
    check_numbers(labels, predicted, n_classes=len(class_names))
    shown = range(len(class_names)) if len(class_names) <= at_most else _worst(labels, predicted, at_most=at_most)
    names = [class_names[number] for number in shown]
    names += [OTHERS] if len(shown) < len(class_names) else []
    # Classes first become places in the table: all by all would not fit for tens of thousands of them.
    place = np.full(len(class_names), len(shown), dtype=np.int64)
    place[shown] = np.arange(len(shown))
    cells = np.bincount(place[labels] * len(names) + place[predicted], minlength=len(names) ** 2)
    return Confusion(tuple(names), tuple(map(tuple, cells.reshape(len(names), len(names)).tolist())))


def _worst(
    labels: Int[np.ndarray, " image"], predicted: Int[np.ndarray, " image"], *, at_most: int
) -> Int[np.ndarray, " class"]:
    """Numbers of the classes that have images and the lowest accuracy, in the order of the classes."""
    numbers, n_images = np.unique(labels, return_counts=True)
    n_right = np.bincount(labels[labels == predicted], minlength=labels.max() + 1)[numbers]
    worst_first = np.lexsort((-n_images, n_right / n_images))
    return np.sort(numbers[worst_first[:at_most]])


def listed_accuracies(table: Confusion) -> tuple[ClassAccuracy, ...]:
    """Accuracy of every class that has a row of its own in a table, and images, in their order."""
    own = [
        (name, counts[number], sum(counts))
        for number, (name, counts) in enumerate(zip(table.class_names, table.counts, strict=True))
        if number < MOST_CLASSES
    ]
    return tuple(ClassAccuracy(name, right / count, count) for name, right, count in own if count)


def parse_confusion(document: Mapping[str, Any]) -> Confusion:
    """The record of `dataclasses.asdict`, also after a journey through JSON.

    Raises:
        TypeError: keys that are unknown.
        KeyError: keys that are missing.
    """
    lists = {"class_names": tuple(document["class_names"]), "counts": tuple(map(tuple, document["counts"]))}
    return Confusion(**{**document, **lists})

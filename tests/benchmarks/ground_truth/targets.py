"""The targets: what each asks for, on which side of the study it stands, and its pictures on disk."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

STUDY, HELD_OUT, CONFIRMATION = "study", "held-out", "confirmation"


@dataclass(frozen=True)
class Target:
    """One labelled task. `epochs`: of its fine-tunings, fewer for the large one so that none takes long."""

    name: str
    half: str
    epochs: int
    images_from: str
    note: str


# Fixed before any score was computed: choices are made on the study half, results are told of the other. The
# targets stand in pairs, one of each pair a side: digits, many signs, fine differences of signs, coloured drawings
# (here the one with noisy labels, there the imbalanced one), pictures by formula, and the two that are left.
TARGETS = (
    Target("mnist", STUDY, 9, "MNIST", "handwritten digits"),
    Target("scikit_digits", HELD_OUT, 12, "scikit-learn digits", "handwritten digits of 8 x 8 pixels, few"),
    Target("scripts", STUDY, 8, "Noto fonts", "writing system of one or two letters"),
    Target("capitals", HELD_OUT, 8, "DejaVu fonts", "letters A to Z; train and test in different fonts"),
    Target("font_style", STUDY, 9, "DejaVu and Noto fonts", "plain, bold, slanted or both; other letters in test"),
    Target("ethiopic", HELD_OUT, 4, "Noto fonts", "fifty characters of one script"),
    Target("clipart", STUDY, 8, "Open Clip Art Library", "topic; 10% of the train labels are wrong, none in test"),
    Target("emoji", HELD_OUT, 10, "Noto emoji", "kind; train is imbalanced, largest class ten times the smallest"),
    Target("textures", STUDY, 10, "drawn by formulas", "eight kinds of texture"),
    Target("polygons", HELD_OUT, 11, "drawn by formulas", "eight outlines or filled shapes, turned by any angle"),
    Target("icons", STUDY, 8, "Open Clip Art Library", "kinds and styles of icons and signs"),
    Target("counting", HELD_OUT, 9, "drawn by formulas", "one to five things of one shape"),
    # Made when the first twelve had been looked at and all constants were fixed: to judge these once, nothing else.
    Target("hieroglyphs", CONFIRMATION, 12, "Noto fonts", "kind of Egyptian sign; other signs in test"),
    Target(
        "printed_digits",
        CONFIRMATION,
        10,
        "DejaVu and Noto fonts",
        "0 to 9 in print; 10% of the train labels are wrong, none in test",
    ),
    Target(
        "letter_case", CONFIRMATION, 9, "DejaVu fonts", "small letter or capital; train and test in different fonts"
    ),
    Target("skin_tones", CONFIRMATION, 10, "Noto emoji", "five tones of skin; other people and hands in test"),
    Target("arrows", CONFIRMATION, 12, "drawn by formulas", "eight directions of arrows of three styles"),
    Target("clocks", CONFIRMATION, 9, "drawn by formulas", "hour that a clock shows, by its short hand"),
    Target(
        "food", CONFIRMATION, 12, "Open Clip Art Library and Noto emoji", "four kinds of food and drink in two styles"
    ),
    Target("digit_pairs", CONFIRMATION, 9, "MNIST", "two handwritten digits: the left one less, equal or greater"),
)


def targets_of(halves: Collection[str]) -> tuple[Target, ...]:
    """The targets of some halves, in their order."""
    return tuple(target for target in TARGETS if target.half in halves)


@dataclass(frozen=True)
class LabelledPictures:
    """uint8 [picture, 32, 32, 3] with one class number each; train and test share no picture."""

    train: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test: NDArray[np.uint8]
    test_labels: NDArray[np.int64]

    @property
    def n_classes(self) -> int:
        return len(np.unique(self.train_labels))


def save(pictures: LabelledPictures, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **vars(pictures))


def load(path: Path) -> LabelledPictures:
    with np.load(path) as arrays:
        return LabelledPictures(*(arrays[name] for name in ("train", "train_labels", "test", "test_labels")))

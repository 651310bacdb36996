"""Train and test drawings of the targets that are made of packages: digits, signs, coloured drawings."""

import string
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits

from tests.benchmarks.demo_pool.copies import rows_without_copies
from tests.benchmarks.demo_pool.drawings import (
    Cutout,
    Drawings,
    belongs_to_target,
    clipart,
    fitted,
    glyph,
    handwritten_digits,
    letters_of,
    stacked,
)
from tests.benchmarks.demo_pool.sources import Packages
from tests.benchmarks.demo_pool.sources import source_task as demo_source_task
from tests.benchmarks.demo_pool.targets import TEST_SHARE, split_rows
from tests.benchmarks.demo_pool.targets import target_drawings as demo_target_drawings

WRONG_LABEL_SHARE = 0.1
EMOJI_TRAIN_COUNTS = (60, 54, 46, 36, 28, 20, 15, 10, 8, 6)  # from the class with most emoji to that with fewest
ICON_FOLDERS = {
    "computer/icons/flat-theme": "flat icon",
    "computer/icons/lemon-theme": "lemon icon",
    "geography": "geography",
    "signs_and_symbols/flags": "flag",
    "signs_and_symbols/map_symbols": "map symbol",
    "office": "tool",
    "tools": "tool",
}
MNIST_PER_CLASS = (30, 40)  # digits to train on and to test on
MOST_ICONS_PER_CLASS = 130
ICONS_TEST_SHARE = 0.48
ETHIOPIC = (0x1208, 0x1246)
STYLES = {
    "plain": ("Regular", "Sans", "Serif", "Book"),
    "bold": ("Bold",),
    "slanted": ("Italic", "Oblique"),
    "bold and slanted": ("BoldItalic", "BoldOblique"),
}
STYLE_FAMILIES = ("DejaVuSans", "DejaVuSerif", "DejaVuSansCondensed", "DejaVuSerifCondensed", "NotoSans", "NotoSerif")


@dataclass(frozen=True)
class Parts:
    """Drawings to train on and to test on, each as often as it stands there."""

    train: Drawings
    test: Drawings


def drawn_parts(name: str, packages: Packages, dejavu: Path) -> Parts:
    if name in ("mnist", "scikit_digits"):
        return _digits(name)
    if name == "capitals":
        return _capitals(dejavu)
    if name == "font_style":
        return _font_style(packages.fonts, dejavu)
    if name == "ethiopic":
        return _ethiopic(packages.fonts)
    if name == "icons":
        return _icons(packages)
    parts = _demo_parts(name, packages)
    return _imbalanced(parts) if name == "emoji" else parts


def _digits(name: str) -> Parts:
    if name == "scikit_digits":
        return _some_per_class(stacked(_scikit_digits(), is_ink=True), n_train=20, n_test=50)
    kept = [cutout for cutout in handwritten_digits() if belongs_to_target(cutout.group)]
    n_train, n_test = MNIST_PER_CLASS
    return _some_per_class(stacked(kept, is_ink=True), n_train=n_train, n_test=n_test)


def _demo_parts(name: str, packages: Packages) -> Parts:
    """The demo's own drawings and split; none of them is in a source task, nor a near copy of one that is."""
    drawings = demo_target_drawings(name, packages)
    train, test = split_rows(drawings, held_out_share=TEST_SHARE, seed=4)
    return Parts(drawings.chosen(train), drawings.chosen(test))


def _some_per_class(drawings: Drawings, *, n_train: int, n_test: int) -> Parts:
    rows = rows_by_class(drawings.labels, seed=21)
    train = [row for members in rows.values() for row in members[:n_train]]
    test = [row for members in rows.values() for row in members[n_train : n_train + n_test]]
    return Parts(drawings.chosen(train), drawings.chosen(test))


def rows_by_class(labels: torch.Tensor, *, seed: int) -> dict[int, list[int]]:
    by_class = defaultdict(list)
    for row in np.random.default_rng(seed).permutation(len(labels)).tolist():
        by_class[int(labels[row])].append(row)
    return dict(sorted(by_class.items()))


def _scikit_digits() -> list[Cutout]:
    cutouts = []
    digits = load_digits()
    for number, (values, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        ink = Image.fromarray((values * 255 / 16).round().astype(np.uint8)).resize((48, 48), Image.Resampling.BICUBIC)
        drawing = Image.new("RGBA", ink.size)
        drawing.putalpha(ink)
        cutouts.append(Cutout(fitted(drawing), f"digit {label}", f"scikit/{number}"))
    return cutouts


def _capitals(dejavu: Path) -> Parts:
    """Every letter once in each font; no font on both sides."""
    fonts = sorted(path for path in dejavu.glob("DejaVu*.ttf") if "Math" not in path.stem)
    # per family the styles come one after the other: every third font makes both sides see all families
    test_fonts = fonts[::3]
    train_fonts = [font for font in fonts if font not in test_fonts]
    return Parts(_alphabet(train_fonts, copies=1), _alphabet(test_fonts, copies=2))


def _alphabet(fonts: Sequence[Path], *, copies: int) -> Drawings:
    cutouts = []
    for letter in string.ascii_uppercase:
        images = [glyph(letter, font) for font in fonts] * copies
        cutouts += [Cutout(image, letter, f"capital/{letter}") for image in images if image is not None]
    return stacked(cutouts, is_ink=True)


def _ethiopic(fonts_folder: Path) -> Parts:
    """Each character in four fonts, six pictures of each to train on and two to test on."""
    fonts = sorted(fonts_folder.glob("Noto*Ethiopic-*.ttf"))
    cutouts = []
    for character in letters_of(*ETHIOPIC)[:50]:
        images = [glyph(character, font) for font in fonts]
        cutouts += [Cutout(image, character, f"ethiopic/{character}") for image in images if image is not None]
    drawings = stacked(cutouts, is_ink=True)
    rows = list(range(len(cutouts)))
    return Parts(drawings.chosen(rows * 6), drawings.chosen(rows * 2))


def _font_style(noto: Path, dejavu: Path) -> Parts:
    """Pairs of capitals; the pairs in test are others than those in train."""
    chance = np.random.default_rng(22)
    pairs = [first + second for first in string.ascii_uppercase for second in string.ascii_uppercase]
    pairs = chance.permutation(pairs).tolist()
    fonts = {style: _fonts_of_style(endings, [noto, dejavu]) for style, endings in STYLES.items()}
    sides = []
    for texts in (pairs[:80], pairs[80:160]):
        cutouts = []
        for style, members in fonts.items():
            for text in texts:
                image = glyph(text, members[chance.integers(len(members))])
                if image is not None:
                    cutouts.append(Cutout(image, style, f"style/{text}"))
        sides.append(stacked(cutouts, is_ink=True))
    return Parts(*sides)


def _fonts_of_style(endings: Sequence[str], folders: Sequence[Path]) -> list[Path]:
    names = {f"{family}-{ending}.ttf" for family in STYLE_FAMILIES for ending in endings}
    if "Regular" in endings:
        names |= {f"{family}.ttf" for family in STYLE_FAMILIES}  # DejaVu's plain fonts have no ending
    return sorted(path for folder in folders for path in folder.glob("*.ttf") if path.name in names)


def _icons(packages: Packages) -> Parts:
    """Icons of the clip-art library by the folder they stand in; none like one of the source task."""
    cutouts = clipart(packages.clipart, ICON_FOLDERS)
    drawings = stacked(cutout for cutout in cutouts if belongs_to_target(cutout.group))
    drawings = drawings.chosen(rows_without_copies(drawings.rgba, demo_source_task("clipart", packages).rgba))
    rows = rows_by_class(drawings.labels, seed=23).values()
    drawings = drawings.chosen(sorted(row for members in rows for row in members[:MOST_ICONS_PER_CLASS]))
    train, test = split_rows(drawings, held_out_share=ICONS_TEST_SHARE, seed=24)
    return Parts(drawings.chosen(train), drawings.chosen(test))


def _imbalanced(parts: Parts) -> Parts:
    rows = rows_by_class(parts.train.labels, seed=25)
    largest_first = sorted(rows, key=lambda label: -len(rows[label]))
    kept = [row for label, count in zip(largest_first, EMOJI_TRAIN_COUNTS, strict=True) for row in rows[label][:count]]
    return Parts(parts.train.chosen(sorted(kept)), parts.test)


def with_wrong_labels(labels: torch.Tensor, n_classes: int) -> torch.Tensor:
    """A tenth of the labels, drawn at random, each replaced by one of the other classes."""
    chance = np.random.default_rng(26)
    wrong = chance.permutation(len(labels))[: round(WRONG_LABEL_SHARE * len(labels))]
    changed = labels.clone()
    changed[wrong] = (labels[wrong] + torch.from_numpy(chance.integers(1, n_classes, size=len(wrong)))) % n_classes
    return changed

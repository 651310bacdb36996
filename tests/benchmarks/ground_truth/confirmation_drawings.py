"""Train and test drawings of the confirmation targets that are made of packages."""

import json
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tests.benchmarks.demo_pool.copies import rows_without_copies
from tests.benchmarks.demo_pool.drawings import (
    GENDER_CODES,
    Cutout,
    Drawings,
    belongs_to_target,
    clipart,
    emoji,
    fitted,
    glyph,
    handwritten_digits,
    stacked,
)
from tests.benchmarks.demo_pool.sources import Packages
from tests.benchmarks.demo_pool.sources import source_task as demo_source_task
from tests.benchmarks.demo_pool.targets import split_rows

from .target_drawings import MNIST_PER_CLASS, Parts, rows_by_class

# Letters of Gardiner's list of signs.
HIEROGLYPH_KINDS = {
    "A": "man",
    "D": "part of the body",
    "E": "mammal",
    "G": "bird",
    "M": "plant",
    "N": "sky, earth or water",
    "O": "building",
    "V": "rope or basket",
}
DIGIT_FAMILIES = ("NotoSans", "NotoSerif", "NotoSansDisplay", "NotoSerifDisplay")
# Greek, Cyrillic and Armenian small letters whose capitals are of another shape.
TWO_SHAPED_LETTERS = "αβγδεζηλμνξσυωабеաբգդեզէըթժիլխծկհձղճմյնշչպջռվտրցքֆ"
SKIN_TONES = {
    "1F3FB": "1 light",
    "1F3FC": "2 medium light",
    "1F3FD": "3 medium",
    "1F3FE": "4 medium dark",
    "1F3FF": "5 dark",
}
FOOD_FOLDERS = {
    "food/beverages": "drink",
    "food/desserts": "sweet",
    "food/fruit": "fruit",
    "food/meats_and_eggs": "dish",
    "food/breads_and_carbs": "dish",
}
FOOD_EMOJI = {
    "drink": "drink",
    "food-sweet": "sweet",
    "food-fruit": "fruit",
    "food-prepared": "dish",
    "food-asian": "dish",
}
PAIR_DIGITS = (0, 1, 2, 3)


def confirmation_parts(name: str, packages: Packages, dejavu: Path) -> Parts:
    if name == "hieroglyphs":
        return _hieroglyphs(packages.fonts)
    if name == "printed_digits":
        return _printed_digits(packages.fonts, dejavu)
    if name == "letter_case":
        return _letter_case(dejavu)
    if name == "skin_tones":
        return _skin_tones(packages)
    if name == "food":
        return _food(packages)
    return _digit_pairs()


def _hieroglyphs(fonts: Path) -> Parts:
    """Signs and their variants (A6, A6A, A6B) stay on one side; each of test stands there twice."""
    font = fonts / "NotoSansEgyptianHieroglyphs-Regular.ttf"
    cutouts = []
    for code in range(0x13000, 0x13430):
        sign = re.fullmatch(r"EGYPTIAN HIEROGLYPH ([A-Z])(\d+)[A-Z]?", unicodedata.name(chr(code), ""))
        image = glyph(chr(code), font) if sign and sign[1] in HIEROGLYPH_KINDS else None
        if sign and image is not None:
            cutouts.append(Cutout(image, HIEROGLYPH_KINDS[sign[1]], f"hieroglyph/{sign[1]}{sign[2]}"))
    return _split(stacked(cutouts, is_ink=True), held_out_share=0.5, n_train=22, n_test=20, copies=2)


def _printed_digits(noto: Path, dejavu: Path) -> Parts:
    """Every digit once in each font; no font on both sides."""
    fonts = [path for family in DIGIT_FAMILIES for path in sorted(noto.glob(f"{family}-*.ttf"))]
    fonts += [path for path in sorted(dejavu.glob("DejaVu*.ttf")) if "Math" not in path.stem]
    return Parts(_digits_in(fonts[::2], copies=1), _digits_in(fonts[1::2], copies=2))


def _digits_in(fonts: Sequence[Path], *, copies: int) -> Drawings:
    images = [(digit, glyph(digit, font)) for digit in "0123456789" for font in fonts]
    cutouts = [Cutout(image, digit, f"printed/{digit}") for digit, image in images if image is not None]
    return stacked(cutouts * copies, is_ink=True)


def _letter_case(dejavu: Path) -> Parts:
    """The same letters in other fonts; none of the fonts is one of the source task `letters`."""
    chance = np.random.default_rng(51)
    fonts = [path for path in sorted(dejavu.glob("DejaVu*.ttf")) if "Math" not in path.stem]
    return Parts(_both_cases(fonts[::2], chance, copies=2), _both_cases(fonts[1::2], chance, copies=3))


def _both_cases(fonts: Sequence[Path], chance: np.random.Generator, *, copies: int) -> Drawings:
    """Every letter and its capital, each in a few of the fonts that have it."""
    cutouts = []
    for letter in TWO_SHAPED_LETTERS:
        for text, case in ((letter, "small"), (letter.upper(), "capital")):
            images = [image for font in fonts if (image := glyph(text, font)) is not None]
            chosen = chance.choice(len(images), size=copies, replace=False)
            cutouts += [Cutout(images[number], case, f"case/{letter}") for number in chosen]
    return stacked(cutouts, is_ink=True)


def _skin_tones(packages: Packages) -> Parts:
    """People and hands that no source task has in any tone; all tones of one are on one side."""
    cutouts = []
    for entry in json.loads((packages.emoji / "emoji.json").read_text()):
        codes = [code for code in entry["unified"].split("-") if code not in GENDER_CODES]
        group = "emoji/" + ("-".join(codes) or entry["unified"])
        for tone, variation in entry.get("skin_variations", {}).items():
            path = packages.emoji / "img" / "google" / "64" / variation["image"]
            if tone in SKIN_TONES and path.exists() and belongs_to_target(group):
                with Image.open(path) as image:
                    cutouts.append(Cutout(fitted(image), SKIN_TONES[tone], group))
    drawings = _unseen(stacked(cutouts), "emoji", packages)
    return _split(drawings, held_out_share=0.6, n_train=36, n_test=64)


def _food(packages: Packages) -> Parts:
    """Two styles of drawing in every class; each drawing of test stands there three times."""
    cutouts = [*clipart(packages.clipart, FOOD_FOLDERS), *emoji(packages.emoji, FOOD_EMOJI)]
    drawings = stacked(cutout for cutout in cutouts if belongs_to_target(cutout.group))
    return _split(_unseen(drawings, "clipart+emoji", packages), held_out_share=0.4, copies=3)


def _digit_pairs() -> Parts:
    """Two handwritten digits side by side, of those that neither a source task nor the target `mnist` has."""
    kept = [cutout for cutout in handwritten_digits() if belongs_to_target(cutout.group)]
    rows = rows_by_class(stacked(kept, is_ink=True).labels, seed=21)
    images = [[kept[row].image for row in rows[digit][sum(MNIST_PER_CLASS) :]] for digit in PAIR_DIGITS]
    chance = np.random.default_rng(53)
    halves = [
        [members[: len(members) // 2] for members in images],
        [members[len(members) // 2 :] for members in images],
    ]
    return Parts(_pairs(halves[0], chance, per_class=72), _pairs(halves[1], chance, per_class=110))


def _pairs(images: Sequence[Sequence[Image.Image]], chance: np.random.Generator, *, per_class: int) -> Drawings:
    numbers = range(len(images))
    sides = {
        "less": [(left, right) for left in numbers for right in numbers if left < right],
        "equal": [(number, number) for number in numbers],
        "greater": [(left, right) for left in numbers for right in numbers if left > right],
    }
    cutouts = []
    for relation, pairs in sides.items():
        for number in range(per_class):
            pair = pairs[number % len(pairs)]
            drawing = Image.new("RGBA", (96, 48))
            for place, digit in enumerate(pair):
                drawing.paste(images[digit][chance.integers(len(images[digit]))], (48 * place, 0))
            cutouts.append(Cutout(fitted(drawing), relation, f"pair/{relation}/{number}"))
    return stacked(cutouts, is_ink=True)


def _unseen(drawings: Drawings, source: str, packages: Packages) -> Drawings:
    """Without near copies of drawings of a source task and of one another."""
    return drawings.chosen(rows_without_copies(drawings.rgba, demo_source_task(source, packages).rgba))


def _split(
    drawings: Drawings, *, held_out_share: float, n_train: int | None = None, n_test: int | None = None, copies: int = 1
) -> Parts:
    """At most so many rows a class, groups on one side; `copies`: how often each drawing stands in test."""
    train, test = split_rows(drawings, held_out_share=held_out_share, seed=52)
    return Parts(
        drawings.chosen(_at_most(drawings.labels, train, n_train)),
        drawings.chosen(_at_most(drawings.labels, test, n_test) * copies),
    )


def _at_most(labels: torch.Tensor, rows: Sequence[int], most: int | None) -> list[int]:
    by_class = rows_by_class(labels[list(rows)], seed=54)
    return sorted(rows[place] for places in by_class.values() for place in places[:most])

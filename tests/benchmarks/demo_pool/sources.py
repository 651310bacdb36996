"""The source tasks of the pool, made of drawings that are in no target."""

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import torch

from .drawings import (
    Cutout,
    Drawings,
    belongs_to_target,
    clipart,
    emoji,
    glyph,
    handwritten_digits,
    stacked,
)

FEWEST_PER_CLASS = 10
MOST_PER_CLASS = 60
LETTERS = {
    "latin": "abcdefghijklmnopqrstuvwxyz",
    "greek": "αβγδεζηθλμξπστφχψω",
    "cyrillic": "бвгджийлмнптфцчшщыэюя",
}
LETTER_FONTS = ("NotoSans", "NotoSerif", "NotoSansDisplay", "NotoSerifDisplay")
CLIPART_FOLDERS = (
    "animals", "animals/birds", "animals/bugs", "animals/mammals", "buildings", "computer/buttons",
    "computer/hardware", "computer/icons/flat-theme/action", "computer/icons/flat-theme/applications",
    "computer/icons/lemon-theme", "education", "electronics", "food", "food/beverages", "food/desserts",
    "food/fruit", "geography", "office", "people", "people/smilies", "people/stickmen", "plants",
    "recreation/games", "recreation/music", "recreation/party", "recreation/sports", "shapes/arrows",
    "shapes/jigsaw", "shapes/stars", "signs_and_symbols", "signs_and_symbols/flags", "signs_and_symbols/led",
    "signs_and_symbols/map_symbols", "special/gradients", "special/patterns", "tools", "tools/weapons",
    "transportation", "transportation/aiga-symbols", "transportation/roadsigns",
)  # fmt: skip


@dataclass(frozen=True)
class Packages:
    """Where the three packages of images are unpacked."""

    clipart: Path
    emoji: Path
    fonts: Path


@dataclass(frozen=True)
class SourceTask:
    """Drawings of one or several packages under one list of classes; `is_ink` is one flag per drawing."""

    rgba: torch.Tensor
    labels: torch.Tensor
    is_ink: torch.Tensor
    groups: tuple[str, ...]
    class_names: tuple[str, ...]


def source_task(name: str, packages: Packages) -> SourceTask:
    """`letters`, `clipart`, `emoji`, `digits`, or several of them joined by `+`."""
    parts = [_single_task(part, packages) for part in name.split("+")]
    offsets = [sum(len(part.class_names) for part in parts[:number]) for number in range(len(parts))]
    return SourceTask(
        torch.cat([part.rgba for part in parts]),
        torch.cat([part.labels + offset for part, offset in zip(parts, offsets, strict=True)]),
        torch.cat([torch.full((len(part.labels),), part.is_ink) for part in parts]),
        tuple(group for part in parts for group in part.groups),
        tuple(class_name for part in parts for class_name in part.class_names),
    )


def _single_task(name: str, packages: Packages) -> Drawings:
    if name == "letters":
        return stacked(_letters(packages.fonts), is_ink=True)
    if name == "digits":
        return stacked(handwritten_digits(), is_ink=True)
    if name == "clipart":
        cutouts = clipart(packages.clipart, {folder: folder for folder in CLIPART_FOLDERS})
    else:
        entries = json.loads((packages.emoji / "emoji.json").read_text())
        kinds = {entry["subcategory"]: entry["subcategory"] for entry in entries}
        cutouts = emoji(packages.emoji, kinds)
    return stacked(_usable(cutout for cutout in cutouts if not belongs_to_target(cutout.group)))


def _letters(font_folder: Path) -> list[Cutout]:
    """Letters that look different in the three alphabets, every one in the upright and slanted fonts."""
    fonts = [path for family in LETTER_FONTS for path in sorted(font_folder.glob(f"{family}-*.ttf"))]
    cutouts = []
    for alphabet, letters in LETTERS.items():
        for letter in letters:
            images = [glyph(letter, font) for font in fonts]
            cutouts += [
                Cutout(image, f"{alphabet} {letter}", f"letter/{letter}/{number}")
                for number, image in enumerate(images)
                if image is not None
            ]
    return cutouts


def _usable(cutouts) -> list[Cutout]:
    """Classes with enough drawings, none with so many that it drowns the others."""
    by_class = defaultdict(list)
    for cutout in cutouts:
        by_class[cutout.class_name].append(cutout)
    counts = Counter({name: len(members) for name, members in by_class.items()})
    return [
        member
        for name, members in sorted(by_class.items())
        if counts[name] >= FEWEST_PER_CLASS
        for member in members[:: max(1, counts[name] // MOST_PER_CLASS)][:MOST_PER_CLASS]
    ]

"""The three labelled targets: which script, which clip-art topic, which kind of emoji."""

import io
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from datasets import ClassLabel, Dataset, Features
from datasets import Image as ImageFeature
from PIL import Image

from .composition import Variation, composed
from .copies import rows_without_copies
from .drawings import Cutout, Drawings, belongs_to_target, clipart, emoji, glyph, letters_of, stacked
from .sources import Packages, source_task

MAX_IMAGES_PER_CLASS = 110
TEST_SHARE = 0.42
SCRIPTS = {
    "Arabic": (0x0628, 0x064A),
    "Armenian": (0x0531, 0x0586),
    "Devanagari": (0x0915, 0x0939),
    "Ethiopic": (0x1200, 0x1248),
    "Georgian": (0x10D0, 0x10F0),
    "Gujarati": (0x0A95, 0x0AB9),
    "Hebrew": (0x05D0, 0x05EA),
    "Kannada": (0x0C95, 0x0CB9),
    "Lao": (0x0E81, 0x0EAE),
    "Tamil": (0x0B95, 0x0BB9),
    "Telugu": (0x0C15, 0x0C39),
    "Thai": (0x0E01, 0x0E2E),
}
CLIPART_TOPICS = {
    "animals": "animal",
    "buildings": "building",
    "food": "food",
    "people": "person",
    "plants": "plant",
    "recreation/music": "music",
    "signs_and_symbols/flags": "flag",
    "transportation": "transport",
}
EMOJI_KINDS = {
    "animal": ["animal-bird", "animal-bug", "animal-mammal", "animal-marine", "animal-reptile"],
    "face": [
        "face-affection",
        "face-concerned",
        "face-negative",
        "face-smiling",
        "face-neutral-skeptical",
        "face-unwell",
    ],
    "flag": ["country-flag"],
    "food": ["dishware", "drink", "food-asian", "food-fruit", "food-prepared", "food-sweet", "food-vegetable"],
    "hand or body": ["body-parts", "hand-fingers-closed", "hand-fingers-open", "hand-fingers-partial", "hands"],
    "object": ["book-paper", "clothing", "household", "mail", "musical-instrument", "office", "tool"],
    "person": ["person", "person-activity", "person-fantasy", "person-role", "person-sport"],
    "place or sky": ["place-building", "place-geographic", "place-other", "place-religious", "sky & weather"],
    "symbol": ["arrow", "av-symbol", "geometric", "other-symbol", "religion", "warning", "zodiac"],
    "transport": ["transport-air", "transport-ground", "transport-water"],
}
LOOK = Variation(tilt_degrees=10.0, smallest_scale=0.85, shift=0.05, noise=0.03, clutter=0.0, colour=0.0)
TARGETS = ("scripts", "clipart", "emoji")


def target_drawings(name: str, packages: Packages) -> Drawings:
    if name == "scripts":
        return stacked(_script_cutouts(packages.fonts), is_ink=True)
    if name == "clipart":
        cutouts = clipart(packages.clipart, CLIPART_TOPICS)
    else:
        cutouts = emoji(packages.emoji, {part: kind for kind, parts in EMOJI_KINDS.items() for part in parts})
    drawings = stacked(cutout for cutout in cutouts if belongs_to_target(cutout.group))
    seen_in_training = source_task(name, packages).rgba
    drawings = drawings.chosen(rows_without_copies(drawings.rgba, seen_in_training))
    return drawings.chosen(_rows_at_most_per_class(drawings.labels))


def _script_cutouts(font_folder: Path) -> list[Cutout]:
    """One or two letters in a font of the script; train and test share letters, but no group of letters."""
    chance = np.random.default_rng(2)
    cutouts = []
    for script, (first, last) in SCRIPTS.items():
        fonts = sorted(font_folder.glob(f"Noto*{script}-*.ttf"))
        letters = letters_of(first, last)
        drawn = 0
        while drawn < 75:
            text = "".join(chance.choice(letters, size=chance.integers(1, 3)))
            image = glyph(text, fonts[chance.integers(len(fonts))])
            if image is not None:
                cutouts.append(Cutout(image, script, f"script/{text}"))
                drawn += 1
    return cutouts


def _rows_at_most_per_class(labels: torch.Tensor) -> list[int]:
    order = np.random.default_rng(3).permutation(len(labels))
    by_class = defaultdict(list)
    for row in order.tolist():
        by_class[int(labels[row])].append(row)
    return sorted(row for rows in by_class.values() for row in rows[:MAX_IMAGES_PER_CLASS])


def split_rows(drawings: Drawings, *, held_out_share: float, seed: int) -> tuple[list[int], list[int]]:
    """Rows kept and rows held out, class by class; a group is never on both sides."""
    chance = np.random.default_rng(seed)
    groups = sorted(set(drawings.groups))
    place = dict(zip(groups, chance.permutation(len(groups)), strict=True))
    kept, held_out, side = [], [], {}
    for label in range(len(drawings.class_names)):
        rows = [row for row, value in enumerate(drawings.labels.tolist()) if value == label]
        rows.sort(key=lambda row: place[drawings.groups[row]])
        for rank, row in enumerate(rows):
            is_held_out = side.setdefault(drawings.groups[row], rank < held_out_share * len(rows))
            (held_out if is_held_out else kept).append(row)
    return kept, held_out


def write_target(name: str, drawings: Drawings, folder: Path) -> dict[str, int]:
    """Writes train.parquet and test.parquet with typed columns; returns the number of images of each."""
    train, test = split_rows(drawings, held_out_share=TEST_SHARE, seed=4)
    generator = torch.Generator().manual_seed(5)
    sizes = {}
    for split, rows in (("train", train), ("test", test)):
        part = drawings.chosen(rows)
        is_ink = torch.full((len(rows),), part.is_ink)
        pictures = composed(part.rgba, generator, is_ink=is_ink, variation=LOOK)
        order = torch.randperm(len(rows), generator=generator)
        features = Features({"image": ImageFeature(), "label": ClassLabel(names=list(part.class_names))})
        columns = {
            "image": [{"bytes": _jpeg(pictures[row]), "path": None} for row in order],
            "label": part.labels[order].tolist(),
        }
        folder.mkdir(parents=True, exist_ok=True)
        Dataset.from_dict(columns, features=features).to_parquet(folder / f"{split}.parquet")
        sizes[split] = len(rows)
    return sizes


def _jpeg(picture: torch.Tensor) -> bytes:
    pixels = (picture * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=90, optimize=True)
    return stream.getvalue()

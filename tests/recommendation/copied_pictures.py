"""The demo's pictures, and what people do to pictures before they store them a second time."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from lead_hub.demo import target_folder

Picture = NDArray[np.uint8]


def demo_pictures(target: str) -> tuple[list[Picture], list[int]]:
    """Pictures and labels of an embedded dataset, in its order."""
    rows = pyarrow.parquet.read_table(target_folder(target) / "train.parquet").to_pylist()
    decoded = [np.asarray(Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB")) for row in rows]
    return decoded, [row["label"] for row in rows]


def every_kth(target: str, step: int) -> tuple[list[Picture], list[int]]:
    """A smaller set of the same classes: the demo's rows are in random order of classes."""
    decoded, labels = demo_pictures(target)
    return decoded[::step], labels[::step]


def compressed(picture: Picture, quality: int = 75) -> Picture:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(io.BytesIO(file.getvalue())).convert("RGB"))


def shifted(picture: Picture, by_px: int) -> Picture:
    """Moved right and down; what comes in repeats the edge."""
    grown = np.pad(picture, ((by_px, 0), (by_px, 0), (0, 0)), mode="edge")
    return np.ascontiguousarray(grown[: len(picture), : picture.shape[1]])


def cropped(picture: Picture, *edges: float, as_large: bool = True) -> Picture:
    """Left, upper, right and lower edge as shares of the whole; brought to the old size, or left as it is cut."""
    height, width = picture.shape[:2]
    box = [round(edge * side) for edge, side in zip(edges, (width, height, width, height), strict=True)]
    cut = Image.fromarray(picture).crop((box[0], box[1], box[2], box[3]))
    return np.asarray(cut.resize((width, height), Image.Resampling.BILINEAR) if as_large else cut)


def brightened(picture: Picture, factor: float) -> Picture:
    return np.asarray(ImageEnhance.Brightness(Image.fromarray(picture)).enhance(factor))


COPIES: dict[str, Callable[[Picture], Picture]] = {
    "compressed": compressed,
    "mirrored": lambda picture: np.ascontiguousarray(picture[:, ::-1]),
    "shifted by 5 px": lambda picture: shifted(picture, 5),
    "shifted by 2 px and compressed": lambda picture: compressed(shifted(picture, 2), 85),
    "darker": lambda picture: brightened(picture, 0.6),
    "brighter": lambda picture: brightened(picture, 1.15),
    "twice as large": lambda picture: np.asarray(Image.fromarray(picture).resize((96, 96), Image.Resampling.BICUBIC)),
    "a crop": lambda picture: cropped(picture, 0.1, 0.05, 0.95, 0.9),
    "a crop, as it is cut": lambda picture: cropped(picture, 0.1, 0.05, 0.95, 0.9, as_large=False),
}


def save_pictures(folder: Path, decoded: Sequence[Picture], labels: Sequence[int]) -> Path:
    """An image folder; its rows are in the order of classes, then of the pictures."""
    for number, (picture, label) in enumerate(zip(decoded, labels, strict=True)):
        path = folder / f"class {label}" / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    return folder

"""The targets: what each asks for, where its photographs are from, and its pictures on disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .photographs import Photograph, square_picture
from .sides import split, without_copies

HALF = "real"
FEWEST_A_CLASS = 7  # photographs that are left without copies


@dataclass(frozen=True)
class Target:
    """One labelled task.

    Attributes:
        name: of its folder and its rows.
        epochs: most passes of a fine-tuning.
        test_share: of the photographs of every class.
        most_a_class: photographs used of a class.
        images_from: the packages.
        licence: of the photographs; no picture is stored here.
        note: what it asks for.
        are_textures: whether the photographs are of surfaces, which are copied in more ways.
    """

    name: str
    epochs: int
    test_share: float
    most_a_class: int
    images_from: str
    licence: str
    note: str
    are_textures: bool = False


TARGETS = (
    Target(
        "things", 8, 0.45, 36, "Debian gcompris-qt-data 3.1-2",
        "public domain, CC0, CC BY, CC BY-SA 4.0 or GPL-2+, by picture", "kind of animal, building, tool or machine",
    ),
    Target(
        "deep_sky", 8, 0.4, 40, "Debian stellarium-data 0.22.2-1", "GPL-2+ and by picture",
        "cluster, galaxy or nebula of which type, by the package's catalogue",
    ),
    Target(
        "stamps", 8, 0.45, 30, "Debian tuxpaint-stamps-default 2022.06.04-1", "GPL-2",
        "topic of a thing cut out of its photograph",
    ),
    Target(
        "surfaces", 8, 0.4, 36, "Debian ufoai-textures 2.5-2, nexuiz-textures 2.5.2-12, redeclipse-data 1.6.0-1",
        "GPL, CC BY-SA, CC BY, CC0 or public domain, by picture", "material of a wall or floor", are_textures=True,
    ),
    Target(
        "terrain", 8, 0.4, 36, "Debian 0ad-data 0.0.26-1, ufoai-textures 2.5-2, supertuxkart-data 1.4+dfsg-2",
        "CC BY-SA 3.0, GPL, CC BY or CC0, by picture", "ground of which kind", are_textures=True,
    ),
    Target(
        "galaxies", 8, 0.38, 53, "Debian stellarium-data 0.22.2-1", "GPL-2+ and by picture",
        "shape of a galaxy, by the package's catalogue",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class LabelledPictures:
    """uint8 [picture, PIXELS, PIXELS, 3] with one class number each; train and test share no photograph."""

    class_names: tuple[str, ...]
    train: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test: NDArray[np.uint8]
    test_labels: NDArray[np.int64]


def write_target(target: Target, photographs: Sequence[Photograph], folder: Path) -> str:
    """Write the pictures as PNG under `train/CLASS` and `test/CLASS`; says how many there are.

    Names of the files are numbers in the order of the photographs' sources, which `sources.txt` lists.
    """
    photographs = sorted(photographs, key=lambda photograph: photograph.source)
    pictures = [square_picture(photograph) for photograph in photographs]
    labels = [photograph.label for photograph in photographs]
    kept = without_copies(pictures, labels, are_textures=target.are_textures)
    counts = {label: sum(photographs[one].label == label for one in kept) for label in {p.label for p in photographs}}
    kept = [one for one in kept if counts[photographs[one].label] >= FEWEST_A_CLASS]
    sides = split(
        [photographs[one].label for one in kept], test_share=target.test_share, most_a_class=target.most_a_class, seed=0
    )
    lines = []
    for side, chosen in (("train", sides.train), ("test", sides.test)):
        for position in chosen:
            number = kept[position]
            path = folder / side / photographs[number].label / f"{number:04}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pictures[number]).save(path)
            lines.append(f"{path.relative_to(folder)}\t{photographs[number].source}")
    (folder / "sources.txt").write_text("\n".join(lines) + "\n")
    left = ", ".join(f"{label} {count}" for label, count in sorted(counts.items()))
    return f"{len(photographs)} photographs; without copies {left}; {len(sides.train)} train, {len(sides.test)} test"


def load_target(folder: Path) -> LabelledPictures:
    """The pictures of `write_target`; classes by name in order."""
    class_names = tuple(sorted(path.name for path in (folder / "train").iterdir()))
    train, test = (_load_side(folder / side, class_names) for side in ("train", "test"))
    return LabelledPictures(class_names, *train, *test)


def _load_side(folder: Path, class_names: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    paths = sorted(folder.glob("*/*.png"), key=lambda path: path.name)
    pictures = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths])
    return pictures, np.array([class_names.index(path.parent.name) for path in paths], dtype=np.int64)

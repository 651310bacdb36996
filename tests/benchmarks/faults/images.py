"""60 datasets that are not as they should be: each is refused in words, or ranked with a note on what is missing."""

import io
import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from lead_hub import LeadHubError, recommend
from tests.benchmarks.faults.trial import Trial, clear_error
from tests.conftest import COLOURS, coloured_images
from tests.tiny_checkpoints import save_checkpoint, tiny_processor
from tests.tiny_families import FAMILIES

Damage = Callable[[Path], object]
N_IMAGES = 30  # of each of three classes: one unreadable image is within the limit


def png(level: int = 120) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((20, 20, 3), level, np.uint8)).save(file, "PNG")
    return file.getvalue()


def write(content: bytes, folder: Path, *, name: str = "red/000.png") -> None:
    (folder / name).write_bytes(content)


def keep(n_images: int, folder: Path, *, name: str = "red") -> None:
    for path in sorted((folder / name).iterdir())[n_images:]:
        path.unlink()


def replaced(content: bytes, folder: Path) -> None:
    for path in folder.rglob("*.png"):
        path.write_bytes(content)


def only(names: tuple[str, ...], folder: Path) -> None:
    for path in folder.iterdir():
        if path.name not in names:
            shutil.rmtree(path)


def link(target: str, folder: Path) -> None:
    (folder / "red/000.png").unlink()
    (folder / "red/000.png").symlink_to(target)


def table(rows: list[dict[str, object]], folder: Path) -> None:
    """The folder holds one parquet file in place of its images."""
    shutil.rmtree(folder)
    folder.mkdir()
    pd.DataFrame(rows).to_parquet(folder / "train.parquet")


def row(label: object, image: object = None) -> dict[str, object]:
    return {"image": {"bytes": png(), "path": None} if image is None else image, "label": label}


BROKEN = {
    "empty": b"",
    "cut": png()[:60],
    "text": b"no image",
    "html": b"<html>404</html>",
    "zeros": bytes(4096),
    "half": png()[: len(png()) // 2],
    "gif header": b"GIF89a",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "jpeg header": b"\xff\xd8\xff\xe0",
    "webp header": b"RIFF\x00\x00\x00\x00WEBP",
}
# A few bad files are noted.
NOTED: dict[str, Damage] = {
    **{f"one image is {name}": partial(write, content) for name, content in BROKEN.items()},
    "a broken link": partial(link, "/nowhere/at/all.png"),
    "a class of one": partial(keep, 1),
    "a class of none": partial(keep, 0),
}
# Too many are refused, and so is what is no classification.
REFUSED: dict[str, Damage] = {
    **{f"every image is {name}": partial(replaced, content) for name, content in BROKEN.items()},
    "one class": partial(only, ("red",)),
    "no class": partial(only, ()),
    "no images": lambda folder: [path.unlink() for path in folder.rglob("*.png")],
    "classes of one": lambda folder: [keep(1, folder, name=name) for name in COLOURS],
    "nothing there": shutil.rmtree,
    "a file": lambda folder: (shutil.rmtree(folder), folder.write_text("x")),
    "text files": lambda folder: [path.rename(path.with_suffix(".txt")) for path in folder.rglob("*.png")],
    "named like splits": lambda folder: [
        (folder / old).rename(folder / new) for old, new in zip(COLOURS, ("train", "test", "validation"), strict=True)
    ],
    "parquet: no rows": partial(table, []),
    "parquet: one class": partial(table, [row("a")] * 9),
    "parquet: no labels": partial(table, [row(None)] * 9),
    "parquet: labels of lists": partial(table, [row(["a", "b"])] * 9),
    "parquet: labels of numbers with a point": partial(table, [row(number / 7) for number in range(9)]),
    "parquet: images of text": partial(table, [row("ab"[number % 2], "text") for number in range(9)]),
    "parquet: images of nothing": partial(table, [row("ab"[n % 2], {"bytes": b"", "path": None}) for n in range(9)]),
    "parquet: no image column": partial(table, [{"label": "ab"[number % 2]} for number in range(9)]),
    "parquet: damaged": lambda folder: (table([row("a")], folder), (folder / "train.parquet").write_bytes(b"PAR1")),
}
# These may be either, as long as somebody is told, or nothing is missing.
EITHER: dict[str, Damage] = {
    "a fifo among the images": lambda folder: os.mkfifo(folder / "red/pipe.png"),
    "a link to itself": lambda folder: (folder / "red/loop").symlink_to(folder),
    "brackets in names": lambda folder: (folder / "red").rename(folder / "r[e]d*"),
    "names beyond ASCII": lambda folder: (folder / "red").rename(folder / "ばら \N{ROSE}"),
    "blanks in names": lambda folder: (folder / "red").rename(folder / " red "),
    "hidden files": lambda folder: write(b"x", folder, name="red/.DS_Store"),
    "a text beside": lambda folder: write(b"x", folder, name="notes.txt"),
    "a csv beside": lambda folder: write(b"a,b\n", folder, name="metadata.csv"),
    "a damaged jsonl": lambda folder: write(b"{", folder, name="metadata.jsonl"),
    "a damaged card": lambda folder: write(b"---\nconfigs: 7\n---\n", folder, name="README.md"),
    "a card that is no text": lambda folder: write(b"\xff\xfe\x00", folder, name="README.md"),
    "a card that splits strangely": lambda folder: write(
        b"---\nconfigs:\n- config_name: default\n  data_files: nothing/**\n---\n", folder, name="README.md"
    ),
    "endings in capitals": lambda folder: [path.rename(path.with_suffix(".PNG")) for path in folder.rglob("*.png")],
    "wrong endings": lambda folder: [path.rename(path.with_suffix(".jpg")) for path in folder.rglob("*.png")],
    "images of one pixel": partial(replaced, png()[:0] or png(1)),
    "all images equal": partial(replaced, png(9)),
    "folders in folders": lambda folder: shutil.move(folder / "red", folder / "green" / "red"),
    "a class in two places": lambda folder: shutil.copytree(folder / "red", folder / "more" / "red"),
    "a model beside": lambda folder: write(b"{}", folder, name="config.json"),
    "a zip beside": lambda folder: write(b"PK\x05\x06" + bytes(18), folder, name="more.zip"),
}


def trials(folder: Path) -> Iterator[Trial]:
    """Sixty folders of images, each damaged in one way."""
    family = FAMILIES["vit"]
    model = save_checkpoint(folder / "model", family.build(head=True), tiny_processor(family.processor))
    whole = coloured_images(folder / "whole", classes=COLOURS, n_images=N_IMAGES, size=24)
    number = 0
    for kind, damages in (("noted", NOTED), ("refused", REFUSED), ("either", EITHER)):
        for name, damage in damages.items():
            number += 1
            images = folder / str(number) / "images"
            yield Trial(f"{name} ({kind})", partial(told, kind, damage, images, whole=whole, model=model))


def told(kind: str, damage: Damage, images: Path, *, whole: Path, model: Path) -> str:
    shutil.copytree(whole, images)
    damage(images)
    run = partial(recommend, images, model, cache_dir=images.parent / "cache", progress=False)
    found = clear_error(run)
    if isinstance(found, LeadHubError):
        is_clear = kind in ("refused", "either") and len(str(found)) > 40
        return "" if is_clear else f"refused: {found}"
    if kind == "refused":
        return f"ranked on {found.dataset.n_images} images, notes {found.dataset.notes}"
    complete = found.dataset.n_images >= 3 * N_IMAGES
    return "" if found.dataset.notes or complete else f"{found.dataset.n_images} images and no note"

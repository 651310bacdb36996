"""Photographs of a camera's size are kept smaller, once for all checkpoints: what that changes is next to nothing."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
import torch
from PIL import Image

from lead_hub import demo
from lead_hub.checkpoint_outputs import ExtractionSettings, extract, load_checkpoint
from lead_hub.labelled_images import Pixels
from lead_hub.labelled_images.rgb import STORED_SHORT_SIDE_PX, rgb_pixels
from lead_hub.processes import running_processes
from lead_hub.transferability import score

PER_CLASS = 8
SHORT_SIDE_PX = 2000
# Of the features' length. Two reductions of a picture in place of one, both antialiased, differ by rounding and by the
# form of the filter; the noise of a camera is beyond both.
LARGEST_CHANGE = 0.05


def as_by_a_camera(photograph: Image.Image, number: int) -> bytes:
    """A photograph enlarged to six megapixels and more, with detail of its own in every pixel."""
    factor = SHORT_SIDE_PX / min(photograph.size)
    large = photograph.convert("RGB").resize(
        [round(factor * side) for side in photograph.size], Image.Resampling.LANCZOS
    )
    grain = np.random.default_rng(number).integers(-12, 13, (large.height, large.width, 1), dtype=np.int16)
    file = io.BytesIO()
    pixels = (np.asarray(large, dtype=np.int16) + grain).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(file, "JPEG", quality=92)
    return file.getvalue()


class Whole(Sequence[Pixels]):
    """The same images in full size, decoded whenever they are read."""

    def __init__(self, files: Sequence[bytes]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, position: int) -> Pixels:  # type: ignore[override]
        return np.asarray(Image.open(io.BytesIO(self.files[position])).convert("RGB"))


@pytest.fixture(scope="module")
def photographs() -> tuple[list[bytes], torch.Tensor]:
    rows = pyarrow.parquet.read_table(demo.target_folder(demo.PHOTOGRAPHS) / "train.parquet")
    labels = rows["label"].to_numpy()
    chosen = np.concatenate([np.flatnonzero(labels == label)[:PER_CLASS] for label in np.unique(labels)])
    images = [rows["image"][int(row)].as_py()["bytes"] for row in chosen]
    files = [as_by_a_camera(Image.open(io.BytesIO(image)), number) for number, image in enumerate(images)]
    return files, torch.from_numpy(labels[chosen])


@pytest.mark.slow
def test_features_of_kept_pixels_are_those_of_the_whole_photographs(
    photographs: tuple[list[bytes], torch.Tensor],
) -> None:
    files, labels = photographs
    whole, kept = Whole(files), [rgb_pixels(file) for file in files]
    assert min(kept[0].shape[:2]) == STORED_SHORT_SIDE_PX < min(whole[0].shape[:2])
    scores: dict[str, list[float]] = {"whole": [], "kept": []}
    for candidate in demo.pool(demo.PHOTOGRAPHS):
        checkpoint = load_checkpoint(Path(candidate.checkpoint))
        found = {}
        for name, images in (("whole", whole), ("kept", kept)):
            settings = ExtractionSettings(device="cpu", dtype="float32")
            outputs = extract(
                checkpoint, images, processes=running_processes(), settings=settings, advance=lambda _n: None
            )
            found[name] = outputs.features
            scores[name].append(score(outputs.features, labels, "lead"))
        change = (found["kept"] - found["whole"]).norm(dim=1) / found["whole"].norm(dim=1)
        assert float(change.mean()) <= LARGEST_CHANGE, candidate.checkpoint
    orders = [np.argsort(of_board).tolist() for of_board in scores.values()]
    assert orders[0] == orders[1]

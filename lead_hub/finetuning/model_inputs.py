"""Labelled images -> what a model takes, in any order, as often as training asks, each time a little different.

Training images are moved by up to a twelfth of the side, and mirrored half of the time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from lead_hub.checkpoint_outputs import ImageSequence, LoadedCheckpoint, Preparation, prepared_batches

MOST_HELD_BYTES = 2 << 30  # prepared pixels beyond this are made anew in every epoch
PREPARED_AT_ONCE = 32


@runtime_checkable
class ModelInputs(Protocol):
    """Gives model input by position."""

    def batches(self, positions: Sequence[int], batch_size: int) -> Iterator[Float[Tensor, "image ..."]]:
        """Inputs at these positions, in that order, on the CPU; every batch but the last is full."""
        ...


@dataclass(frozen=True, eq=False)
class InputsInMemory:
    """Inputs in memory: prepared pixels, or features."""

    tensor: Float[Tensor, "image ..."]

    def batches(self, positions: Sequence[int], batch_size: int) -> Iterator[Float[Tensor, "image ..."]]:
        for start in range(0, len(positions), batch_size):
            yield self.tensor[torch.as_tensor(positions[start : start + batch_size], dtype=torch.int64)]


@dataclass(frozen=True, eq=False)
class StreamedInputs:
    """Inputs that the checkpoint's image processor makes while they are used, in threads.

    Attributes:
        checkpoint: whose image processor makes them.
        images: all of them.
        device: that uses them.
    """

    checkpoint: LoadedCheckpoint
    images: ImageSequence
    device: torch.device

    def batches(self, positions: Sequence[int], batch_size: int) -> Iterator[Float[Tensor, "image ..."]]:
        prepared, is_elsewhere = Preparation(self.images, self.checkpoint.prepare), self.device.type != "cpu"
        yield from prepared_batches(prepared, positions, batch_size, beside=is_elsewhere)


@dataclass(frozen=True, eq=False)
class Part:
    """Some images and their classes.

    Attributes:
        inputs: of a whole split.
        positions: the images of this part among them.
        labels: class of each image of the part.
    """

    inputs: ModelInputs
    positions: Int64[np.ndarray, " image"]
    labels: Int64[Tensor, " image"]

    def __len__(self) -> int:
        return len(self.positions)


@dataclass(frozen=True, eq=False)
class Parts:
    """The images of one training: to learn from, to choose by, and to measure on."""

    fit: Part
    validation: Part
    test: Part


def pixel_inputs(checkpoint: LoadedCheckpoint, images: ImageSequence, device: torch.device) -> ModelInputs:
    """All images through the checkpoint's own processor, for that device: once, where the result fits into memory.

    Raises:
        CandidateError: the image processor failed, or gives several shapes (stage "extract").
    """
    streamed = StreamedInputs(checkpoint, images, device)
    first = next(streamed.batches([0], 1))
    if first.nbytes * len(images) > MOST_HELD_BYTES:
        return streamed
    held = first.new_empty(len(images), *first.shape[1:])
    done = 0
    for batch in streamed.batches(range(len(images)), PREPARED_AT_ONCE):
        held[done : done + len(batch)] = batch
        done += len(batch)
    return InputsInMemory(held)


LARGEST_SHIFT = 12  # the side of a picture by this


def drawn_changes(
    n_images: int, *, pixels: Float[Tensor, "_ ..."], flip: bool, generator: torch.Generator
) -> Int64[Tensor, "image 3"]:
    """For each of `n_images` pictures: rows and columns to cut off from the padded picture, and 1 to mirror it.

    Args:
        n_images: pictures of the step, those of all processes: each draws for all, so that their number changes none.
        pixels: one or more pictures, for their size.
        flip: whether any is mirrored.
        generator: gives the random numbers.
    """
    if pixels.ndim != 4:
        return torch.zeros(n_images, 3, dtype=torch.int64)
    most = torch.tensor([2 * (side // LARGEST_SHIFT) + 1 for side in pixels.shape[-2:]] + [2 if flip else 1])
    return (torch.rand(n_images, 3, generator=generator) * most).long()


def changed(pixels: Float[Tensor, "image ..."], changes: Int64[Tensor, "image 3"]) -> Float[Tensor, "image ..."]:
    """The pictures [image, channel, height, width], changed; other model inputs (packed patches, features) as they are.

    What a shift brings in from outside repeats the picture's edge.
    """
    if pixels.ndim != 4:
        return pixels
    height, width = pixels.shape[-2:]
    down, right = height // LARGEST_SHIFT, width // LARGEST_SHIFT
    padded = functional.pad(pixels, [right, right, down, down], mode="replicate")
    pictures = [
        picture[:, top : top + height, left : left + width].flip(-1 if mirrored else ())
        for picture, (top, left, mirrored) in zip(padded, changes.tolist(), strict=True)
    ]
    return torch.stack(pictures)


def in_words(*, mode: str, flip: bool) -> str:
    """What is done to training images, for the record; SigLIP 2's packed patches are left as they are."""
    if mode == "probe":
        return "none"
    shift = f"shift of up to 1/{LARGEST_SHIFT} of the side"
    return f"{shift}, horizontal flip" if flip else shift

"""Labelled images -> what a model takes, in any order, as often as training asks for them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from lead_hub.extraction import ImageSequence, prepared_batches
from lead_hub.loaded_checkpoint import LoadedCheckpoint

MOST_HELD_BYTES = 2 << 30  # prepared pixels beyond this are made anew in every epoch
PREPARED_AT_ONCE = 32


@runtime_checkable
class ModelInputs(Protocol):
    """Model input by position."""

    def batches(self, positions: Sequence[int], batch_size: int) -> Iterator[Float[Tensor, "image ..."]]:
        """Inputs at these positions, in that order, on the CPU; every batch but the last is full."""
        ...


@dataclass(frozen=True, eq=False)
class HeldInputs:
    """Inputs in memory: prepared pixels, or features."""

    tensor: Float[Tensor, "image ..."]

    def batches(self, positions: Sequence[int], batch_size: int) -> Iterator[Float[Tensor, "image ..."]]:
        for start in range(0, len(positions), batch_size):
            yield self.tensor[torch.as_tensor(positions[start : start + batch_size], dtype=torch.int64)]


@dataclass(frozen=True, eq=False)
class StreamedInputs:
    """Inputs that the checkpoint's image processor makes ahead of the training, in threads."""

    checkpoint: LoadedCheckpoint
    images: ImageSequence

    def batches(self, positions: Sequence[int], batch_size: int) -> Iterator[Float[Tensor, "image ..."]]:
        yield from prepared_batches(self.checkpoint.prepare, self.images, positions, batch_size)


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


def pixel_inputs(checkpoint: LoadedCheckpoint, images: ImageSequence) -> ModelInputs:
    """All images through the checkpoint's own processor: once, where the result fits into memory.

    Raises:
        CandidateError: the image processor failed, or gives several shapes (stage "extract").
    """
    streamed = StreamedInputs(checkpoint, images)
    first = next(streamed.batches([0], 1))
    if first.nbytes * len(images) > MOST_HELD_BYTES:
        return streamed
    held = first.new_empty(len(images), *first.shape[1:])
    done = 0
    for batch in streamed.batches(range(len(images)), PREPARED_AT_ONCE):
        held[done : done + len(batch)] = batch
        done += len(batch)
    return HeldInputs(held)

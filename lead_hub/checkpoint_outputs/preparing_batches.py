"""Images as model input, batch by batch, prepared in threads.

While another device computes, the processor prepares the batches that follow. Where the processor itself computes, its
cores cannot do both: a pass whose threads wait for one that prepares takes longer than both one after the other. There
all cores prepare a batch, and then all compute.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from lead_hub.checkpoint_outputs.loaded_checkpoint import LoadedCheckpoint
from lead_hub.checkpoint_outputs.shrunk_images import (
    PartOfShrunkImages,
    PixelArrays,
    Preparation,
    Shrunk,
    ShrunkImages,
)
from lead_hub.checkpoint_outputs.waiting_threads import Waiting
from lead_hub.labelled_images import Pixels
from lead_hub.processes import n_on_this_machine, to_one_core

MOST_PREPARING_THREADS = 8  # more of them only add contention
MOST_AHEAD_BYTES = 2 << 30  # of all processes of a machine

Prepare = Callable[[Sequence[Shrunk]], Tensor]


@runtime_checkable
class ImageSequence(Protocol):
    """Images by position: RGB, 8 bits."""

    def __len__(self) -> int: ...
    def __getitem__(self, position: int) -> Pixels: ...


def preparation(checkpoint: LoadedCheckpoint, images: ImageSequence, *, on_device: bool = False) -> Preparation:
    """How images become model input: a run's own of what they were shrunk to before, if they were."""
    if isinstance(images, (ShrunkImages, PartOfShrunkImages)):
        return images.prepared_by(checkpoint.image_processor, on_device=on_device)
    return Preparation(images, checkpoint.prepare)


def prepared_batches(
    preparation: Preparation, positions: Sequence[int], batch_size: int, *, beside: bool
) -> Iterator[Tensor]:
    """What the device gets of the images at these positions, batch by batch in order.

    Args:
        preparation: of the images.
        positions: of those that are wanted.
        batch_size: images a batch.
        beside: whether batches are prepared beside the passes, which compute elsewhere.
    """
    make = batches_ahead if beside else batches_in_turn
    return make(preparation.make, preparation.images, positions, batch_size)


def batches_in_turn(
    prepare: Prepare, images: PixelArrays, positions: Sequence[int], batch_size: int
) -> Iterator[Tensor]:
    """Batches that are prepared when they are asked for, each by all cores of this process, which run its pass as well.

    What is done with a batch until the next is asked for is its pass: its threads wait as is faster at present.
    """
    threads = preparing_threads(os.cpu_count() or 1)

    def prepared(some: Sequence[int]) -> Tensor:
        return prepare([images[position] for position in some])

    with (
        ThreadPoolExecutor(threads, "lead-hub-prepare", initializer=to_one_core()) as pool,
        closing(Waiting()) as waiting,
    ):
        for start in range(0, len(positions), batch_size):
            batch = positions[start : start + batch_size]
            a_part = -(-len(batch) // threads)
            parts = list(pool.map(prepared, [batch[n : n + a_part] for n in range(0, len(batch), a_part)]))
            # Whether images of several shapes are one batch is for the processor to say.
            same_shape = len({part.shape[1:] for part in parts}) == 1
            pixel_values = torch.cat(parts) if same_shape else prepared(batch)
            with waiting.batch():
                yield pixel_values


def batches_ahead(
    prepare: Prepare,
    images: PixelArrays,
    positions: Sequence[int],
    batch_size: int,
    *,
    most_bytes: int = MOST_AHEAD_BYTES,
) -> Iterator[Tensor]:
    """Batches that are prepared before they are asked for.

    Ahead are at most as many as threads, and no more than the bytes hold, but one in any case. How large one is the
    first tells.
    """
    threads = preparing_threads((os.cpu_count() or 1) - n_on_this_machine())
    starts = deque(range(0, len(positions), batch_size))
    pending: deque[Future[Tensor]] = deque()
    n_ahead = 1

    def prepare_from(start: int) -> Tensor:
        return prepare([images[position] for position in positions[start : start + batch_size]])

    with ThreadPoolExecutor(threads, thread_name_prefix="lead-hub-prepare") as pool:
        try:
            while starts or pending:
                while starts and len(pending) <= n_ahead:
                    pending.append(pool.submit(prepare_from, starts.popleft()))
                batch = pending.popleft().result()
                n_ahead = max(1, min(threads, most_bytes // n_on_this_machine() // max(1, batch.nbytes)))
                yield batch
        finally:
            for future in pending:
                future.cancel()


def preparing_threads(cores: int) -> int:
    """How many threads of this process prepare images, of cores that all processes of the machine share."""
    return max(1, min(MOST_PREPARING_THREADS, cores // n_on_this_machine()))

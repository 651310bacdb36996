"""Forward passes of one network over images, batch by batch, smaller ones where memory runs out."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from jaxtyping import Float
from torch import Tensor

from lead_hub.checkpoint_outputs.depths import BlockTaps
from lead_hub.checkpoint_outputs.loaded_checkpoint import LoadedCheckpoint
from lead_hub.checkpoint_outputs.number_format import passes_in
from lead_hub.checkpoint_outputs.preparing_batches import ImageSequence, preparation, prepared_batches
from lead_hub.errors import CandidateError

# What one batch gives: features, logits, and the asked blocks' numbers.
BatchOutputs: TypeAlias = tuple[Tensor, Tensor | None, tuple[Tensor, ...]]


class BatchedForward:
    """Forward passes in batches that shrink when memory runs out."""

    def __init__(
        self,
        checkpoint: LoadedCheckpoint,
        *,
        device: torch.device,
        dtype: torch.dtype,
        batch_size: int,
        taps: BlockTaps,
    ) -> None:
        self.checkpoint = checkpoint
        self.taps = taps
        self.device = device
        self.dtype = dtype
        self.batch_size = batch_size

    def over(
        self, images: ImageSequence, positions: Sequence[int], *, advance: Callable[[int], object], beside: bool
    ) -> tuple[
        Float[Tensor, "image feature"],
        Float[Tensor, "image source_class"] | None,
        tuple[Float[Tensor, "image _number"], ...],
    ]:
        """Features, logits and the asked blocks' numbers of the images at these positions, in that order, on the CPU.

        Without any block's numbers where one did not fit its rule.
        """
        self.checkpoint.model.to(self.device)
        features: list[Tensor] = []
        logits: list[Tensor] = []
        blocks: list[tuple[Tensor, ...]] = []
        with self.running():
            prepared = preparation(self.checkpoint, images, on_device=beside)
            for pixels in prepared_batches(prepared, positions, self.batch_size, beside=beside):
                for batch_features, batch_logits, batch_blocks in self.halving(pixels, prepared.finish):
                    features.append(batch_features)
                    logits += [] if batch_logits is None else [batch_logits]
                    blocks.append(batch_blocks)
                    advance(len(batch_features))
        depths = () if self.taps.unfit else tuple(torch.cat(parts) for parts in zip(*blocks, strict=True))
        return torch.cat(features), torch.cat(logits) if logits else None, depths

    @contextmanager
    def running(self) -> Iterator[None]:
        """Within the block passes are in the number format, without gradients, and the asked blocks are heard."""
        with torch.inference_mode(), passes_in(self.dtype, self.device), self.taps.listening():
            yield

    def halving(
        self, pixels: Tensor, finish: Callable[[Tensor], Tensor] = lambda pixel_values: pixel_values
    ) -> Iterator[BatchOutputs]:
        """Outputs of a prepared batch; out of memory halves the batch size from here on and goes on.

        Args:
            pixels: of the batch.
            finish: makes model input of them on the device.
        """
        start = 0
        while start < len(pixels):
            part = pixels[start : start + self.batch_size]
            try:
                outputs = self.forward(finish(part.to(self.device, non_blocking=True)))
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise CandidateError(
                        f"the model must accept what its own image processor prepares, pixels of shape"
                        f" {tuple(part.shape)}, but it failed: {error}",
                        stage="extract",
                    ) from error
                if self.batch_size == 1:
                    raise CandidateError(
                        f"one image of shape {tuple(part.shape[1:])} must fit into the memory of {self.device}, it"
                        f" does not ({error}): use a device with more memory or leave this checkpoint out",
                        stage="extract",
                    ) from error
                self.batch_size = -(-min(self.batch_size, len(part)) // 2)
            else:
                yield outputs
                start += len(part)
                continue
            clear_device_cache(garbage_collection=True)

    def forward(self, pixel_values: Tensor) -> BatchOutputs:
        features, logits = self.checkpoint.forward(pixel_values)
        blocks = tuple(block.cpu() for block in self.taps.taken())
        return features.float().cpu(), None if logits is None else logits.float().cpu(), blocks


# oneDNN's and the C++ library's words for a failed allocation on the CPU.
NO_MEMORY = ("could not create a memory object", "could not create a primitive", "std::bad_alloc")


def out_of_memory(error: Exception) -> bool:
    """Whether a smaller batch may help."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or should_reduce_batch_size(error):
        return True
    return any(words in str(error) for words in NO_MEMORY)

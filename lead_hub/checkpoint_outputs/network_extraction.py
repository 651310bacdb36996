"""One checkpoint x the labelled images -> its outputs with the tangent kernel of the whole network beside them."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from lead_hub.checkpoint_outputs.extraction import ExtractionSettings
from lead_hub.checkpoint_outputs.frozen_outputs import CheckpointOutputs
from lead_hub.checkpoint_outputs.loaded_checkpoint import LoadedCheckpoint
from lead_hub.checkpoint_outputs.network_kernel import network_kernels
from lead_hub.checkpoint_outputs.preparing_batches import ImageSequence, preparation, prepared_batches
from lead_hub.errors import CandidateError
from lead_hub.processes import Processes

# Less than for features alone, as activations are held until gradients have come back; halved when it does not fit.
BATCH_SIZE = {"cpu": 16, "cuda": 64}
MOST_IMAGES = 5000


def with_network_kernel(
    outputs: CheckpointOutputs,
    checkpoint: LoadedCheckpoint,
    images: ImageSequence,
    *,
    processes: Processes,
    settings: ExtractionSettings,
    advance: Callable[[int], object],
) -> CheckpointOutputs:
    """Run all images through the network again, about five times, with gradients, in float32.

    Every process computes all of it: a kernel has an entry for any two images. Where there is none, the outputs say
    why, and are as good as without for scores that need none.

    Args:
        outputs: of the same checkpoint on the same images.
        checkpoint: the model and its own image processor.
        images: all images.
        processes: that share the device's settings.
        settings: batch size and device.
        advance: called with 0 before every batch, to notice that nobody waits any more.
    """
    if len(images) > MOST_IMAGES:
        return replace(outputs, network=f"none: for at most {MOST_IMAGES:,} images, these are {len(images):,}")
    device = settings.torch_device(processes)
    batch_size = BATCH_SIZE.get(device.type, 16) if settings.batch_size == "auto" else settings.batch_size
    checkpoint.model.to(device)

    def batches() -> Iterator[Tensor]:
        prepared, some = preparation(checkpoint, images), max(2, batch_size)
        for pixels in prepared_batches(prepared, range(len(images)), some, beside=settings.beside(device)):
            advance(0)
            yield pixels

    try:
        kernels = network_kernels(checkpoint.model, lambda pixels: checkpoint.outputs(pixels)[0], batches)
    except CandidateError as error:
        return replace(outputs, network=f"none: {error}")
    return replace(outputs, network_kernel=packed_unit(kernels.adam), network="; ".join(kernels.notes))


def packed_unit(kernel: Float[Tensor, "image image"]) -> Float[Tensor, " pair"]:
    """The upper triangle, row by row, of the centred kernel of mean eigenvalue 1, float32."""
    centred = kernel - kernel.mean(dim=0) - kernel.mean(dim=1, keepdim=True) + kernel.mean()
    mean_eigenvalue = float(centred.trace()) / len(kernel)
    first, second = torch.triu_indices(len(kernel), len(kernel))
    return (centred / (mean_eigenvalue if mean_eigenvalue > 0 else 1.0))[first, second].float()

"""One checkpoint x the labelled images -> CheckpointOutputs, split over every process there is."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from jaxtyping import Float
from torch import Tensor

from lead_hub.checkpoint_outputs.depths import BlockTaps, block_taps, depth_kernel
from lead_hub.checkpoint_outputs.fast_layout import COMPARED, can_be_faster, in_fast_layout
from lead_hub.checkpoint_outputs.freed_memory import freed_memory_kept
from lead_hub.checkpoint_outputs.frozen_outputs import CheckpointOutputs, ImageOutputs
from lead_hub.checkpoint_outputs.loaded_checkpoint import LoadedCheckpoint
from lead_hub.checkpoint_outputs.number_format import (
    NumberFormat,
    checked_format,
    fast_dtype,
    passes_in,
    tried_positions,
)
from lead_hub.checkpoint_outputs.preparing_batches import prepared_batches
from lead_hub.checkpoint_outputs.shrunk_images import PartOfShrunkImages, Preparation, ShrunkImages
from lead_hub.errors import CandidateError, LeadHubError
from lead_hub.labelled_images import Pixels
from lead_hub.processes import Processes, gather_rows, guarded, on_every_process, on_main_process

Dtype = Literal["auto", "float32", "bfloat16", "float16"]

# Without a given batch size: large enough to keep the device busy, halved when it does not fit. On a processor the
# feature maps of fewer images are nearer to it: convolutions take a tenth less for 16 than for 32.
AUTO_BATCH_SIZE = {"cpu": 16, "cuda": 256}
# The kernel of several depths has an entry for every pair of images: for more images than this there is none.
MOST_IMAGES_FOR_DEPTHS = 5000


@runtime_checkable
class ImageSequence(Protocol):
    """Images by position: RGB, 8 bits."""

    def __len__(self) -> int: ...
    def __getitem__(self, position: int) -> Pixels: ...


@dataclass(frozen=True)
class ExtractionSettings:
    """How to run the forward passes; none of it may change which checkpoint wins.

    Attributes:
        batch_size: images a forward pass, or "auto"; halved when memory runs out.
        device: "auto" (the accelerator if there is one), or a torch device such as "cpu" or "cuda:1".
        dtype: number format of the forward pass; "auto" is bfloat16 where the processor or the GPU multiplies it in
            hardware, float16 on other GPUs, float32 elsewhere, and for a network that bears no other.
        auto_dtype: what "auto" is for a network that bears it, where that is decided already; None leaves it to each
            device.
    """

    batch_size: int | Literal["auto"] = "auto"
    device: str = "auto"
    dtype: str = "auto"  # one of Dtype, checked below because it may come from a command line
    auto_dtype: torch.dtype | None = None

    def __post_init__(self) -> None:
        if self.batch_size != "auto" and self.batch_size < 1:
            raise LeadHubError(f'batch_size must be "auto" or at least 1, found {self.batch_size!r}')
        if self.dtype not in {"auto", "float32", "bfloat16", "float16"}:
            raise LeadHubError(f"dtype must be auto, float32, bfloat16 or float16, found {self.dtype!r}")
        if self.device != "auto":
            check_device(self.device)

    def torch_device(self, processes: Processes) -> torch.device:
        """The device of this process."""
        return processes.device if self.device == "auto" else torch.device(self.device)

    def torch_dtype(self, device: torch.device) -> torch.dtype:
        """The number format on that device."""
        if self.dtype != "auto":
            return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[self.dtype]
        return self.auto_dtype or fast_dtype(device)

    def agreed(self, processes: Processes) -> "ExtractionSettings":
        """The same for all of them, as the main process's device decides: unlike machines would mix number formats.

        Every process of the run must ask for it.
        """
        return replace(
            self, auto_dtype=on_main_process(lambda: self.torch_dtype(self.torch_device(processes)), processes)
        )

    @property
    def falls_back(self) -> bool:
        """Whether a network that does not bear the number format is run in float32 instead."""
        return self.dtype == "auto"


def check_device(name: str) -> None:
    """Refuse a device that torch does not know or that is not here.

    Raises:
        LeadHubError: the device cannot hold a number.
    """
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:  # AssertionError: a torch built without that kind of device
        raise LeadHubError(
            f"device must be auto or a device of this machine such as cpu or cuda:0, found {name!r}: {error}"
        ) from error


def extract(
    checkpoint: LoadedCheckpoint,
    images: ImageSequence,
    *,
    processes: Processes,
    settings: ExtractionSettings,
    advance: Callable[[int], object],
) -> CheckpointOutputs:
    """Run every image once through a checkpoint, with gradients off, and ask a few of its blocks on the way.

    Args:
        checkpoint: the model and its own image processor.
        images: all images; the same ones in the same order for every checkpoint.
        processes: those that share the work.
        settings: batch size, device and number format.
        advance: called with the number of images done since the last call (all processes together); with 0 before
            some are tried.

    Raises:
        CandidateError: the forward pass failed, ran out of memory at one image, or gave NaN or infinity
            (stage "extract").
    """
    outputs = extract_images(checkpoint, images, processes=processes, settings=settings, advance=advance)
    on_device = settings.torch_device(processes)
    return on_every_process(guarded(partial(whole_outputs, outputs, on_device), stage="extract"), processes)


def extract_images(
    checkpoint: LoadedCheckpoint,
    images: ImageSequence,
    *,
    processes: Processes,
    settings: ExtractionSettings,
    advance: Callable[[int], object],
    positions: Sequence[int] | None = None,
) -> ImageOutputs:
    """What a checkpoint says of every single image: `whole_outputs` puts it together with that of others.

    Args:
        checkpoint: the model and its own image processor.
        images: all images of the run.
        processes: those that share the work.
        settings: batch size, device and number format.
        advance: called with the number of images done since the last call (all processes together).
        positions: of the images that are run; None means all.

    Raises:
        CandidateError: as `extract`.
    """
    device = settings.torch_device(processes)
    # With fewer images than processes some have none; they run the first, whose result nobody reads.
    wanted = range(len(images)) if positions is None else positions
    mine = wanted[processes.process_index :: processes.num_processes] or wanted[:1]
    batch_size = AUTO_BATCH_SIZE.get(device.type, 32) if settings.batch_size == "auto" else settings.batch_size
    taps = block_taps(checkpoint.backbone) if len(images) <= MOST_IMAGES_FOR_DEPTHS else too_many_images(len(images))
    with ExitStack() as stack:
        fastest = fastest_passes(checkpoint, images, device=device, settings=settings, check_wanted=partial(advance, 0))
        enter = partial(stack.enter_context, fastest)
        own_choice = on_every_process(guarded(enter, stage="extract"), processes)
        chosen = on_main_process(lambda: own_choice, processes)
        forward = BatchedForward(checkpoint, device=device, dtype=chosen.dtype, batch_size=batch_size, taps=taps)
        over_mine = partial(forward.over, images, mine, advance=lambda n: advance(n * processes.num_processes))
        features, logits, blocks = on_every_process(guarded(over_mine, stage="extract"), processes)
    gather = partial(gather_rows, n_rows=len(wanted), processes=processes)
    pooled, depths = gathered_blocks(blocks, taps, n_mine=len(features), gather=gather)
    return ImageOutputs(
        features=gather(features),
        logits=None if logits is None else gather(logits),
        blocks=pooled,
        depths=depths,
        family=checkpoint.family,
        parameters=checkpoint.parameters,
        pooling=checkpoint.pooling,
        processor=checkpoint.processor,
        dtype=str(chosen.dtype).removeprefix("torch."),
        dtype_reason=chosen.reason,
        device=f"cuda: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else device.type,
    )


@contextmanager
def fastest_passes(
    checkpoint: LoadedCheckpoint,
    images: ImageSequence,
    *,
    device: torch.device,
    settings: ExtractionSettings,
    check_wanted: Callable[[], object] = lambda: None,
) -> Iterator[NumberFormat]:
    """Within the block the model is on the device, in the layout that is fastest there, tried on a few of the images.

    Yields:
        The number format in which to run it.
    """
    model, dtype = checkpoint.model.to(device), settings.torch_dtype(device)
    is_in_question = settings.falls_back and dtype != torch.float32

    def run(some_pixels: Tensor, some_dtype: torch.dtype = torch.float32) -> Tensor:
        check_wanted()
        taps, n_images = BlockTaps({}, None, "none: tried"), len(some_pixels)
        forward = BatchedForward(checkpoint, device=device, dtype=some_dtype, batch_size=n_images, taps=taps)
        with forward.running():
            return torch.cat([features for features, _, _ in forward.halving(some_pixels)])

    with ExitStack() as stack:
        stack.enter_context(freed_memory_kept(device))
        if not is_in_question and not can_be_faster(model, device):
            yield NumberFormat(dtype)
            return
        prepare, to_prepare = preparation(checkpoint, images)
        tried = tried_positions(len(images))
        pixels = prepare([to_prepare[position] for position in (tried if is_in_question else tried[:COMPARED])])
        if can_be_faster(model, device):
            expected = stack.enter_context(in_fast_layout(model, run, pixels)).features
        else:
            expected = run(pixels)
        yield checked_format(dtype, partial(run, pixels), expected) if is_in_question else NumberFormat(dtype)


def too_many_images(n_images: int) -> BlockTaps:
    """No block is asked where the kernel would be too large."""
    return BlockTaps({}, None, f"none: kept for at most {MOST_IMAGES_FOR_DEPTHS:,} images, these are {n_images:,}")


def gathered_blocks(
    blocks: Sequence[Float[Tensor, "image _number"]],
    taps: BlockTaps,
    *,
    n_mine: int,
    gather: Callable[[Tensor], Tensor],
) -> tuple[tuple[Float[Tensor, "image _number"], ...], str]:
    """What the asked blocks say of all images, and which they are; or nothing, and why."""
    if not taps.blocks:
        return (), taps.words
    # Whether a block fits its rule may depend on the images, and all processes must gather the same.
    if not bool(gather(torch.full((n_mine, 1), float(not taps.unfit))).all()):
        return (), f"none: {taps.unfit or 'a block did not fit its rule in another process'}"
    return tuple(gather(part) for part in blocks), taps.words


SHARED_FACTS = ("family", "pooling", "processor", "dtype", "dtype_reason", "device")


def whole_outputs(outputs: ImageOutputs, device: torch.device) -> CheckpointOutputs:
    """The outputs of single images, and the kernel between them.

    Raises:
        CandidateError: they are not finite, or the same for all images (stage "extract").
    """
    kernel, depths = kernel_between(outputs, device if device.type == "cuda" else torch.device("cpu"))
    facts = {name: getattr(outputs, name) for name in SHARED_FACTS}
    return CheckpointOutputs(
        features=outputs.features,
        logits=outputs.logits,
        depth_kernel=kernel,
        depths=depths,
        parameters=outputs.parameters,
        **facts,
    )


def kernel_between(outputs: ImageOutputs, device: torch.device) -> tuple[Float[Tensor, " pair"] | None, str]:
    """The kernel of what the asked blocks say, and which they are, or none and why."""
    if not outputs.blocks:
        return None, outputs.depths
    unusable = sum(not bool(torch.isfinite(part).all()) for part in outputs.blocks)
    if unusable:
        return None, f"none: {unusable} of {len(outputs.blocks)} depths have NaN or infinity"
    kernel = depth_kernel(outputs.blocks, device)
    return kernel, "none: all images are the same at every depth" if kernel is None else outputs.depths


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
        self, images: ImageSequence, positions: Sequence[int], *, advance: Callable[[int], object]
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
            prepare, to_prepare = preparation(self.checkpoint, images)
            for pixel_values in prepared_batches(prepare, to_prepare, positions, self.batch_size, device=self.device):
                for batch_features, batch_logits, batch_blocks in self.halving(pixel_values):
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

    def halving(self, pixel_values: Tensor) -> Iterator[BatchOutputs]:
        """Outputs of a prepared batch; out of memory halves the batch size from here on and goes on."""
        start = 0
        while start < len(pixel_values):
            part = pixel_values[start : start + self.batch_size]
            try:
                outputs = self.forward(part)
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
        features, logits = self.checkpoint.forward(pixel_values.to(self.device, non_blocking=True))
        blocks = tuple(block.cpu() for block in self.taps.taken())
        return features.float().cpu(), None if logits is None else logits.float().cpu(), blocks


# oneDNN's and the C++ library's words for a failed allocation on the CPU.
NO_MEMORY = ("could not create a memory object", "could not create a primitive", "std::bad_alloc")


def out_of_memory(error: Exception) -> bool:
    """Whether a smaller batch may help."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or should_reduce_batch_size(error):
        return True
    return any(words in str(error) for words in NO_MEMORY)


def preparation(checkpoint: LoadedCheckpoint, images: ImageSequence) -> Preparation:
    """What makes model input of images, and of which: of a run's own as they were shrunk before, if they were."""
    if isinstance(images, (ShrunkImages, PartOfShrunkImages)):
        return images.prepared_by(checkpoint.image_processor)
    return checkpoint.prepare, images

"""One checkpoint x the labelled images -> CheckpointOutputs, split over every process there is."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from lead_hub.checkpoint_outputs.depths import BlockTaps, block_taps, depth_kernel
from lead_hub.checkpoint_outputs.device_settings import MachineSettings, known_settings, machine_settings
from lead_hub.checkpoint_outputs.fast_layout import COMPARED, can_be_faster, in_fast_layout
from lead_hub.checkpoint_outputs.forward_passes import BatchedForward
from lead_hub.checkpoint_outputs.freed_memory import freed_memory_kept
from lead_hub.checkpoint_outputs.frozen_outputs import CheckpointOutputs, ImageOutputs
from lead_hub.checkpoint_outputs.loaded_checkpoint import LoadedCheckpoint
from lead_hub.checkpoint_outputs.number_format import NumberFormat, checked_format, tried_positions
from lead_hub.checkpoint_outputs.preparing_batches import ImageSequence, preparation
from lead_hub.errors import LeadHubError
from lead_hub.processes import Processes, gather_rows, guarded, on_every_process, on_main_process

Dtype = Literal["auto", "float32", "bfloat16", "float16"]

# Without a given batch size: large enough to keep the device busy, halved when it does not fit. On a processor the
# feature maps of fewer images are nearer to it: convolutions take a tenth less for 16 than for 32.
AUTO_BATCH_SIZE = {"cpu": 16, "cuda": 256}
# The kernel of several depths has an entry for every pair of images: for more images than this there is none.
MOST_IMAGES_FOR_DEPTHS = 5000


@dataclass(frozen=True)
class ExtractionSettings:
    """How to run the forward passes; none of it may change which checkpoint wins.

    Attributes:
        batch_size: images a forward pass, or "auto"; halved when memory runs out.
        device: "auto" (the accelerator if there is one), or a torch device such as "cpu" or "cuda:1".
        dtype: number format of the forward pass; "auto" is what is clearly fastest on this machine, bfloat16 (on GPUs
            that emulate it float16) or float32, and float32 for a network that bears no other.
        auto_dtype: what "auto" is for a network that bears it, where that is decided already; None leaves it to each
            device.
        works_beside: whether the processor prepares images and scores beside the passes; None where they are on another
            device. On a processor its cores cannot do both, so one comes after the other.
    """

    batch_size: int | Literal["auto"] = "auto"
    device: str = "auto"
    dtype: str = "auto"  # one of Dtype, checked below because it may come from a command line
    auto_dtype: torch.dtype | None = None
    works_beside: bool | None = None

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
        return self.auto_dtype or self.on_machine(device).dtype

    def on_machine(self, device: torch.device) -> MachineSettings:
        """How that device runs passes fastest: nothing is measured where somebody has chosen the number format."""
        return machine_settings(device) if self.dtype == "auto" else known_settings(device)

    def agreed(self, processes: Processes) -> "ExtractionSettings":
        """The same for all of them, as the main process's device decides: unlike machines would mix number formats.

        Every process of the run must ask for it.
        """
        return replace(
            self, auto_dtype=on_main_process(lambda: self.torch_dtype(self.torch_device(processes)), processes)
        )

    def beside(self, device: torch.device) -> bool:
        """Whether the processor works beside the passes on that device."""
        return device.type != "cpu" if self.works_beside is None else self.works_beside

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
        over_mine = partial(forward.over, images, mine, beside=settings.beside(device))
        over_mine = partial(over_mine, advance=lambda n: advance(n * processes.num_processes))
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
    model, dtype, machine = checkpoint.model.to(device), settings.torch_dtype(device), settings.on_machine(device)
    is_in_question = settings.falls_back and dtype != torch.float32

    def run(some_pixels: Tensor, some_dtype: torch.dtype = torch.float32) -> Tensor:
        check_wanted()
        taps, n_images = BlockTaps({}, None, "none: tried"), len(some_pixels)
        forward = BatchedForward(checkpoint, device=device, dtype=some_dtype, batch_size=n_images, taps=taps)
        with forward.running():
            return torch.cat([features for features, _, _ in forward.halving(some_pixels)])

    with ExitStack() as stack:
        stack.enter_context(freed_memory_kept(device))
        stack.enter_context(machine.computing())
        if not is_in_question and not can_be_faster(model, device):
            yield NumberFormat(dtype)
            return
        prepared, tried = preparation(checkpoint, images), tried_positions(len(images))
        tried = tried if is_in_question else tried[:COMPARED]
        pixels = prepared.make([prepared.images[position] for position in tried])
        if can_be_faster(model, device):
            is_last = machine.is_channels_last(dtype)
            layout = in_fast_layout(model, run, pixels, with_channels_last=is_last)
            expected = stack.enter_context(layout).features
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

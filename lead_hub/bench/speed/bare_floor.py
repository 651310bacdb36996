"""The bare floor, each part alone: files to download, images to decode, and passes over ready tensors."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from PIL import Image
from torch import Tensor

from lead_hub.bench.speed.made_inputs import read_pixels
from lead_hub.bench.speed.measured_parts import Measured, Stopwatch, device_of
from lead_hub.checkpoint_outputs import (
    ExtractionSettings,
    LoadedCheckpoint,
    fastest_passes,
    freed_memory_kept,
    load_checkpoint,
    passes_in,
)
from lead_hub.labelled_images import DELIVERED_AT_LEAST, STORED_SHORT_SIDE_PX, Pixels

# What a run asks of the decoder of a JPEG.
DECODED_SHORT_SIDE_PX = DELIVERED_AT_LEAST * STORED_SHORT_SIDE_PX
N_READY = 32
# The first one is tried in every layout and number format, then the others in the best of those.
BATCH_SIZES = {"cpu": (16, 8, 32), "cuda": (256, 128, 64)}
# Another number of images or threads is taken where it is faster by more than measurements of a second differ.
LEAST_GAIN = 0.03
MOST_TRYING_S = 4.0


def downloading(checkpoints: Sequence[str], cache_dir: Path) -> Measured:
    """Every file of these checkpoints by the Hub's own client, one checkpoint after the other."""
    watch = Stopwatch()
    for checkpoint in checkpoints:
        snapshot_download(checkpoint, cache_dir=cache_dir)
    return watch.stopped(torch.device("cpu"))


def decoding(files: Sequence[Path]) -> Measured:
    """Every file decoded once, on all cores, a JPEG no larger than it must be."""

    def decode(path: Path) -> None:
        with Image.open(path) as image:
            scale = min(1.0, DECODED_SHORT_SIDE_PX / min(image.size))
            image.draft("RGB", (round(image.width * scale), round(image.height * scale)))
            image.load()

    watch = Stopwatch()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(decode, files))
    return watch.stopped(torch.device("cpu"))


@dataclass(frozen=True)
class PassSettings:
    """How passes are run.

    Attributes:
        is_laid_out: whether in the layout that a run would choose, else as the network was loaded.
        dtype: number format.
        batch_size: images a pass.
        n_threads: of torch, on the processor.
    """

    is_laid_out: bool
    dtype: torch.dtype
    batch_size: int
    n_threads: int

    @property
    def dtype_name(self) -> str:
        """The number format as it is called, e.g. "bfloat16"."""
        return str(self.dtype).removeprefix("torch.")

    def __str__(self) -> str:
        layout = "a run's layout" if self.is_laid_out else "plain layout"
        threads = f"{self.n_threads} thread{'s' if self.n_threads > 1 else ''}"
        return f"{self.dtype_name}, {layout}, {self.batch_size} images, {threads}"


def forward_passes(checkpoints: Sequence[Path], files: Sequence[Path], device_name: str) -> tuple[Measured, Measured]:
    """Passes over tensors that are ready, in the fastest settings found for each network.

    A few images are ready and are run as often as there are images: loading, preparing and trying are not counted.

    Returns:
        The fastest of all, and of those formats that a run allows, as the network's features bear them.
    """
    device = device_of(device_name)
    pixels = [read_pixels(path) for path in files[:N_READY]]
    fastest = borne = Measured(0.0, 0.0, 0)
    for folder in checkpoints:
        checkpoint = load_checkpoint(folder)
        ready = ReadyNetwork(checkpoint, pixels, ready_batch(checkpoint, pixels, device))
        of_any, settings = ready.fastest(only_borne=False, n_images=len(files))
        is_borne = settings.dtype in (torch.float32, ready.borne_dtype)
        of_borne = of_any if is_borne else ready.fastest(only_borne=True, n_images=len(files))[0]
        fastest, borne = added(fastest, of_any), added(borne, of_borne)
    return fastest, borne


def batch_sizes(device: torch.device) -> tuple[int, ...]:
    """Images a pass that are tried on a device, in this order."""
    return BATCH_SIZES.get(device.type, BATCH_SIZES["cpu"])


def ready_batch(checkpoint: LoadedCheckpoint, pixels: Sequence[Pixels], device: torch.device) -> Tensor:
    """The images as model input on the device, again and again up to the largest batch."""
    prepared = checkpoint.prepare(pixels).to(device)
    most = max(batch_sizes(device))
    return torch.cat([prepared] * -(-most // len(prepared)))[:most]


def added(total: Measured, further: Measured) -> Measured:
    """The seconds of both, and what both say of their networks."""
    return Measured(
        total.wall_s + further.wall_s,
        total.processor_s + further.processor_s,
        further.peak_bytes,
        device_bytes=max(total.device_bytes, further.device_bytes),
        dtypes=(*total.dtypes, *further.dtypes),
        found=(*total.found, *further.found),
    )


class ReadyNetwork:
    """A network, and images for it that need no more than the pass itself."""

    def __init__(self, checkpoint: LoadedCheckpoint, pixels: Sequence[Pixels], ready: Tensor) -> None:
        """A network whose images are ready.

        Args:
            checkpoint: whose passes they are.
            pixels: images, to judge the number format by.
            ready: model input for the largest batch, on the device.
        """
        self._checkpoint, self._ready, self._device = checkpoint, ready, ready.device
        settings = ExtractionSettings(device=str(ready.device))
        self._ruled = partial(fastest_passes, checkpoint, list(pixels), device=ready.device, settings=settings)
        with self._ruled() as chosen:
            self.borne_dtype = chosen.dtype

    def fastest(self, *, only_borne: bool, n_images: int) -> tuple[Measured, PassSettings]:
        """As many passes as there are images, in the fastest of the settings that were tried, and which those are.

        Args:
            only_borne: whether a format is left out that moves the features too far.
            n_images: of the run.
        """
        way = min(self._layouts(only_borne=only_borne), key=self._seconds_laid_out)
        with self._laid_out(way):
            way = self._with_best_sizes(way)
            measured = self._timed(way, n_images)
        return replace(measured, dtypes=(way.dtype_name,), found=(str(way),)), way

    def _layouts(self, *, only_borne: bool) -> list[PassSettings]:
        """By the rule of a run, and plain in either number format."""
        size, threads = batch_sizes(self._device)[0], torch.get_num_threads()
        ways = [(True, self.borne_dtype), (False, torch.float32)]
        if not only_borne or self.borne_dtype == torch.bfloat16:
            ways.append((False, torch.bfloat16))
        return [PassSettings(is_laid_out, dtype, size, threads) for is_laid_out, dtype in ways]

    def _with_best_sizes(self, way: PassSettings) -> PassSettings:
        """The same with as many images a pass, and on a processor as many threads, as are faster; tried for seconds."""
        watch = Stopwatch()
        find = partial(faster_of, is_over=lambda: watch.wall_s > MOST_TRYING_S)
        sizes = [replace(way, batch_size=size) for size in batch_sizes(self._device)[1:]]
        way = find(way, sizes, self._seconds)
        if self._device.type != "cpu":
            return way
        threads = [replace(way, n_threads=number) for number in thread_counts(way.n_threads, os.cpu_count() or 1)]
        return find(way, threads, partial(self._seconds, by_clock=True))

    def _seconds_laid_out(self, way: PassSettings) -> float:
        with self._laid_out(way):
            return self._seconds(way)

    def _seconds(self, way: PassSettings, *, by_clock: bool = False) -> float:
        """What as many images take as the largest batch has: of the processor, which other programs disturb less."""
        measured = self._timed(way, max(batch_sizes(self._device)))
        return measured.wall_s if by_clock or self._device.type != "cpu" else measured.processor_s

    def _timed(self, way: PassSettings, n_images: int) -> Measured:
        """The ready batch again and again, as if it were so many images, after one pass that is not counted."""
        threads = torch.get_num_threads()
        torch.set_num_threads(way.n_threads)
        try:
            # Around all passes, and not inference mode, in which weights come into the number format again each time.
            with torch.no_grad(), self._in_format(way):
                self._checkpoint.forward(self._ready[: min(way.batch_size, n_images)])
                watch = Stopwatch(self._device)
                for start in range(0, n_images, way.batch_size):
                    self._checkpoint.forward(self._ready[: min(way.batch_size, n_images - start)])
                return watch.stopped(self._device)
        finally:
            torch.set_num_threads(threads)

    def _in_format(self, way: PassSettings) -> AbstractContextManager[None]:
        if way.is_laid_out:
            return passes_in(way.dtype, self._device)
        return torch.autocast(self._device.type, way.dtype, enabled=way.dtype != torch.float32)

    @contextmanager
    def _laid_out(self, way: PassSettings) -> Iterator[None]:
        with self._ruled() if way.is_laid_out else freed_memory_kept(self._device):
            yield


def thread_counts(usual: int, n_cores: int) -> list[int]:
    """Other numbers of threads than torch's own that may be faster: half as many, and one for every core."""
    return sorted({max(1, usual // 2), n_cores} - {usual})


def faster_of(
    way: PassSettings,
    others: Sequence[PassSettings],
    seconds: Callable[[PassSettings], float],
    *,
    is_over: Callable[[], bool],
) -> PassSettings:
    """The fastest, where it gains more than LEAST_GAIN on the best before it.

    Args:
        way: that is kept where no other is faster.
        others: tried in this order.
        seconds: that a way takes.
        is_over: asked before each whether there is no time left for it.
    """
    best, best_s = way, seconds(way) if others else 0.0
    for other in others:
        if is_over():
            break
        other_s = seconds(other)
        if other_s < (1 - LEAST_GAIN) * best_s:
            best, best_s = other, other_s
    return best

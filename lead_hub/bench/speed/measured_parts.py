"""What is measured, each part alone in a process of its own: the bare floor, a run of ours, and a user's loop."""

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from PIL import Image
from torch import Tensor
from transformers import AutoImageProcessor, AutoModel
from transformers.utils import logging as transformers_logging

from lead_hub.bench.matrix_files import MatrixError
from lead_hub.bench.speed.made_inputs import read_pixels
from lead_hub.checkpoint_outputs import ExtractionSettings, LoadedCheckpoint, fastest_passes, load_checkpoint
from lead_hub.labelled_images import STORED_SHORT_SIDE_PX, Pixels
from lead_hub.recommendation import recommend
from lead_hub.transferability import score

Result = TypeVar("Result")

BATCH_SIZE = 32
# Twice what a run keeps of an image: what a decoder must at least deliver.
DECODED_SHORT_SIDE_PX = 2 * STORED_SHORT_SIDE_PX


@dataclass(frozen=True)
class Measured:
    """One part.

    Attributes:
        wall_s: seconds by the clock.
        processor_s: seconds of all processor cores together, which other programs disturb less.
        peak_bytes: most host memory of the process.
        device_bytes: most memory on the GPU; 0 without one.
        first_row_s: seconds until the first row was there; None where there are no rows.
        extraction_s: seconds of the above in which images ran through checkpoints; None where it is not known.
        dtypes: number format of each checkpoint's passes.
    """

    wall_s: float
    processor_s: float
    peak_bytes: int
    device_bytes: int = 0
    first_row_s: float | None = None
    extraction_s: float | None = None
    dtypes: tuple[str, ...] = ()


def alone(part: Callable[[], Result]) -> Result:
    """Run a part in a fresh process, so that its memory is its own; transformers says nothing there."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=silence) as pool:
        return pool.submit(part).result()


def silence() -> None:
    """No bars, and no reports on weights that are left over."""
    reports: Any = transformers_logging  # partly untyped
    reports.set_verbosity(logging.CRITICAL)
    reports.disable_progress_bar()


def device_of(name: str) -> torch.device:
    """The device itself, of "auto" the GPU where there is one."""
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._wall_s, self._processor_s = time.perf_counter(), time.process_time()

    def stopped(
        self, device: torch.device, *, first_row_s: float | None = None, extraction_s: float | None = None
    ) -> Measured:
        """What was measured until now, the work queued on a GPU included."""
        is_cuda = device.type == "cuda"
        if is_cuda:
            torch.cuda.synchronize(device)
        return Measured(
            wall_s=time.perf_counter() - self._wall_s,
            processor_s=time.process_time() - self._processor_s,
            peak_bytes=peak_bytes(),
            device_bytes=torch.cuda.max_memory_allocated(device) if is_cuda else 0,
            first_row_s=first_row_s,
            extraction_s=extraction_s,
        )

    @property
    def wall_s(self) -> float:
        """By the clock."""
        return time.perf_counter() - self._wall_s


def peak_bytes() -> int:
    """High-water mark of this process, where the system is Linux; else 0."""
    status = Path("/proc/self/status")  # getrusage's starts at that of the parent process
    return 1024 * int(status.read_text().split("VmHWM:")[1].split()[0]) if status.is_file() else 0


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


def forward_passes(checkpoints: Sequence[Path], files: Sequence[Path], device_name: str) -> tuple[Measured, Measured]:
    """Passes over tensors that are ready, in the fastest layout and number format of each network.

    One batch is ready and is run as often as there are images: loading, preparing and choosing are not counted.

    Returns:
        The fastest of all, and of those formats that a run allows, as the network's features bear them.
    """
    device = device_of(device_name)
    pixels = [read_pixels(path) for path in files[:BATCH_SIZE]]
    fastest = borne = Measured(0.0, 0.0, 0)
    for folder in checkpoints:
        checkpoint = load_checkpoint(folder)
        ready = checkpoint.prepare(pixels).to(device)
        of_any = passes_over(checkpoint, pixels, ready, n_images=len(files), only_borne=False)
        is_borne = of_any.dtypes == ("float32",)
        of_borne = of_any if is_borne else passes_over(checkpoint, pixels, ready, n_images=len(files), only_borne=True)
        fastest, borne = added(fastest, of_any), added(borne, of_borne)
    return fastest, borne


def added(total: Measured, further: Measured) -> Measured:
    """The seconds of both, and the formats of both."""
    return Measured(
        total.wall_s + further.wall_s,
        total.processor_s + further.processor_s,
        further.peak_bytes,
        dtypes=(*total.dtypes, *further.dtypes),
    )


def passes_over(
    checkpoint: LoadedCheckpoint, pixels: Sequence[Pixels], ready: Tensor, *, n_images: int, only_borne: bool
) -> Measured:
    """The ready batch again and again, as if it were so many images."""
    with fastest_of(checkpoint, pixels, ready, only_borne=only_borne) as run:
        watch = Stopwatch()
        for start in range(0, n_images, BATCH_SIZE):
            run(ready[: n_images - start])
        return replace(watch.stopped(ready.device), dtypes=(str(run.keywords["dtype"]).removeprefix("torch."),))


@contextmanager
def fastest_of(
    checkpoint: LoadedCheckpoint, pixels: Sequence[Pixels], ready: Tensor, *, only_borne: bool
) -> Iterator["partial[None]"]:
    """Within the block the network is as it is fastest: by the rule of a run, or plain in either number format.

    Args:
        checkpoint: whose passes they are.
        pixels: images, to judge the number format by.
        ready: the same as model input, on the device.
        only_borne: whether a format is left out that moves the features too far.
    """
    device = ready.device
    ruled = partial(
        fastest_passes, checkpoint, list(pixels), device=device, settings=ExtractionSettings(device=str(device))
    )
    with ruled() as chosen:
        ways: list[tuple[bool, torch.dtype]] = [(True, chosen.dtype), (False, torch.float32)]
    if not only_borne or chosen.dtype == torch.bfloat16:
        ways.append((False, torch.bfloat16))

    def run(batch: Tensor, dtype: torch.dtype) -> None:
        with torch.inference_mode(), torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            checkpoint.forward(batch)

    def seconds(dtype: torch.dtype, *, is_ruled: bool) -> float:
        with ruled() if is_ruled else nullcontext():
            run(ready, dtype)
            watch = Stopwatch()
            run(ready, dtype)
            return watch.stopped(device).processor_s if device.type == "cpu" else watch.stopped(device).wall_s

    is_ruled, dtype = min(ways, key=lambda way: seconds(way[1], is_ruled=way[0]))
    with ruled() if is_ruled else nullcontext():
        run(ready, dtype)
        yield partial(run, dtype=dtype)


def our_run(images: Path, checkpoints: Sequence[Path], cache_dir: Path, device_name: str) -> Measured:
    """`recommend` from image files to the last board, with the default score and nothing in any cache."""
    watch, first_row_s = Stopwatch(), None
    boards = recommend(
        images,
        list(checkpoints),
        cache_dir=cache_dir,
        device=device_name,
        progress=False,
        stream=True,
        max_images=10**6,
    )
    for board in boards:
        if board.rows and first_row_s is None:
            first_row_s = watch.wall_s
    rates = [row.images_per_s for row in board.rows]
    extraction_s = sum(board.dataset.n_images / rate for rate in rates if rate)
    if len(board.rows) < len(checkpoints):
        raise MatrixError(f"every network must be ranked, found skipped: {[skip.reason for skip in board.skipped]}")
    found = watch.stopped(device_of(device_name), first_row_s=first_row_s, extraction_s=extraction_s)
    dtypes = {row.checkpoint: row.dtype for row in board.rows}
    return replace(found, dtypes=tuple(dtypes[str(folder)] for folder in checkpoints))


def users_loop(images: Path, checkpoints: Sequence[Path], device_name: str) -> Measured:
    """Checkpoint by checkpoint: its processor and model by transformers' Auto classes, PIL images, LogME."""
    watch, first_row_s, device = Stopwatch(), None, device_of(device_name)
    files = image_files(images)
    names = sorted({path.parent.name for path in files})
    labels = torch.tensor([names.index(path.parent.name) for path in files])
    for folder in checkpoints:
        processor = cast(Any, AutoImageProcessor).from_pretrained(folder)
        model = AutoModel.from_pretrained(folder).eval().to(device)
        features = []
        for start in range(0, len(files), BATCH_SIZE):
            batch = [Image.open(path).convert("RGB") for path in files[start : start + BATCH_SIZE]]
            inputs = processor(batch, return_tensors="pt").to(device)
            with torch.no_grad():
                output = model(**inputs)
            pooled = getattr(output, "pooler_output", None)
            features.append(
                (output.last_hidden_state.flatten(2).mean(2) if pooled is None else pooled).flatten(1).cpu()
            )
        score(torch.cat(features), labels, "logme")
        first_row_s = first_row_s or watch.wall_s
    return watch.stopped(device, first_row_s=first_row_s)


def image_files(folder: Path) -> list[Path]:
    """All that `make_photographs` wrote, in order."""
    return sorted(folder.glob("*/*.jpg"))

"""What is measured, each part alone in a process of its own: a run of ours and a user's loop."""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel
from transformers.utils import logging as transformers_logging

from lead_hub.bench.matrix_files import MatrixError
from lead_hub.bench.speed.stage_times import Moment, StageTimes, spent_by_stage
from lead_hub.recommendation import recommend
from lead_hub.transferability import score

Result = TypeVar("Result")

BATCH_SIZE = 32


@dataclass(frozen=True)
class Measured:
    """One part.

    Attributes:
        wall_s: seconds by the clock.
        processor_s: seconds of all processor cores together, which other programs disturb less.
        peak_bytes: most host memory of the process.
        device_bytes: most memory on the GPU; 0 without one.
        first_row_s: seconds until the first row was there; None where there are no rows.
        dtypes: number format of each checkpoint's passes.
        found: fastest settings of each checkpoint's passes, in words; empty where none were looked for.
        stages: where the time went; None where that is not told.
    """

    wall_s: float
    processor_s: float
    peak_bytes: int
    device_bytes: int = 0
    first_row_s: float | None = None
    dtypes: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    stages: StageTimes | None = None


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

    def __init__(self, device: torch.device | None = None) -> None:
        """Start now, or once the work queued on a GPU is done."""
        if device is not None and device.type == "cuda":
            torch.cuda.synchronize(device)
        self._wall_s, self._processor_s = time.perf_counter(), time.process_time()

    def stopped(self, device: torch.device, *, first_row_s: float | None = None) -> Measured:
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
        )

    @property
    def wall_s(self) -> float:
        """By the clock."""
        return time.perf_counter() - self._wall_s


def peak_bytes() -> int:
    """High-water mark of this process, where the system is Linux; else 0."""
    status = Path("/proc/self/status")  # getrusage's starts at that of the parent process
    return 1024 * int(status.read_text().split("VmHWM:")[1].split()[0]) if status.is_file() else 0


def our_run(
    images: Path, checkpoints: Sequence[Path | str], *, cache_dir: Path, device_name: str, budget: str | None = None
) -> Measured:
    """`recommend` from image files to the last board, with the default score, told where it is, as a terminal is.

    Args:
        images: folder of them.
        checkpoints: folders, or ids on the Hub that HF_ENDPOINT names.
        cache_dir: an empty one.
        device_name: "auto", or a torch device.
        budget: of a race; None for all checkpoints on all images.
    """
    moments: list[Moment] = []
    watch, first_row_s = Stopwatch(), None
    boards = recommend(
        images,
        list(checkpoints),
        cache_dir=cache_dir,
        device=device_name,
        progress=False,
        stream=True,
        max_images=10**6,
        budget=budget,
        on_progress=lambda progress: moments.append(Moment(watch.wall_s, progress)),
    )
    for board in boards:
        if board.rows and first_row_s is None:
            first_row_s = watch.wall_s
    if len(board.rows) < len(checkpoints):
        raise MatrixError(f"every network must be ranked, found skipped: {[skip.reason for skip in board.skipped]}")
    found = watch.stopped(device_of(device_name))
    dtypes = {row.checkpoint: row.dtype for row in board.rows}
    return replace(
        found,
        first_row_s=first_row_s,
        dtypes=tuple(dtypes[str(name)] for name in checkpoints),
        stages=spent_by_stage(moments, wall_s=found.wall_s),
    )


def users_loop(images: Path, checkpoints: Sequence[Path], *, device_name: str) -> Measured:
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

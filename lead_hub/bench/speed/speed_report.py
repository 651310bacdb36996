"""`lead-hub bench --speed`: the settings, the measurements of every kind of image, and the table."""

import dataclasses
import json
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import torch

from lead_hub.bench.matrix_files import MatrixError
from lead_hub.bench.speed.bare_floor import decoding, forward_passes
from lead_hub.bench.speed.made_inputs import NETWORKS, make_checkpoints, make_photographs
from lead_hub.bench.speed.measured_parts import (
    Measured,
    alone,
    device_of,
    image_files,
    our_run,
    users_loop,
)
from lead_hub.checkpoint_outputs import ExtractionSettings, versions
from lead_hub.hub import write_text_whole

Result = TypeVar("Result")

N_PARTS = 4
MOST_OVER_FLOOR = {"cpu": 1.15, "cuda": 1.25}
LEAST_UNDER_LOOP = {"cpu": 3.0, "cuda": 5.0}
SIZE = re.compile(r"(\d{2,5})x(\d{2,5})")


@dataclass(frozen=True)
class SpeedSettings:
    """What is measured.

    Attributes:
        networks: names in NETWORKS.
        n_images: JPEG files of each size.
        sizes: of the files, such as "500x375".
        device: "auto", or a torch device.
    """

    networks: tuple[str, ...] = ("resnet-50", "convnext-tiny", "vit-small-16", "mobilenetv2-100")
    n_images: int = 128
    sizes: tuple[str, ...] = ("500x375", "4000x3000")
    device: str = "auto"

    def __post_init__(self) -> None:
        unknown = [name for name in self.networks if name not in NETWORKS]
        if unknown or not self.networks:
            raise MatrixError(f"networks must be among {', '.join(NETWORKS)}, found {', '.join(unknown) or 'none'}")
        wrong = [size for size in self.sizes if not SIZE.fullmatch(size)]
        if wrong or not self.sizes:
            raise MatrixError(f"an image size must be width x height such as 500x375, found {wrong or 'none'}")
        if self.n_images < 2 * 4:
            raise MatrixError(f"images must be at least 8, two of each class, found {self.n_images}")

    def pixels(self, size: str) -> tuple[int, int]:
        """Width and height."""
        width, _, height = size.partition("x")
        return int(width), int(height)


@dataclass(frozen=True)
class SpeedRow:
    """The measurements on images of one size.

    Attributes:
        size: width x height.
        decoding: of every file, once.
        forward: passes over ready tensors.
        borne: the same, in the number formats that the networks bear.
        ours: a whole run.
        loop: what a user would write.
    """

    size: str
    decoding: Measured
    forward: Measured
    borne: Measured
    ours: Measured
    loop: Measured

    @property
    def over_floor(self) -> float:
        """How many times the floor's seconds a run takes; 1 is best."""
        return self.ours.wall_s / (self.decoding.wall_s + self.forward.wall_s)

    @property
    def under_loop(self) -> float:
        """How many times a run's seconds the user's loop takes; higher is better."""
        return self.loop.wall_s / self.ours.wall_s

    @property
    def over_floor_processor(self) -> float:
        """As `over_floor`, in seconds of the processor."""
        return self.ours.processor_s / (self.decoding.processor_s + self.forward.processor_s)

    @property
    def over_borne_processor(self) -> float:
        """As `over_floor_processor`, over passes in the number formats that the networks bear."""
        return self.ours.processor_s / (self.decoding.processor_s + self.borne.processor_s)

    @property
    def under_loop_processor(self) -> float:
        """As `under_loop`, in seconds of the processor."""
        return self.loop.processor_s / self.ours.processor_s


@dataclass(frozen=True)
class SpeedReport:
    """All that was measured, and where.

    Attributes:
        settings: what was measured.
        device: "cpu" and its threads, or the name of the GPU.
        kind: "cpu" or "cuda".
        dtype: number format of a run's passes.
        versions: of the libraries.
        rows: one a size of images.
    """

    settings: SpeedSettings
    device: str
    kind: str
    dtype: str
    versions: dict[str, str]
    rows: tuple[SpeedRow, ...]

    @property
    def n_passes(self) -> int:
        """Images times checkpoints."""
        return self.settings.n_images * len(self.settings.networks)

    def to_document(self) -> dict[str, Any]:
        """Plain JSON values."""
        names = ("over_floor", "under_loop", "over_floor_processor", "over_borne_processor", "under_loop_processor")
        rows = [{**dataclasses.asdict(row), **{name: getattr(row, name) for name in names}} for row in self.rows]
        return {**dataclasses.asdict(self), "rows": rows}


def run_speed(
    settings: SpeedSettings, *, advance: Callable[[int, int], None] = lambda _done, _all: None
) -> SpeedReport:
    """Measure everything, each part in a process of its own, one after the other.

    Args:
        settings: what.
        advance: told how many parts are done, of how many.
    """
    device = device_of(settings.device)
    rows = []
    n_begun = count()

    def measure(part: Callable[[], Result]) -> Result:
        advance(next(n_begun), len(settings.sizes) * N_PARTS)
        return alone(part)

    with tempfile.TemporaryDirectory(prefix="lead-hub-speed-") as place:
        every_size = {
            size: make_photographs(Path(place) / size, settings.n_images, settings.pixels(size))
            for size in settings.sizes
        }
        known = image_files(every_size[settings.sizes[0]])
        checkpoints = alone(partial(make_checkpoints, Path(place) / "checkpoints", settings.networks, known))
        for size, images in every_size.items():
            files = image_files(images)
            cache_dir = Path(place) / "cache" / size
            decoded = measure(partial(decoding, files))
            forward, borne = measure(partial(forward_passes, checkpoints, files, settings.device))
            ours = measure(partial(our_run, images, checkpoints, cache_dir, settings.device))
            loop = measure(partial(users_loop, images, checkpoints, settings.device))
            rows.append(SpeedRow(size, decoded, forward, borne=borne, ours=ours, loop=loop))
    threads = f"{torch.get_num_threads()} of {os.cpu_count()} cores"
    return SpeedReport(
        settings,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else threads,
        kind=device.type,
        dtype=str(ExtractionSettings(device=settings.device).torch_dtype(device)).removeprefix("torch."),
        versions=versions(),
        rows=tuple(rows),
    )


def table(report: SpeedReport) -> list[list[str]]:
    """The header, and a line for each measurement."""
    lines = [["", *(row.size for row in report.rows)]]

    def add(name: str, cell: Callable[[SpeedRow], str]) -> None:
        lines.append([name, *map(cell, report.rows)])

    add("(a) decoding alone", lambda row: f"{row.decoding.wall_s:.1f} s")
    add("(a) passes over ready tensors", lambda row: f"{row.forward.wall_s:.1f} s")
    add("(a) passes in formats that the networks bear", lambda row: f"{row.borne.wall_s:.1f} s")
    add("(b) lead-hub, from files to board", lambda row: f"{row.ours.wall_s:.1f} s")
    add("    of it images through networks", lambda row: f"{row.ours.extraction_s or 0:.1f} s")
    add("(c) a user's loop", lambda row: f"{row.loop.wall_s:.1f} s")
    add("(b) / (a)", lambda row: f"{row.over_floor:.2f}")
    add("(b) / (a), processor time", lambda row: f"{row.over_floor_processor:.2f}")
    add("(b) / (a) in formats that are borne, processor time", lambda row: f"{row.over_borne_processor:.2f}")
    add("(c) / (b)", lambda row: f"{row.under_loop:.2f}")
    add("(c) / (b), processor time", lambda row: f"{row.under_loop_processor:.2f}")
    for name, part in (("(a)", "forward"), ("(b)", "ours"), ("(c)", "loop")):
        add(f"passes a second, {name}", lambda row, part=part: f"{report.n_passes / getattr(row, part).wall_s:.1f}")  # type: ignore[misc]
    add("first row after, (b)", lambda row: f"{row.ours.first_row_s or 0:.1f} s")
    add("first row after, (c)", lambda row: f"{row.loop.first_row_s or 0:.1f} s")
    add("peak host memory, (b)", lambda row: f"{row.ours.peak_bytes / 2**20:.0f} MiB")
    add("peak host memory, (c)", lambda row: f"{row.loop.peak_bytes / 2**20:.0f} MiB")
    if report.kind == "cuda":
        add("peak GPU memory, (b)", lambda row: f"{row.ours.device_bytes / 2**20:.0f} MiB")
        add("peak GPU memory, (c)", lambda row: f"{row.loop.device_bytes / 2**20:.0f} MiB")
    return lines


def notes(report: SpeedReport) -> list[str]:
    """What was measured, in which settings the floor's passes were fastest, and which targets were met."""
    most, least = MOST_OVER_FLOOR.get(report.kind, 1.15), LEAST_UNDER_LOOP.get(report.kind, 3.0)
    met = all(row.over_floor <= most and row.under_loop >= least for row in report.rows)
    return [
        f"{', '.join(report.settings.networks)}: random weights, {report.settings.n_images} JPEG files of each size, on"
        f" {report.device}; passes of (b): {', '.join(report.rows[0].ours.dtypes)}",
        f"fastest passes of (a): {'; '.join(fastest_words(report))}",
        f"targets: (b) / (a) at most {most}, (c) / (b) at least {least}: {'met' if met else 'not all met'}",
        "(a) decodes on all cores, then runs ready images again and again in the fastest layout, number format, number"
        " of images a pass and of threads found in seconds; (b) also loads, prepares, scores with LEAD and judges; (c)"
        " opens every file for every checkpoint, runs it as transformers loads it, and scores with LogME",
    ]


def fastest_words(report: SpeedReport) -> list[str]:
    """Each network with the settings in which its passes were fastest, for images of the first size."""
    found = report.rows[0].forward.found
    return [f"{name}: {settings}" for name, settings in zip(report.settings.networks, found, strict=True)]


def check_speed_file(path: Path) -> None:
    """Refuse a file's name before minutes are spent.

    Raises:
        MatrixError: it does not end in .json.
    """
    if path.suffix != ".json":
        raise MatrixError(f"speed is saved as .json, found {path.name!r}")


def save_speed(report: SpeedReport, path: Path) -> None:
    """Write the document as JSON.

    Raises:
        MatrixError: the name ends in something else.
    """
    check_speed_file(path)
    write_text_whole(path, json.dumps(report.to_document(), indent=1) + "\n")

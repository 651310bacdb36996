"""`lead-hub bench --speed`: the settings, the measurements of every kind of image, the ratios and their targets."""

import dataclasses
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import torch

from lead_hub.bench.matrix_files import MatrixError
from lead_hub.bench.speed.bare_floor import decoding, downloading, forward_passes
from lead_hub.bench.speed.made_inputs import N_CLASSES, NETWORKS, make_checkpoints, make_photographs
from lead_hub.bench.speed.measured_parts import Measured, alone, device_of, image_files, our_run, users_loop
from lead_hub.checkpoint_outputs import ExtractionSettings, versions
from lead_hub.confidence import stage_sizes

Result = TypeVar("Result")

N_PARTS, N_PARTS_OF_HUB = 5, 2
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
        if self.n_images < 2 * N_CLASSES:
            raise MatrixError(f"images must be at least 8, two of each class, found {self.n_images}")

    def pixels(self, size: str) -> tuple[int, int]:
        """Width and height."""
        width, _, height = size.partition("x")
        return int(width), int(height)

    @property
    def race_budget(self) -> str:
        """The smallest share of the full run's passes in which every network has its turn, in whole percents."""
        return f"{-(-100 * stage_sizes(self.n_images, N_CLASSES)[0] // self.n_images)}%"


@dataclass(frozen=True)
class LimitedHub:
    """A Hub behind a line of limited bandwidth, at the address that HF_ENDPOINT holds.

    Attributes:
        ids: of the checkpoints there, in their order.
        megabytes_per_s: millions of bytes a second, of all connections together.
    """

    ids: tuple[str, ...]
    megabytes_per_s: float


Serve: TypeAlias = Callable[[Sequence[Path]], AbstractContextManager[LimitedHub]]


@dataclass(frozen=True)
class SpeedRow:
    """The measurements on images of one size.

    Attributes:
        size: width x height.
        kind: of the device, "cpu" or "cuda".
        decoding: of every file, once.
        forward: passes over ready tensors.
        borne: the same, in the number formats that the networks bear.
        ours: a whole run.
        race: the same within the smallest budget.
        loop: what a user would write.
        download: of all weights alone, where they are on a Hub of limited bandwidth.
        fetched: a whole run whose weights come from there.
    """

    size: str
    kind: str
    decoding: Measured
    forward: Measured
    borne: Measured
    ours: Measured
    race: Measured
    loop: Measured
    download: Measured | None = None
    fetched: Measured | None = None

    @property
    def floor_is_sum(self) -> bool:
        """Whether decoding and passes take each other's time, as on the cores of a processor."""
        return self.kind != "cuda"

    @property
    def floor_s(self) -> float:
        """The fewest seconds in which images can be decoded and run through the networks."""
        return self._floor_s(self.forward)

    def _floor_s(self, passes: Measured) -> float:
        both = (self.decoding.wall_s, passes.wall_s)
        return sum(both) if self.floor_is_sum else max(both)

    @property
    def download_floor_s(self) -> float | None:
        """The same where the weights must be downloaded, which needs neither processor nor GPU."""
        return None if self.download is None else max(self.download.wall_s, self.floor_s)

    @property
    def over_floor(self) -> float:
        """How many times the floor's seconds a run takes; 1 is best."""
        return self.ours.wall_s / self.floor_s

    @property
    def over_borne(self) -> float:
        """As `over_floor`, over passes in the number formats that the networks bear."""
        return self.ours.wall_s / self._floor_s(self.borne)

    @property
    def over_download_floor(self) -> float | None:
        """As `over_floor`, with downloads."""
        floor_s = self.download_floor_s
        return None if floor_s is None or self.fetched is None else self.fetched.wall_s / floor_s

    @property
    def under_loop(self) -> float:
        """How many times a run's seconds the user's loop takes; higher is better."""
        return self.loop.wall_s / self.ours.wall_s

    @property
    def race_under_loop(self) -> float:
        """How many times a race's seconds the user's loop takes; higher is better."""
        return self.loop.wall_s / self.race.wall_s

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


COMPUTED = (
    *("floor_s", "download_floor_s", "over_floor", "over_borne", "over_download_floor", "under_loop"),
    *("race_under_loop", "over_floor_processor", "over_borne_processor", "under_loop_processor"),
)


@dataclass(frozen=True)
class Target:
    """What a ratio should be.

    Attributes:
        name: of the ratio, in words.
        ratio: it.
        limit: the most, or the least, that it should be.
        is_most: whether it is the most.
    """

    name: str
    ratio: Callable[[SpeedRow], float]
    limit: float
    is_most: bool

    def is_met(self, row: SpeedRow) -> bool:
        """Whether it is, on images of one size."""
        found = self.ratio(row)
        return found <= self.limit if self.is_most else found >= self.limit

    @property
    def limit_words(self) -> str:
        """Such as "at most 1.15"."""
        return f"at {'most' if self.is_most else 'least'} {self.limit:g}"


def targets(kind: str) -> tuple[Target, ...]:
    """What is aimed at on a kind of device."""
    is_gpu = kind == "cuda"
    return (
        Target("(b) / (a)", lambda row: row.over_floor, 1.25 if is_gpu else 1.15, is_most=True),
        Target("(c) / (b)", lambda row: row.under_loop, 5.0 if is_gpu else 3.0, is_most=False),
        Target("(c) / (b) with a race", lambda row: row.race_under_loop, 10.0, is_most=False),
    )


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
        megabytes_per_s: of the Hub's line; None where nothing was downloaded.
    """

    settings: SpeedSettings
    device: str
    kind: str
    dtype: str
    versions: dict[str, str]
    rows: tuple[SpeedRow, ...]
    megabytes_per_s: float | None = None

    @property
    def n_passes(self) -> int:
        """Images times checkpoints."""
        return self.settings.n_images * len(self.settings.networks)

    def to_document(self) -> dict[str, Any]:
        """Plain JSON values."""
        rows = [{**dataclasses.asdict(row), **{name: getattr(row, name) for name in COMPUTED}} for row in self.rows]
        return {**dataclasses.asdict(self), "race_budget": self.settings.race_budget, "rows": rows}


def run_speed(
    settings: SpeedSettings,
    *,
    advance: Callable[[int, int], None] = lambda _done, _all: None,
    serve: Serve | None = None,
) -> SpeedReport:
    """Measure everything, each part in a process of its own, one after the other.

    Args:
        settings: what.
        advance: told how many parts are done, of how many.
        serve: within what it gives checkpoint folders are on a Hub of limited bandwidth, for processes that start
            there; None leaves downloads out.
    """
    device = device_of(settings.device)
    rows = []
    n_begun, n_parts = count(), len(settings.sizes) * (N_PARTS + (N_PARTS_OF_HUB if serve else 0))

    def measure(part: Callable[[], Result]) -> Result:
        advance(next(n_begun), n_parts)
        return alone(part)

    with tempfile.TemporaryDirectory(prefix="lead-hub-speed-") as place:
        every_size = {
            size: make_photographs(Path(place) / size, settings.n_images, settings.pixels(size))
            for size in settings.sizes
        }
        known = image_files(every_size[settings.sizes[0]])
        checkpoints = alone(partial(make_checkpoints, Path(place) / "checkpoints", settings.networks, known))
        with serve(checkpoints) if serve else nullcontext() as hub:
            for size, images in every_size.items():
                caches = Path(place) / "caches" / size
                files = image_files(images)
                decoded = measure(partial(decoding, files))
                forward, borne = measure(partial(forward_passes, checkpoints, files, settings.device))
                run = partial(our_run, images, device_name=settings.device)
                ours = measure(partial(run, checkpoints, cache_dir=caches / "full"))
                budget = settings.race_budget
                race = measure(partial(run, checkpoints, cache_dir=caches / "race", budget=budget))
                loop = measure(partial(users_loop, images, checkpoints, device_name=settings.device))
                row = SpeedRow(size, device.type, decoded, forward, borne=borne, ours=ours, race=race, loop=loop)
                if hub is not None:
                    download = measure(partial(downloading, hub.ids, caches / "download"))
                    fetched = measure(partial(run, hub.ids, cache_dir=caches / "fetched"))
                    row = dataclasses.replace(row, download=download, fetched=fetched)
                rows.append(row)
    threads = f"{torch.get_num_threads()} of {os.cpu_count()} cores"
    return SpeedReport(
        settings,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else threads,
        kind=device.type,
        dtype=str(ExtractionSettings(device=settings.device).torch_dtype(device)).removeprefix("torch."),
        versions=versions(),
        rows=tuple(rows),
        megabytes_per_s=hub.megabytes_per_s if hub else None,
    )

"""What a run will take, before anything of it is downloaded or computed: checkpoints, images, bytes, seconds.

How fast the machine computes and prepares images is measured in a second, for these estimates alone: in the number
format and the layout of a run, and with all that keeps the machine busy beside it.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import torch
from torch import nn

from lead_hub.access import Access
from lead_hub.candidates import Candidate
from lead_hub.checkpoint_files import are_weights_here
from lead_hub.checkpoint_outputs import known_settings
from lead_hub.confidence import stage_sizes
from lead_hub.recommendation.race_budget import (
    AUTO,
    AUTO_BUDGET,
    AUTO_BUDGET_S,
    BYTES_PER_PARAMETER,
    RaceBudget,
    by_prior,
    known_weight_bytes,
    parse_race_budget,
    within_downloads,
)

PROBE_S = 0.4  # of each of the two measurements
FRESH_S = 300.0  # as long as a measurement is held for true, at most
WARM_UP = 2  # times before one counts: the first call of a convolution also prepares it
LAYOUT = torch.channels_last
IMAGE_PX, PREPARED_PX = (500, 667), 224


@dataclass(frozen=True)
class MachineSpeed:
    """What a device does in a second.

    Attributes:
        flops_per_s: multiplications and additions of a plain convolution, in the number format and layout of a run.
        prepared_images_per_s: photos made as small as a model's input, by all processor cores together.
        shares_cores: whether forward passes run on the cores that prepare the images.
    """

    flops_per_s: float
    prepared_images_per_s: float
    shares_cores: bool


# A small data-centre GPU's, for a device that is not here yet.
ASSUMED_GPU_FLOPS_PER_S = 2e13


def measured_speed(device: str = "auto") -> MachineSpeed:
    """The speed of a device, measured in about a second, once in every five minutes of the clock.

    A page's server lives for weeks: what its machine could do while it was busy is not what it can do ever after.

    Args:
        device: "auto" (a GPU if there is one), or a torch device; one that is not here, as the GPU that a Space only
            borrows for its runs, is taken for one of ASSUMED_GPU_FLOPS_PER_S.
    """
    return speed_measured_in(measuring_period(time.monotonic()), device)


def measuring_period(now_s: float) -> int:
    """Which of the periods of FRESH_S it is, in each of which a process measures once."""
    return int(now_s // FRESH_S)


@lru_cache(maxsize=8)
def speed_measured_in(period: int, device: str) -> MachineSpeed:  # noqa: ARG001 - another one, another measurement
    """What `measured_speed` gives in one period."""
    name = accelerator_or_cpu() if device == "auto" else device
    shares_cores = torch.device(name).type == "cpu"
    return MachineSpeed(
        flops_per_s=convolution_flops_per_s(name),
        prepared_images_per_s=prepared_images_per_s(),
        shares_cores=shares_cores,
    )


def accelerator_or_cpu() -> str:
    """What a run computes on unless it is told."""
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return "cpu" if found is None else found.type


def convolution_flops_per_s(device: str) -> float:
    """Measure a 3 x 3 convolution like those inside a ResNet."""
    place = torch.device(device)
    is_cpu = place.type == "cpu"
    n_images, channels, side_px = (8 if is_cpu else 256), 128, 28
    flops = 2 * n_images * side_px**2 * channels**2 * 3**2
    try:
        with torch.inference_mode():
            dtype = known_settings(place).dtype
            convolution = nn.Conv2d(channels, channels, 3, padding=1, device=place, dtype=dtype)
            images = torch.zeros(n_images, channels, side_px, side_px, device=place, dtype=dtype)
            convolution, images = convolution.to(memory_format=LAYOUT), images.to(memory_format=LAYOUT)

            def compute() -> None:
                convolution(images)
                if not is_cpu:
                    torch.accelerator.synchronize(place)

            return flops * times_per_s(compute)
    except (RuntimeError, AssertionError):  # AssertionError: a torch built without that kind of device
        return ASSUMED_GPU_FLOPS_PER_S


def prepared_images_per_s() -> float:
    """Measure how many photos are made small in a second, one after the other."""
    photo = torch.zeros(1, 3, *IMAGE_PX, dtype=torch.uint8)

    def prepare() -> None:
        small = nn.functional.interpolate(photo.float(), (PREPARED_PX, PREPARED_PX), mode="bicubic", antialias=True)
        small.div_(255).sub_(0.5).div_(0.5)

    with torch.inference_mode():
        return times_per_s(prepare)


def times_per_s(work: Callable[[], None]) -> float:
    """How often a second the work is done, in the mean over PROBE_S: what disturbs it will disturb a run as well."""
    for _ in range(WARM_UP):
        work()
    start, n_times = time.perf_counter(), 0
    while (passed_s := time.perf_counter() - start) < PROBE_S:
        work()
        n_times += 1
    return n_times / passed_s


# Multiplications of a forward pass for each weight, at 224 px: how many positions of the image meet a weight in the
# mean. 155 to 191 for ResNets, 156 to 173 for ConvNeXts, 159 to 176 for Swin, 202 to 219 for ViTs of 16-px patches;
# outside of these from 40 (MobileNetV3) to 355 (DenseNet).
POSITIONS = 175
# Where the multiply-adds are known: what a network does beside them, which in small ones is most.
BESIDE_MULTIPLY_ADDS = 400_000_000
NET_SHARE = 0.5  # of the speed of a plain convolution that a whole network reaches
DECODING = 2.0  # times what preparing an image for a checkpoint takes; once a run
CHECKPOINT_S = 0.8  # to find its files, load its weights and score its outputs, as far as nothing is computed meanwhile
# Of the candidates of a race, after its first stage. In `lead-hub bench --race` 0.04 to 0.55: what passes of 2,000
# images take beyond the first 10%, as a share of the 90% that are left.
GOING_ON = 0.3
ASSUMED_CLASSES = 10
ASSUMED_MULTIPLY_ADDS = 25_000_000 * POSITIONS  # where no candidate's size is known
# One core of a small board computer, slower than any that somebody would rank on. What takes even that one no third of
# the time is far from the limit on every machine, though an estimate be off by 2 or 3: no second is spent on measuring.
SLOW_CORE = MachineSpeed(flops_per_s=5e9, prepared_images_per_s=10, shares_cores=True)
FAR_WITHIN = AUTO_BUDGET_S / 3  # seconds


@dataclass(frozen=True)
class RunEstimate:
    """What a run will take at the most, if no outputs of it are in a cache.

    Attributes:
        n_checkpoints: to be ranked.
        n_images: that each of them sees, or with a budget those that go on to the end.
        download_bytes: of the weights whose size is known, and that are not here yet; images are not counted.
        n_unknown_size: checkpoints of unknown size, which come on top.
        duration_s: of computing, without downloads; None where no checkpoint's size is known, but for a race that
            budget="auto" is. With a budget what a race takes, of time as much as that at the most.
        full_duration_s: the same for all of them on all images, without a budget.
        n_weights_here: checkpoints whose weights are on this machine already.
        budget: of the race that the run is; None for the full run.
        job_usd_per_hour: of one Job on the Hub, where the run is to be Jobs and the Hub tells.
    """

    n_checkpoints: int
    n_images: int
    download_bytes: int
    n_unknown_size: int
    duration_s: float | None
    full_duration_s: float | None = None
    n_weights_here: int = 0
    budget: str | None = None
    job_usd_per_hour: float | None = None


def estimate_run(
    candidates: Sequence[Candidate],
    *,
    n_images: int,
    device: str = "auto",
    speed: MachineSpeed | None = None,
    budget: str | None = None,
    access: Access | None = None,
) -> RunEstimate:
    """Estimate a run from what is known of its candidates beforehand.

    The time is rough. Of 20 full runs of two networks on an idle machine each took 0.82 to 1.24 times as long as this
    had said, 0.91 times in the median (`python -m tests.benchmarks.estimate_accuracy --runs 20 --images 96`); on a busy
    one 0.3 to 1.6 was seen. It is
    further off where only the number of weights is known of networks unlike ResNets and ViTs, or of one that wants
    images much larger or smaller than 224 px; a run that goes on corrects it (`RunProgress.remaining_s`). A checkpoint
    of unknown size counts as one of the mean size of the others. Outputs that are kept from earlier runs are not
    subtracted, for only the images themselves tell whether they are of the same ones.

    Args:
        candidates: to be ranked.
        n_images: that each of them will see.
        device: as for `recommend`.
        speed: of the machine; None means `measured_speed`.
        budget: as for `recommend`, whose "auto" is decided here as there; None where there can be no race.
        access: in whose cache weights may be already; None looks into none.

    Raises:
        LeadHubError: no such budget.
    """

    def get_speed() -> MachineSpeed:
        return speed or measured_speed(device)

    long_s = None
    if budget == AUTO:
        long_s = too_long_s(candidates, n_images=n_images, get_speed=get_speed)
        budget = AUTO_BUDGET.text if long_s else None
    limits, everyone = parse_race_budget(budget), candidates
    if limits is not None:
        is_here = partial(are_weights_here, access=access)
        candidates, _ = within_downloads(by_prior(candidates), limits.download_bytes, is_here=is_here)
    sizes = [known_weight_bytes(candidate) for candidate in candidates]
    here = [are_weights_here(candidate, access) for candidate in candidates]
    known = [size for size, is_here in zip(sizes, here, strict=True) if size and not is_here]
    known_s, race_s = durations(candidates, sizes, n_images=n_images, get_speed=get_speed)
    full_s = everyones_s = long_s or known_s
    if len(candidates) < len(everyone):
        all_sizes = [known_weight_bytes(candidate) for candidate in everyone]
        everyones_s, _ = durations(everyone, all_sizes, n_images=n_images, get_speed=get_speed)
    return RunEstimate(
        n_checkpoints=len(candidates),
        n_images=n_images,
        download_bytes=sum(known),
        n_unknown_size=sum(not size and not is_here for size, is_here in zip(sizes, here, strict=True)),
        duration_s=full_s if limits is None else within(race_s or full_s, full_s, limits),
        full_duration_s=everyones_s,
        n_weights_here=sum(here),
        budget=budget,
    )


def estimate_jobs(candidates: Sequence[Candidate], *, n_images: int, usd_per_hour: float | None) -> RunEstimate:
    """What a full run takes as Jobs, on machines of unknown speed where none of the weights are.

    Args:
        candidates: to be ranked.
        n_images: that each of them will see.
        usd_per_hour: of one Job.
    """
    estimate = estimate_run(candidates, n_images=n_images, speed=SLOW_CORE)
    return replace(estimate, duration_s=None, full_duration_s=None, job_usd_per_hour=usd_per_hour)


def too_long_s(
    candidates: Sequence[Candidate],
    *,
    n_images: int,
    get_speed: Callable[[], MachineSpeed],
    n_processes: int = 1,
) -> float | None:
    """Whether budget="auto" is a race: seconds of the full run, where they are more than AUTO_BUDGET_S; else None.

    Outputs that are in the cache, which could make it shorter, are not looked for: in a race they cost nothing either.

    Args:
        candidates: to be ranked; one of unknown size counts as the mean one, or as 25 million parameters.
        n_images: that each of them would see.
        get_speed: of one process; not asked where the work is small.
        n_processes: as fast as that one, among which the work is shared.
    """
    costs = multiply_adds_of_all(candidates)
    if computing_s(costs, n_images=n_images, speed=SLOW_CORE) <= FAR_WITHIN:
        return None
    full_s = computing_s(costs, n_images=n_images, speed=get_speed()) / n_processes
    return full_s if full_s > AUTO_BUDGET_S else None


def auto_budget(
    candidates: Sequence[Candidate], *, n_images: int, get_speed: Callable[[], MachineSpeed], n_processes: int
) -> str | None:
    """The budget that "auto" becomes in a run of several processes; None for the full run.

    Args:
        candidates: to be ranked.
        n_images: that each of them would see.
        get_speed: of one process.
        n_processes: among which the work is shared.
    """
    long_s = too_long_s(candidates, n_images=n_images, get_speed=get_speed, n_processes=n_processes)
    return None if long_s is None else AUTO_BUDGET.text


def speed_of_gpus(n_gpus: int) -> MachineSpeed:
    """So many GPUs like the first, one a process: the cores of the machine prepare images for all of them."""
    speed = measured_speed()
    return replace(speed, flops_per_s=n_gpus * speed.flops_per_s)


def durations(
    candidates: Sequence[Candidate],
    sizes: Sequence[int | None],
    *,
    n_images: int,
    get_speed: Callable[[], MachineSpeed],
) -> tuple[float | None, float | None]:
    """Seconds of the full run and of a race; None where no checkpoint's size is known."""
    every = [multiply_adds(candidate, size) for candidate, size in zip(candidates, sizes, strict=True)]
    known = [number for number in every if number]
    if not known:
        return None, None
    mean, speed = sum(known) // len(known), get_speed()
    everyones = [number or mean for number in every]
    full_s = computing_s(everyones, n_images=n_images, speed=speed)
    return full_s, race_computing_s(everyones, n_images=n_images, n_classes=ASSUMED_CLASSES, speed=speed)


def multiply_adds(candidate: Candidate, weight_bytes: int | None) -> int | None:
    """What a forward pass over one image costs, in multiply-adds: as an index tells, else by the number of weights.

    Args:
        candidate: whose forward pass it is.
        weight_bytes: of its weights; None where nobody knows.

    Returns:
        None where neither is known.
    """
    if candidate.multiply_adds is not None:
        return candidate.multiply_adds + BESIDE_MULTIPLY_ADDS
    parameters = candidate.parameters or (weight_bytes and weight_bytes // BYTES_PER_PARAMETER)
    return POSITIONS * parameters if parameters else None


def multiply_adds_of_all(candidates: Sequence[Candidate]) -> list[int]:
    """Operations of each candidate on an image, as far as anything tells them beforehand; the mean one's elsewhere."""
    costs = [multiply_adds(each, known_weight_bytes(each)) for each in candidates]
    known = [cost for cost in costs if cost]
    mean = sum(known) // len(known) if known else ASSUMED_MULTIPLY_ADDS
    return [cost or mean for cost in costs]


def within(race_s: float | None, full_s: float | None, limits: RaceBudget) -> float | None:
    """What a race takes that ends with its budget."""
    if race_s is None or full_s is None:
        return None
    shares = [] if limits.passes_share is None else [limits.passes_share * full_s]
    return min([race_s, *shares, *([] if limits.duration_s is None else [limits.duration_s])])


def computing_s(costs: Sequence[int], *, n_images: int, speed: MachineSpeed) -> float:
    """Seconds to decode the images once and run them through checkpoints of so many multiply-adds an image each."""
    decoding_s = DECODING * n_images / speed.prepared_images_per_s
    return decoding_s + sum(checkpoint_s(cost, n_images=n_images, speed=speed) for cost in costs)


def checkpoint_s(cost: int, *, n_images: int, speed: MachineSpeed) -> float:
    """Seconds to load a checkpoint of so many multiply-adds an image, run the images through it and score it."""
    preparing_s = n_images / speed.prepared_images_per_s
    forward_s = n_images * 2 * cost / (NET_SHARE * speed.flops_per_s)
    running_s = forward_s + preparing_s if speed.shares_cores else max(forward_s, preparing_s)
    return CHECKPOINT_S + running_s


def race_computing_s(costs: Sequence[int], *, n_images: int, n_classes: int, speed: MachineSpeed) -> float:
    """The same for a race: all see the images of the first stage, and a part the others, in as many stages."""
    first, *further = stage_sizes(n_images, n_classes)
    total_s = computing_s(costs, n_images=first, speed=speed)
    total_s += DECODING * (n_images - first) / speed.prepared_images_per_s
    seen = first
    for size in further:
        stage_s = sum(checkpoint_s(cost, n_images=size - seen, speed=speed) for cost in costs)
        total_s, seen = total_s + GOING_ON * stage_s, size
    return total_s

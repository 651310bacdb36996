"""What a run will take, before anything of it is downloaded or computed: checkpoints, images, bytes, seconds.

How fast the machine computes and prepares images is measured in a fraction of a second, for these estimates alone.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import nn

from lead_hub.candidates import Candidate

PROBE_S = 0.12  # of each of the two measurements
WARM_UP = 2  # times before one counts: the first call of a convolution also prepares it
IMAGE_PX, PREPARED_PX = (500, 667), 224


@dataclass(frozen=True)
class MachineSpeed:
    """What a device does in a second.

    Attributes:
        flops_per_s: multiplications and additions of a plain convolution, in the number format of a forward pass.
        prepared_images_per_s: photos made as small as a model's input, by all processor cores together.
        shares_cores: whether forward passes run on the cores that prepare the images.
    """

    flops_per_s: float
    prepared_images_per_s: float
    shares_cores: bool


# A small data-centre GPU's, for a device that is not here yet.
ASSUMED_GPU_FLOPS_PER_S = 2e13


@cache
def measured_speed(device: str = "auto") -> MachineSpeed:
    """The speed of a device, measured once a process in about 0.3 s.

    Args:
        device: "auto" (a GPU if there is one), or a torch device; one that is not here, as the GPU that a Space only
            borrows for its runs, is taken for one of ASSUMED_GPU_FLOPS_PER_S.
    """
    name = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    shares_cores = torch.device(name).type == "cpu"
    return MachineSpeed(
        flops_per_s=convolution_flops_per_s(name),
        prepared_images_per_s=prepared_images_per_s(),
        shares_cores=shares_cores,
    )


def convolution_flops_per_s(device: str) -> float:
    """Measure a 3 x 3 convolution like those inside a ResNet."""
    place = torch.device(device)
    is_cpu = place.type == "cpu"
    n_images, channels, side_px = (8 if is_cpu else 256), 128, 28
    flops = 2 * n_images * side_px**2 * channels**2 * 3**2
    try:
        with torch.inference_mode():
            dtype = torch.float32 if is_cpu else torch.bfloat16
            convolution = nn.Conv2d(channels, channels, 3, padding=1, device=place, dtype=dtype)
            images = torch.zeros(n_images, channels, side_px, side_px, device=place, dtype=dtype)

            def compute() -> None:
                convolution(images)
                if place.type == "cuda":
                    torch.cuda.synchronize(place)

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
    """How often a second the work can be done, by the median over PROBE_S: other programs disturb some of the times."""
    for _ in range(WARM_UP):
        work()
    durations_s: list[float] = []
    while sum(durations_s) < PROBE_S:
        start = time.perf_counter()
        work()
        durations_s.append(time.perf_counter() - start)
    return 1 / statistics.median(durations_s)


BYTES_PER_PARAMETER = 4
# Multiplications of a forward pass for each weight, at 224 px: how many positions of the image meet a weight in the
# mean. 155 to 191 for ResNets, 156 to 173 for ConvNeXts, 159 to 176 for Swin, 202 to 219 for ViTs of 16-px patches;
# outside of these from 40 (MobileNetV3) to 355 (DenseNet).
POSITIONS = 175
NET_SHARE = 0.5  # of the speed of a plain convolution that a whole network reaches
DECODING = 2.0  # times what preparing an image for a checkpoint takes; once a run
CHECKPOINT_S = 1.5  # to find its files, load its weights and score its outputs


@dataclass(frozen=True)
class RunEstimate:
    """What a run will take at the most, if nothing of it is in a cache.

    Attributes:
        n_checkpoints: to be ranked.
        n_images: that each of them sees.
        download_bytes: of the weights whose size is known; images are not counted.
        n_unknown_size: checkpoints of unknown size, which come on top.
        duration_s: of computing, without downloads; None where no checkpoint's size is known.
    """

    n_checkpoints: int
    n_images: int
    download_bytes: int
    n_unknown_size: int
    duration_s: float | None


def estimate_run(
    candidates: Sequence[Candidate], *, n_images: int, device: str = "auto", speed: MachineSpeed | None = None
) -> RunEstimate:
    """Estimate a run from what is known of its candidates beforehand.

    The time is rough: off by a factor of 2 or 3 is normal, and more for networks unlike ResNets and ViTs, for images
    that a checkpoint wants much larger or smaller than 224 px, and on a machine that is busy with other things. A
    checkpoint of unknown size counts as one of the mean size of the others. Weights, data and outputs that are in a
    cache already are not subtracted.

    Args:
        candidates: to be ranked.
        n_images: that each of them will see.
        device: as for `recommend`.
        speed: of the machine; None measures it, once a process, in about 0.3 s.
    """
    sizes = [known_weight_bytes(candidate) for candidate in candidates]
    parameters = [
        candidate.parameters or (size and size // BYTES_PER_PARAMETER)
        for candidate, size in zip(candidates, sizes, strict=True)
    ]
    known = [number for number in parameters if number]
    duration_s = None
    if known:
        mean = sum(known) // len(known)
        everyones = [number or mean for number in parameters]
        duration_s = computing_s(everyones, n_images=n_images, speed=speed or measured_speed(device))
    downloads = [size for candidate, size in zip(candidates, sizes, strict=True) if size and not candidate.folder]
    return RunEstimate(
        n_checkpoints=len(candidates),
        n_images=n_images,
        download_bytes=sum(downloads),
        n_unknown_size=sum(not size for size in sizes),
        duration_s=duration_s,
    )


def known_weight_bytes(candidate: Candidate) -> int | None:
    """Size of a candidate's weights: as its folder or an index tells, else 4 bytes a parameter, else unknown."""
    if candidate.folder is not None:
        return sum(path.stat().st_size for path in candidate.folder.glob("*.safetensors")) or None
    if candidate.weight_bytes is not None:
        return candidate.weight_bytes
    return None if candidate.parameters is None else BYTES_PER_PARAMETER * candidate.parameters


def computing_s(parameters: Sequence[int], *, n_images: int, speed: MachineSpeed) -> float:
    """Seconds to decode the images once and run them through checkpoints of so many parameters each."""
    preparing_s = n_images / speed.prepared_images_per_s
    total_s = DECODING * preparing_s
    for number in parameters:
        forward_s = n_images * 2 * POSITIONS * number / (NET_SHARE * speed.flops_per_s)
        running_s = forward_s + preparing_s if speed.shares_cores else max(forward_s, preparing_s)
        total_s += CHECKPOINT_S + running_s
    return total_s

"""How fast this machine computes and prepares images, measured in a fraction of a second: for estimates alone."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import nn

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
    """Of a 3 x 3 convolution like those inside a ResNet."""
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
    """Photos made small, one after the other."""
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

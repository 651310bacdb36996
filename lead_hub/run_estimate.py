"""What a run will take, before anything of it is downloaded or computed: checkpoints, images, bytes, seconds."""

from collections.abc import Sequence
from dataclasses import dataclass

from lead_hub.candidates import Candidate
from lead_hub.machine_speed import MachineSpeed, measured_speed

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

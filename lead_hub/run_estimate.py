"""What a run will take: checkpoints, images, gigabytes, seconds. (First version; being measured.)"""

from collections.abc import Sequence
from dataclasses import dataclass

from lead_hub.candidates import Candidate

BYTES_PER_PARAMETER = 4


@dataclass(frozen=True)
class RunEstimate:
    """What a run will take."""

    n_checkpoints: int
    n_images: int
    download_bytes: int
    n_unknown_size: int
    duration_s: float | None


def estimate_run(candidates: Sequence[Candidate], *, n_images: int, device: str = "auto") -> RunEstimate:  # noqa: ARG001
    """What ranking the candidates on so many images will take."""
    sizes = [None if each.folder else each.weight_bytes or BYTES_PER_PARAMETER * (each.parameters or 0) or None for each in candidates]
    local = sum(each.folder is not None for each in candidates)
    known = [size for size in sizes if size]
    return RunEstimate(len(candidates), n_images, sum(known), len(candidates) - len(known) - local, None)

"""Pictures of textures -> which are one texture, shifted, turned, mirrored or in other colours.

Textures of one kind are alike in everything but where each grain lies. So only the phases of their waves are compared:
the phase correlation of two pictures is near 0 everywhere for other grains, and has a peak where one lies on its copy.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LONGEST_WAVES = 3  # waves a side: fewer are light and shade, which other pictures share
SHORTEST_WAVES = 32  # more are also noise of compression
LEAST_PEAK = 0.12
ROWS = 64


def same_textures(pictures: Sequence[NDArray[np.uint8]]) -> list[tuple[int, int]]:
    """Pairs of positions of square pictures of one size."""
    grey = torch.stack([torch.from_numpy(picture.astype(np.float32)).mean(dim=2) for picture in pictures])
    whole = phases(grey)
    pairs: set[tuple[int, int]] = set()
    for turned in eight_ways(grey):
        others = phases(turned)
        for first in range(len(grey) - 1):
            peaks = torch.cat([peak_heights(whole[first], part) for part in torch.split(others[first + 1 :], ROWS)])
            pairs |= {(first, first + 1 + int(other)) for other in torch.nonzero(peaks >= LEAST_PEAK)}
    return sorted(pairs)


def eight_ways(pictures: Tensor) -> list[Tensor]:
    """The pictures turned by quarters, then the same mirrored."""
    turned = [pictures.rot90(turns, dims=(1, 2)) for turns in range(4)]
    return [*turned, *(one.flip(2) for one in turned)]


def phases(pictures: Tensor) -> Tensor:
    """The waves of each picture at unit length [picture, 2 SHORTEST_WAVES, SHORTEST_WAVES + 1]; long ones are 0.

    Waves that run exactly across or down are left out: the edges of a picture that does not repeat make such ones.
    """
    n_kept = SHORTEST_WAVES
    waves = torch.fft.rfft2(pictures)
    waves = torch.cat([waves[:, :n_kept], waves[:, -n_kept:]], dim=1)[..., : n_kept + 1]
    down = torch.fft.fftfreq(2 * n_kept, 1 / (2 * n_kept))[:, None]
    across = torch.arange(n_kept + 1)[None, :]
    count = (down.square() + across.square()).sqrt()
    kept = (count >= LONGEST_WAVES) & (count < n_kept) & (down != 0) & (across != 0)
    return torch.where(kept, waves / waves.abs().clamp_min(1e-6), 0)


def peak_heights(one: Tensor, others: Tensor) -> Tensor:
    """The largest phase correlation over all shifts: 1 for copies, near 0 for other textures."""
    products = one * others.conj()
    n_waves = int((one != 0).sum())
    side = 2 * SHORTEST_WAVES
    correlations = torch.fft.irfft2(products, s=(side, side)) * side * side / (2 * n_waves)
    peaks: Tensor = correlations.flatten(1).amax(dim=1)
    return peaks

"""Drawings put on backgrounds: tilted, scaled, shifted, painted and made noisy, a batch at a time."""

from dataclasses import dataclass

import torch
from torch.nn import functional


@dataclass(frozen=True)
class Variation:
    """How far one picture of a drawing may be from the next."""

    tilt_degrees: float = 15.0
    smallest_scale: float = 0.7
    shift: float = 0.12
    noise: float = 0.06
    clutter: float = 0.15
    colour: float = 0.1


MILD = Variation()
TRAINING = Variation(tilt_degrees=25.0, smallest_scale=0.55, shift=0.15, noise=0.1, clutter=0.2, colour=0.25)
STRONG = Variation(tilt_degrees=30.0, smallest_scale=0.5, shift=0.2, noise=0.08, clutter=0.2, colour=0.4)


def composed(
    rgba: torch.Tensor, generator: torch.Generator, *, is_ink: torch.Tensor, variation: Variation = MILD
) -> torch.Tensor:
    """RGB pictures in [0, 1], one per drawing of the batch (uint8 [drawing, 4, side, side])."""
    batch, side = len(rgba), rgba.shape[-1]
    colours = rgba[:, :3].float() / 255
    alpha = rgba[:, 3:].float() / 255
    background = _backgrounds(batch, side, generator, variation=variation)
    colours = torch.where(is_ink.view(-1, 1, 1, 1), _ink(background, generator), colours)
    # premultiplied, so that interpolation at the edge does not bring in the colour of transparent pixels
    warped = _warped(torch.cat([colours * alpha, alpha], dim=1), generator, variation)
    gain = 1 + variation.colour * _uniform(generator, batch, 3, 1, 1)
    pictures = warped[:, :3] * gain + (1 - warped[:, 3:]) * background
    noise_level = variation.noise * torch.rand(batch, 1, 1, 1, generator=generator)
    pictures += noise_level * torch.randn(pictures.shape, generator=generator)
    return pictures.clamp(0, 1)


def _uniform(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return 2 * torch.rand(*shape, generator=generator) - 1


def _backgrounds(batch: int, side: int, generator: torch.Generator, *, variation: Variation) -> torch.Tensor:
    """Half of them plain, half with soft blotches."""
    plain = torch.rand(batch, 3, 1, 1, generator=generator)
    coarse = torch.randn(batch, 3, 6, 6, generator=generator)
    blotches = functional.interpolate(coarse, size=(side, side), mode="bilinear", align_corners=False)
    is_cluttered = (torch.rand(batch, 1, 1, 1, generator=generator) < 0.5).float()
    return (plain + variation.clutter * is_cluttered * blotches).clamp(0, 1)


def _ink(background: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A colour that is dark on a light background and light on a dark one."""
    is_light = background.mean(dim=(1, 2, 3), keepdim=True) > 0.5
    shade = 0.45 * torch.rand(len(background), 3, 1, 1, generator=generator)
    return torch.where(is_light, shade, 1 - shade)


def _warped(images: torch.Tensor, generator: torch.Generator, variation: Variation) -> torch.Tensor:
    batch = len(images)
    angle = torch.deg2rad(variation.tilt_degrees * _uniform(generator, batch))
    spread = 1 - variation.smallest_scale
    zoom = 1 / (variation.smallest_scale + spread * torch.rand(batch, generator=generator))
    shift = variation.shift * _uniform(generator, batch, 2)
    rows = [
        torch.stack([zoom * angle.cos(), -zoom * angle.sin(), shift[:, 0]], dim=1),
        torch.stack([zoom * angle.sin(), zoom * angle.cos(), shift[:, 1]], dim=1),
    ]
    grid = functional.affine_grid(torch.stack(rows, dim=1), [batch, 1, *images.shape[-2:]], align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)

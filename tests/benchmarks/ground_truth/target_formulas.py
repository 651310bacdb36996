"""Pictures of the targets that are drawn by formulas: textures, polygons, things to count."""

import math

import numpy as np
import torch
from PIL import Image, ImageDraw

from tests.benchmarks.demo_pool.drawings import Cutout, Drawings, fitted, stacked

from .patterns import TARGET_KINDS, coloured, pattern

CANVAS = 192  # pixels that a shape is drawn on before it is shrunk, so that its edges are smooth
MOST_THINGS = 5
CORNERS = {"triangle": 3, "square": 4, "pentagon": 5, "hexagon": 6, "circle": 48}
STARS = {"four-pointed star": 4, "five-pointed star": 5, "six-pointed star": 6}


def textures(per_class: int, side: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures [picture, 3, side, side] in [0, 1] of low contrast under noise, and their kinds."""
    labels = torch.arange(len(TARGET_KINDS)).repeat(per_class)
    pictures = torch.stack(
        [coloured(pattern(TARGET_KINDS[label], side, generator), generator, contrast=0.12) for label in labels.tolist()]
    )
    strength = 0.16 * torch.rand(len(pictures), 1, 1, 1, generator=generator)
    return (pictures + strength * torch.randn(pictures.shape, generator=generator)).clamp(0, 1), labels


def polygons(per_class: int, *, seed: int) -> Drawings:
    """Regular polygons and stars, turned by any angle, squeezed a little, filled or in outline."""
    chance = np.random.default_rng(seed)
    cutouts = [
        Cutout(fitted(_shape(name, chance)), name, f"shape/{name}/{number}")
        for name in (*CORNERS, *STARS)
        for number in range(per_class)
    ]
    return stacked(cutouts, is_ink=True)


def _shape(name: str, chance: np.random.Generator) -> Image.Image:
    image = Image.new("RGBA", (CANVAS, CANVAS))
    outline = _corners(name, turn=chance.uniform(0, 2 * math.pi), squeeze=chance.uniform(0.75, 1.0))
    pen = ImageDraw.Draw(image)
    if chance.random() < 0.5:
        pen.polygon(outline, fill=(0, 0, 0, 255))
    else:
        pen.line([*outline, *outline[:2]], fill=(0, 0, 0, 255), width=int(chance.integers(10, 20)), joint="curve")
    return image


def _corners(name: str, *, turn: float, squeeze: float) -> list[tuple[float, float]]:
    count = CORNERS.get(name) or 2 * STARS[name]
    middle, radius = CANVAS / 2, 0.4 * CANVAS
    corners = []
    for number in range(count):
        reach = radius * (0.5 if name in STARS and number % 2 else 1.0)
        angle = turn + 2 * math.pi * number / count
        corners.append((middle + reach * math.cos(angle), middle + squeeze * reach * math.sin(angle)))
    return corners


def things_to_count(per_class: int, side: int, *, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """One to five discs or squares that do not touch, all of one colour, on a plain background with noise."""
    chance = np.random.default_rng(seed)
    labels = np.tile(np.arange(MOST_THINGS), per_class)
    pictures = [_things(int(label) + 1, side, chance) for label in labels]
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255, torch.from_numpy(labels)


def _things(count: int, side: int, chance: np.random.Generator) -> np.ndarray:
    background, colour = chance.integers(0, 256, size=(2, 3))
    while np.abs(background - colour).mean() < 60:
        background, colour = chance.integers(0, 256, size=(2, 3))
    image = Image.new("RGB", (CANVAS, CANVAS), tuple(background.tolist()))
    pen = ImageDraw.Draw(image)
    is_round = chance.random() < 0.5
    for x, y, radius in _places(count, chance):
        box = (x - radius, y - radius, x + radius, y + radius)
        (pen.ellipse if is_round else pen.rectangle)(box, fill=tuple(colour.tolist()))
    small = np.asarray(image.resize((side, side), Image.Resampling.BOX)).astype(np.float64)
    return (small + chance.normal(scale=chance.uniform(0, 15), size=small.shape)).clip(0, 255).astype(np.uint8)


def _places(count: int, chance: np.random.Generator) -> list[tuple[float, float, float]]:
    """Middles and radii, so far apart that a gap stays between any two."""
    places: list[tuple[float, float, float]] = []
    while len(places) < count:
        radius = chance.uniform(0.07, 0.12) * CANVAS
        x, y = chance.uniform(radius + 4, CANVAS - radius - 4, size=2)
        if all(math.hypot(x - other[0], y - other[1]) > 1.5 * (radius + other[2]) for other in places):
            places.append((x, y, radius))
    return places

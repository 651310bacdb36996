"""Pictures of the confirmation targets that are drawn by formulas: arrows and clocks."""

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from tests.benchmarks.demo_pool.drawings import Cutout, Drawings, fitted, stacked

CANVAS = 192  # pixels that a shape is drawn on before it is shrunk, so that its edges are smooth
MIDDLE = CANVAS / 2
BLACK = (0, 0, 0, 255)
DIRECTIONS = ("1 right", "2 down right", "3 down", "4 down left", "5 left", "6 up left", "7 up", "8 up right")
HOURS = 12
Point = tuple[float, float]


def arrows(per_class: int, *, seed: int) -> Drawings:
    """Block arrows, line arrows and arrowheads in eight directions, none of them drawn exactly."""
    chance = np.random.default_rng(seed)
    cutouts = [
        Cutout(fitted(_arrow(number, chance)), name, f"arrow/{name}/{repeat}")
        for number, name in enumerate(DIRECTIONS)
        for repeat in range(per_class)
    ]
    return stacked(cutouts, is_ink=True)


def _arrow(direction: int, chance: np.random.Generator) -> Image.Image:
    image = Image.new("RGBA", (CANVAS, CANVAS))
    angle = math.radians(45 * direction + chance.uniform(-8, 8))
    draw = (_block_arrow, _line_arrow, _arrowhead)[chance.integers(3)]
    draw(ImageDraw.Draw(image), lambda point: _turned(point, angle), chance)
    return image


def _turned(point: Point, angle: float) -> Point:
    """A point of an arrow to the right, in units of half the canvas, to its place on the canvas."""
    x, y = 0.9 * MIDDLE * point[0], 0.9 * MIDDLE * point[1]
    return (
        MIDDLE + x * math.cos(angle) - y * math.sin(angle),
        MIDDLE + x * math.sin(angle) + y * math.cos(angle),
    )


def _block_arrow(pen: ImageDraw.ImageDraw, place: Callable[[Point], Point], chance: np.random.Generator) -> None:
    shaft, head, neck = chance.uniform(0.1, 0.28), chance.uniform(0.45, 0.75), chance.uniform(-0.1, 0.35)
    above = [(-0.9, -shaft), (neck, -shaft), (neck, -head)]
    outline = [*above, (0.9, 0.0), *((x, -y) for x, y in reversed(above))]
    pen.polygon([place(point) for point in outline], fill=BLACK)


def _line_arrow(pen: ImageDraw.ImageDraw, place: Callable[[Point], Point], chance: np.random.Generator) -> None:
    width, head, neck = int(chance.integers(12, 24)), chance.uniform(0.35, 0.65), chance.uniform(0.1, 0.5)
    pen.line([place((-0.9, 0.0)), place((0.85, 0.0))], fill=BLACK, width=width)
    tip = [place(point) for point in ((neck, -head), (0.9, 0.0), (neck, head))]
    pen.line(tip, fill=BLACK, width=width, joint="curve")


def _arrowhead(pen: ImageDraw.ImageDraw, place: Callable[[Point], Point], chance: np.random.Generator) -> None:
    """A narrow triangle, or one with a notch at its back."""
    half, notch = chance.uniform(0.35, 0.6), chance.uniform(0.0, 0.5)
    outline = [(-0.9, -half), (0.9, 0.0), (-0.9, half), (-0.9 + notch, 0.0)]
    pen.polygon([place(point) for point in outline], fill=BLACK)


def clocks(per_class: int, *, seed: int) -> Drawings:
    """Dials with a short hand at or after the class's hour and a long one at a multiple of five minutes."""
    chance = np.random.default_rng(seed)
    cutouts = [
        Cutout(fitted(_clock(hour, chance)), f"{hour:02}", f"clock/{hour}/{repeat}")
        for hour in range(0, 12, 12 // HOURS)
        for repeat in range(per_class)
    ]
    return stacked(cutouts, is_ink=True)


def _clock(hour: int, chance: np.random.Generator) -> Image.Image:
    image = Image.new("RGBA", (CANVAS, CANVAS))
    pen = ImageDraw.Draw(image)
    radius = 0.46 * CANVAS
    pen.ellipse((MIDDLE - radius, MIDDLE - radius, MIDDLE + radius, MIDDLE + radius), outline=BLACK, width=8)
    minute = 5 * int(chance.integers(12))
    short, long = chance.uniform(0.45, 0.55), chance.uniform(0.75, 0.85)
    _hand(pen, (hour + minute / 60) / 12, reach=short * radius, width=int(chance.integers(18, 26)))
    _hand(pen, minute / 60, reach=long * radius, width=int(chance.integers(7, 11)))
    return image


def _hand(pen: ImageDraw.ImageDraw, turn: float, *, reach: float, width: int) -> None:
    angle = 2 * math.pi * turn
    end = MIDDLE + reach * math.sin(angle), MIDDLE - reach * math.cos(angle)
    pen.line([(MIDDLE, MIDDLE), end], fill=BLACK, width=width)

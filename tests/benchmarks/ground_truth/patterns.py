"""Textures drawn by formulas: a field in [0, 1] per kind, in two colours. Sources and targets share no kind."""

import math
from collections.abc import Callable

import torch
from torch.nn import functional

SOURCE_KINDS = ("stripes", "checks", "dots", "clouds", "bricks", "spokes", "zigzag", "speckles", "squares")
TARGET_KINDS = ("waves", "rings", "grid", "triangles", "blobs", "weave", "crosses", "streaks")


def pattern(kind: str, side: int, generator: torch.Generator) -> torch.Tensor:
    """One texture of a kind, [side, side] in [0, 1], at a random place, direction and scale."""
    period = _between(generator, 0.16, 0.34)
    x, y = _turned_grid(side, generator)
    return FIELDS[kind](x / period, y / period, generator)


def coloured(field: torch.Tensor, generator: torch.Generator, *, contrast: float) -> torch.Tensor:
    """RGB [3, side, side] in [0, 1]: two colours that are `contrast` or more apart in the mean."""
    first = torch.rand(3, generator=generator)
    second = torch.rand(3, generator=generator)
    while (first - second).abs().mean() < contrast:
        second = torch.rand(3, generator=generator)
    weight = field.unsqueeze(0)
    return first.view(3, 1, 1) * weight + second.view(3, 1, 1) * (1 - weight)


def _between(generator: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _turned_grid(side: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    angle = math.radians(_between(generator, -25, 25))
    steps = torch.linspace(0, 1, side)
    y, x = torch.meshgrid(steps + _between(generator, 0, 9), steps + _between(generator, 0, 9), indexing="ij")
    return x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)


def _sharp(values: torch.Tensor) -> torch.Tensor:
    """A soft step at zero, so that edges are not jagged."""
    return torch.sigmoid(12 * values)


def _wave(values: torch.Tensor) -> torch.Tensor:
    return torch.sin(2 * math.pi * values)


def _triangle_wave(values: torch.Tensor) -> torch.Tensor:
    return 4 * (values - (values + 0.5).floor()).abs() - 1


def _random_field(x: torch.Tensor, generator: torch.Generator, cells: tuple[int, int]) -> torch.Tensor:
    coarse = torch.randn(1, 1, *cells, generator=generator)
    return functional.interpolate(coarse, size=x.shape, mode="bicubic", align_corners=False)[0, 0]


def _bricks(x: torch.Tensor, y: torch.Tensor, _: torch.Generator) -> torch.Tensor:
    row = y.floor()
    column = x / 2 + 0.5 * (row % 2)
    return _sharp(8 * torch.minimum((y - row - 0.15), 2 * (column - column.floor() - 0.08)))


def _triangles(x: torch.Tensor, y: torch.Tensor, _: torch.Generator) -> torch.Tensor:
    return _sharp(6 * ((x - x.floor()) - (y - y.floor())))


def _weave(x: torch.Tensor, y: torch.Tensor, _: torch.Generator) -> torch.Tensor:
    is_over = (x.floor() + y.floor()) % 2
    return torch.where(is_over == 0, 0.5 + 0.5 * _wave(2 * x), 0.5 + 0.5 * _wave(2 * y))


def _crosses(x: torch.Tensor, y: torch.Tensor, _: torch.Generator) -> torch.Tensor:
    across, down = (x / 1.4) % 1 - 0.5, (y / 1.4) % 1 - 0.5
    arm = torch.maximum(0.13 - across.abs(), 0.13 - down.abs())
    return _sharp(8 * torch.minimum(arm, 0.36 - torch.maximum(across.abs(), down.abs())))


def _rings(x: torch.Tensor, y: torch.Tensor, _: torch.Generator) -> torch.Tensor:
    across, down = (x / 2.2) % 1 - 0.5, (y / 2.2) % 1 - 0.5
    return _sharp(2 * _wave(3 * (across.square() + down.square()).sqrt()))


def _spokes(x: torch.Tensor, y: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    across, down = x - x.mean() + _between(generator, -1, 1), y - y.mean() + _between(generator, -1, 1)
    return _sharp(2 * torch.sin(9 * torch.atan2(down, across)))


FIELDS: dict[str, Callable[[torch.Tensor, torch.Tensor, torch.Generator], torch.Tensor]] = {
    "stripes": lambda x, _y, _: _sharp(_wave(x)),
    "checks": lambda x, y, _: _sharp(3 * _wave(x / 2) * _wave(y / 2)),
    "dots": lambda x, y, _: _sharp(2 * (_wave(x) + _wave(y) - 0.9)),
    "clouds": lambda x, _y, generator: _sharp(0.2 * _random_field(x, generator, (5, 5))),
    "bricks": _bricks,
    "spokes": _spokes,
    "zigzag": lambda x, y, _: _sharp(2 * _wave(y + 0.4 * _triangle_wave(x))),
    "speckles": lambda x, _y, generator: _sharp(_random_field(x, generator, (16, 16))),
    "squares": lambda x, y, _: _sharp(4 * (torch.minimum(_triangle_wave(x), _triangle_wave(y)) - 0.1)),
    "waves": lambda x, y, _: _sharp(2 * _wave(y + 0.3 * _wave(x / 1.5))),
    "rings": _rings,
    "grid": lambda x, y, _: _sharp(4 * (torch.maximum(_triangle_wave(x), _triangle_wave(y)) - 0.6)),
    "triangles": _triangles,
    "blobs": lambda x, _y, generator: _sharp(2 * _random_field(x, generator, (8, 8))),
    "weave": _weave,
    "crosses": _crosses,
    "streaks": lambda x, _y, generator: _sharp(2 * _random_field(x, generator, (12, 3))),
}

"""Near copies of drawings: the same picture redrawn, recoloured a little or stored twice under two names."""

import torch
from torch.nn import functional

CELL_PIXELS = 6
SMALLEST_DIFFERENCE = 0.01  # mean over 8 x 8 cells of colour and opacity, in [0, 1]; by eye, what is below looks alike


def rows_without_copies(rgba: torch.Tensor, others: torch.Tensor) -> list[int]:
    """Rows that are near copies neither of one of the others nor of a row before them."""
    cells = _cells(rgba)
    is_copy = (_difference(cells, _cells(others)) < SMALLEST_DIFFERENCE).any(dim=1)
    earlier = torch.tril(_difference(cells, cells) < SMALLEST_DIFFERENCE, diagonal=-1)
    kept: list[int] = []
    for row in range(len(rgba)):
        if not is_copy[row] and not earlier[row, kept].any():
            kept.append(row)
    return kept


def _cells(rgba: torch.Tensor) -> torch.Tensor:
    opacity = rgba[:, 3:].float() / 255
    colours = rgba[:, :3].float() / 255 * opacity
    return functional.avg_pool2d(torch.cat([colours, opacity], dim=1), CELL_PIXELS).flatten(1)


def _difference(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return torch.cdist(first, second, p=1) / first.shape[1]

"""Pixels -> which images show the same picture: equal, mirrored, shifted, cropped, compressed again, brighter, darker.

Every picture is made small. Two are laid over each other coarsely in many ways (every flip, shift and crop of a grid);
what fits best is fitted exactly (shift and size along both sides, one gain for all colours), and what is then left
unexplained decides: they are one picture if it is less than a tenth of what the images of their class usually leave. So
letters, of which two are always much alike, need to be far more alike than photos.

From the pixels alone, so that every checkpoint of a board, and of every other board, leaves out the same images. Not
found are turned pictures, other backgrounds, other moments of one scene: a column of groups knows of those.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

SIDE_PX = 32
# Of what images of the class usually leave unexplained. In the demo's datasets, which hold no copies, any two images
# leave more; a copy as JPEG of quality 75 leaves 0.01 to 0.08, one shifted by part of a pixel 0.01 to 0.03.
LARGEST_SHARE = 0.1
# Usual is what the ninth nearest classmate leaves, or the one beyond a quarter of them: the nearest may be copies. In a
# small class the one beyond three quarters.
USUAL_RANK, USUAL_SHARES = 8, (0.25, 0.75)
LEAST_OVERLAP = 0.45
# Root mean square of a pixel's colours, of 1: of less contrast, as of clear sky, any two pictures are alike.
LEAST_CONTRAST = 6 / 255

COARSE_PX = 8
COARSE_FIT = 0.6  # correlation; copies have more
CANDIDATES = 4  # of each image
ROWS = 1024  # images compared with all others at a time
PAIRS = 128  # pairs fitted at a time
STEPS = 8
LARGEST_STEP = 0.1
# After so many steps a pair that leaves so many times more than copies may is given up: of 2,876 changed pictures of
# the demo that are found as copies 7 are lost by it, of 9,751 other likely pairs 89% are not fitted any further.
PATIENCE, HOPELESS = 2, 6.0

# Left edge, upper edge, width and height, as shares of the whole.
Window = tuple[float, float, float, float]


def overlays() -> list[tuple[Window, Window]]:
    """Which part of one picture may lie on which part of another: shifts, then the one as a crop of the other."""
    shifts = [
        ((max(x, 0.0), y, 1 - abs(x), 1 - y), (max(-x, 0.0), 0.0, 1 - abs(x), 1 - y))
        for y in (0.0, 0.125, 0.25)
        for x in (-0.25, -0.125, 0.0, 0.125, 0.25)
        if y > 0 or x >= 0
    ]
    thirds = (0.0, 0.125, 0.25)
    return [*shifts, *(((x, y, 0.75, 0.75), (0.0, 0.0, 1.0, 1.0)) for x in thirds for y in thirds)]


OVERLAYS = overlays()


def thumbnail(pixels: NDArray[np.uint8]) -> Float[Tensor, "3 side side"]:
    """The whole picture as a square, colours from 0 to 1."""
    small = Image.fromarray(pixels).resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.asarray(small, dtype=np.float32) / 255).permute(2, 0, 1)


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pairs of images that may be one picture.

    Attributes:
        first: positions of the images that are laid over the others, mirrored or not.
        second: positions of these.
        overlay: number of the way in which they fit best: those of OVERLAYS, then the same mirrored.
        usual: what is usually left unexplained between the two and their classes, the smaller of both.
    """

    first: Int[Tensor, " pair"]
    second: Int[Tensor, " pair"]
    overlay: Int[Tensor, " pair"]
    usual: Float[Tensor, " pair"]


def same_pictures(
    thumbnails: Float[Tensor, "image 3 side side"],
    labels: Int[Tensor, " image"],
    *,
    check_wanted: Callable[[], None] = lambda: None,
) -> list[tuple[int, int]]:
    """Pairs of positions of images that show the same picture.

    Args:
        thumbnails: of `thumbnail`.
        labels: class of each image.
        check_wanted: raises where nobody waits any more; asked after every block of many images.
    """
    found = likely_pairs(thumbnails, labels, check_wanted=check_wanted)
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(found.first), PAIRS):
        part = slice(start, start + PAIRS)
        most = LARGEST_SHARE * found.usual[part]
        pictures = thumbnails[found.first[part]], thumbnails[found.second[part]]
        same = unexplained(*pictures, overlay=found.overlay[part], hopeless=HOPELESS * most) <= most
        pairs += zip(found.first[part][same].tolist(), found.second[part][same].tolist(), strict=True)
    return pairs


def likely_pairs(
    thumbnails: Float[Tensor, "image 3 side side"], labels: Int[Tensor, " image"], *, check_wanted: Callable[[], None]
) -> Candidates:
    """The few others that fit each image best, coarsely."""
    small = functional.avg_pool2d(thumbnails, 2)
    usual, everyone = torch.ones(len(small)), torch.arange(len(small))
    kept: list[tuple[Tensor, Tensor, Tensor]] = []
    for start in range(0, len(small), ROWS):
        if start:
            check_wanted()
        fits, ways = coarse_fits(small, slice(start, start + ROWS))
        rows = torch.arange(len(fits))
        fits[rows, start + rows] = -1
        for row, image in enumerate(range(start, start + len(fits))):
            usual[image] = usually_left(fits[row, (labels == labels[image]) & (everyone != image)])
        best = fits.topk(min(CANDIDATES, len(small) - 1), dim=1)
        likely = best.values >= COARSE_FIT
        firsts = (start + rows)[:, None].expand_as(likely)[likely]
        kept.append((firsts, best.indices[likely], ways.gather(1, best.indices)[likely].long()))
    first, second, way = (torch.cat(parts) for parts in zip(*kept, strict=True))
    # Ways beyond the overlays have the second image laid over the first.
    turned = way >= 2 * len(OVERLAYS)
    first, second = torch.where(turned, second, first), torch.where(turned, first, second)
    once = _first_of_each(torch.minimum(first, second) * len(small) + torch.maximum(first, second))
    first, second, way = first[once], second[once], way[once] % (2 * len(OVERLAYS))
    return Candidates(first, second, way, torch.minimum(usual[first], usual[second]))


def _first_of_each(numbers: Int[Tensor, " pair"]) -> Int[Tensor, " _"]:
    """Positions where a number occurs for the first time: most pairs are found from both of their images."""
    return torch.from_numpy(np.unique(numbers.numpy(), return_index=True)[1])


def usually_left(fits: Float[Tensor, " classmate"]) -> float:
    """What an ordinary image of the class leaves unexplained of one that correlates so with its classmates."""
    if not len(fits):
        return 1.0
    least, most = (share * (len(fits) - 1) for share in USUAL_SHARES)
    left = (1 - fits.clamp(min=0).square()).sort().values
    return float(left[round(min(max(least, USUAL_RANK), most))])


def coarse_fits(
    small: Float[Tensor, "image 3 small small"], rows: slice
) -> tuple[Float[Tensor, "row image"], Int[Tensor, "row image"]]:
    """Correlation of the best overlay of some images and every one, and which: plain, mirrored, the other way round."""
    shape = len(small[rows]), len(small)
    fits, ways = torch.full(shape, -1.0), torch.zeros(shape, dtype=torch.int16)
    n_ways = len(OVERLAYS)
    for number, (upper, lower) in enumerate(OVERLAYS):
        under = directions(cut(small, lower))
        for mirrored in (False, True):
            over = directions(cut(small.flip(3) if mirrored else small, upper))
            for turned, (first, second) in enumerate(((over, under), (under, over))):
                found = first[rows] @ second.T
                ways.masked_fill_(found > fits, number + n_ways * mirrored + 2 * n_ways * turned)
                torch.maximum(found, fits, out=fits)
    return fits, ways


def cut(pictures: Float[Tensor, "image 3 small small"], window: Window) -> Float[Tensor, "image 3 coarse coarse"]:
    """A part of every picture, sampled at as many points whatever its size."""
    x, y, width, height = window
    steps = (torch.arange(COARSE_PX) + 0.5) / COARSE_PX
    down, across = torch.meshgrid(2 * (y + height * steps) - 1, 2 * (x + width * steps) - 1, indexing="ij")
    grid = torch.stack([across, down], dim=-1).expand(len(pictures), -1, -1, -1)
    return functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def directions(pictures: Float[Tensor, "image 3 coarse coarse"]) -> Float[Tensor, "image number"]:
    """Colours without their means, at unit length; 0 for a picture without contrast."""
    centred = (pictures - pictures.mean(dim=(2, 3), keepdim=True)).flatten(1)
    lengths = centred.norm(dim=1, keepdim=True)
    return torch.where(lengths > LEAST_CONTRAST * COARSE_PX, centred / lengths.clamp(min=1e-12), 0.0)


@dataclass(frozen=True, eq=False)
class Overlay:
    """Upper pictures where they lie on lower ones, and how they change as they are stretched and moved.

    Attributes:
        colours: of the upper picture at every point of the lower one, without their means over the common part.
        below: colours of the lower one, likewise.
        slopes: how the upper colours change with width, place across, height and place down.
        is_common: the points that lie on both.
    """

    colours: Float[Tensor, "pair 3 side side"]
    below: Float[Tensor, "pair 3 side side"]
    slopes: Float[Tensor, "pair 4 3 side side"]
    is_common: Bool[Tensor, "pair 1 side side"]

    def unexplained(self, places: Float[Tensor, "pair 4"]) -> Float[Tensor, " pair"]:
        """Share of the lower picture that the upper one does not explain; infinity where they hardly overlap."""
        own, other, both = self.products()
        common = self.is_common.flatten(1).double().mean(dim=1).float()
        size = places[:, 0] * places[:, 2]
        contrast = LEAST_CONTRAST**2 * common * SIDE_PX**2
        is_picture = (torch.minimum(own, other) > contrast) & (both > 0)
        overlaps = torch.minimum(common, common * size) >= LEAST_OVERLAP
        share = 1 - both.square() / (own * other).clamp(min=1e-12)
        return torch.where(is_picture & overlaps, share, torch.inf)

    def products(self) -> tuple[Float[Tensor, " pair"], Float[Tensor, " pair"], Float[Tensor, " pair"]]:
        upper, lower = self.colours.flatten(1), self.below.flatten(1)
        return upper.square().sum(dim=1), lower.square().sum(dim=1), (upper * lower).sum(dim=1)

    def step(self) -> Float[Tensor, "pair 4"]:
        """Where the upper pictures fit better, by Gauss and Newton, with the gain that fits best."""
        own, _, both = self.products()
        gain = (both / own.clamp(min=1e-9)).clamp(0.2, 5.0)
        moved = gain[:, None, None] * self.slopes.flatten(2)
        slopes = torch.cat([moved, self.colours.flatten(1)[:, None]], dim=1)
        error = self.below.flatten(1) - gain[:, None] * self.colours.flatten(1)
        curvature = slopes @ slopes.transpose(1, 2)
        damping = 1e-3 * curvature.diagonal(dim1=1, dim2=2) + 1e-6
        better: Tensor = torch.linalg.solve(curvature + torch.diag_embed(damping), slopes @ error[:, :, None])
        return better[:, :4, 0].clamp(-LARGEST_STEP, LARGEST_STEP)


def unexplained(
    upper: Float[Tensor, "pair 3 side side"],
    lower: Float[Tensor, "pair 3 side side"],
    *,
    overlay: Int[Tensor, " pair"],
    hopeless: Float[Tensor, " pair"],
) -> Float[Tensor, " pair"]:
    """What is left of the lower pictures where the upper ones are fitted to them as well as can be.

    Those of which more than `hopeless` is left after a few steps are not fitted any better.
    """
    mirrored = (overlay >= len(OVERLAYS))[:, None, None, None]
    upper = torch.where(mirrored, upper.flip(3), upper)
    places = torch.tensor([start_of(*windows) for windows in OVERLAYS])[overlay % len(OVERLAYS)]
    sources = torch.cat([upper, *slopes_of(upper)], dim=1)
    least = torch.full((len(upper),), torch.inf)
    going = torch.arange(len(upper))
    for step in range(STEPS):
        if step == PATIENCE:
            stays = least[going] <= hopeless[going]
            going, places = going[stays], places[stays]
        laid = laid_over(sources[going], lower[going], places)
        least[going] = torch.minimum(least[going], laid.unexplained(places))
        places = places + laid.step()
    return least


def start_of(upper: Window, lower: Window) -> Window:
    """Width, place across, height and place down, in halves of a side, that lay one window on the other."""
    width, height = upper[2] / lower[2], upper[3] / lower[3]
    across = 2 * (upper[0] - lower[0] * width) + width - 1
    down = 2 * (upper[1] - lower[1] * height) + height - 1
    return width, across, height, down


def slopes_of(
    pictures: Float[Tensor, "pair 3 side side"],
) -> tuple[Float[Tensor, "pair 3 side side"], Float[Tensor, "pair 3 side side"]]:
    """How colours change across and down, for half a side."""
    across, down = torch.zeros_like(pictures), torch.zeros_like(pictures)
    across[..., 1:-1] = (pictures[..., 2:] - pictures[..., :-2]) * SIDE_PX / 4
    down[..., 1:-1, :] = (pictures[..., 2:, :] - pictures[..., :-2, :]) * SIDE_PX / 4
    return across, down


def laid_over(
    sources: Float[Tensor, "pair 9 side side"],
    lower: Float[Tensor, "pair 3 side side"],
    places: Float[Tensor, "pair 4"],
) -> Overlay:
    """The upper pictures, and their slopes, at the points of the lower ones."""
    points = (torch.arange(SIDE_PX) + 0.5) / SIDE_PX * 2 - 1
    width, across, height, down = (place[:, None, None] for place in places.T)
    x = (width * points[None, None, :] + across).expand(-1, SIDE_PX, -1)
    y = (height * points[None, :, None] + down).expand(-1, -1, SIDE_PX)
    is_common = ((x.abs() <= 1 - 1 / SIDE_PX) & (y.abs() <= 1 - 1 / SIDE_PX))[:, None]
    sampled = functional.grid_sample(sources, torch.stack([x, y], dim=-1), padding_mode="border", align_corners=False)
    colours, by_x, by_y = sampled[:, :3], sampled[:, 3:6], sampled[:, 6:]
    slopes = [by_x * points, by_x, by_y * points[:, None], by_y]
    mask = is_common.float()
    n_common: Tensor = mask.sum(dim=(2, 3), keepdim=True).clamp(min=1)

    def centred(values: Float[Tensor, "pair 3 side side"]) -> Float[Tensor, "pair 3 side side"]:
        mean: Tensor = (values * mask).sum(dim=(2, 3), keepdim=True) / n_common
        centred_values: Tensor = mask * (values - mean)
        return centred_values

    return Overlay(centred(colours), centred(lower), torch.stack([centred(one) for one in slopes], dim=1), is_common)

"""Images of datasets -> how much what is known of another dataset says of this one, by how alike their images look.

Of each dataset thirteen numbers are kept, means and deviations over a sample of its images shrunk to 32 x 32 pixels:
how bright, coloured, contrasted, edged and flat they are, and how alike each other. No picture can be made of them
again.
"""

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from lead_hub.labelled_images import LabelledImages
from lead_hub.recommendation.near_copies import thumbnail

VERSION = 1  # of what the statistics are
N_SAMPLED = 128  # images
FLAT = 0.02  # of 1: neighbouring pixels that differ by less are one colour
COARSE_PX = 4  # a side, which are one for coarse edges
OF_EACH_IMAGE = ("brightness", "colour", "contrast", "edges", "coarse_edges", "flat")
NAMES = (*OF_EACH_IMAGE, *(f"{name}_deviation" for name in OF_EACH_IMAGE), "alike")

SMALLEST = 0.01  # statistics below it are hardly different
# By `python -m tests.benchmarks.race_prior --variants`: the most cautious of those that were tried.
WIDTH = 0.4  # distance at which a dataset says 1/e of what one with equal statistics says
SHRINKING = 3.0  # so many known datasets are half the way from equal weights to those of their distances

Statistics: TypeAlias = Mapping[str, float]  # each of NAMES, from 0 to 1


def statistics_of(images: LabelledImages) -> Statistics:
    """What a dataset's images look like, by a seeded sample of them.

    Args:
        images: of a run.
    """
    chosen = sampled(len(images))
    return image_statistics(torch.stack([thumbnail(images.pixels[position]) for position in chosen]))


def sampled(n_images: int) -> list[int]:
    """Positions of the images that are looked at, ascending."""
    return sorted(np.random.default_rng(0).permutation(n_images)[:N_SAMPLED].tolist())


def image_statistics(thumbnails: Float[Tensor, "image 3 side side"]) -> Statistics:
    """Mean and deviation over images of what each looks like, and how alike they are.

    Args:
        thumbnails: two or more, colours from 0 to 1.
    """
    grey = thumbnails.mean(dim=1)
    steps = neighbours_apart(grey)
    values = (
        grey.mean(dim=(1, 2)),
        (thumbnails.amax(dim=1) - thumbnails.amin(dim=1)).mean(dim=(1, 2)),
        grey.flatten(1).std(dim=1, correction=0),
        steps.mean(dim=1),
        neighbours_apart(functional.avg_pool2d(grey, COARSE_PX)).mean(dim=1),
        (steps < FLAT).float().mean(dim=1),
    )
    means = [float(each.mean()) for each in values]
    deviations = [float(each.std(correction=0)) for each in values]
    patterns = functional.normalize(grey.flatten(1) - grey.flatten(1).mean(dim=1, keepdim=True), dim=1)
    first, second = torch.triu_indices(len(patterns), len(patterns), offset=1)
    correlations = (patterns @ patterns.T)[first, second]
    return dict(zip(NAMES, (*means, *deviations, float(correlations.square().mean().sqrt())), strict=True))


def neighbours_apart(grey: Float[Tensor, "image height width"]) -> Float[Tensor, "image pair"]:
    """By how much pixels differ from those below and beside them."""
    return torch.cat([grey.diff(dim=axis).abs().flatten(1) for axis in (1, 2)], dim=1)


def distance(one: Statistics, other: Statistics) -> float:
    """How far two datasets' images are from each other: root mean square of the logarithms of their ratios."""
    ratios = [math.log((one[name] + SMALLEST) / (other[name] + SMALLEST)) for name in NAMES]
    return math.sqrt(sum(ratio**2 for ratio in ratios) / len(ratios))


def similarity_weights(
    here: Statistics, others: Mapping[str, Statistics | None], *, width: float = WIDTH, shrinking: float = SHRINKING
) -> dict[str, float]:
    """How much each other dataset says of this one, 1 in the mean; the more alike, the more.

    Args:
        here: of the dataset of the run.
        others: by name; one without any weighs as much as those that have them weigh in the mean.
        width: distance at which a dataset says 1/e of what one with equal statistics says.
        shrinking: so many known datasets are half the way from equal weights to those of their distances.
    """
    known = {name: math.exp(-distance(here, each) / width) for name, each in others.items() if each is not None}
    if not known:
        return dict.fromkeys(others, 1.0)
    mean, share = sum(known.values()) / len(known), len(known) / (len(known) + shrinking)
    return {name: 1.0 + share * (known.get(name, mean) / mean - 1.0) for name in others}


def statistics_entry(statistics: Statistics) -> dict[str, Any]:
    """Plain JSON values."""
    return {"version": VERSION, "values": {name: round(statistics[name], 4) for name in NAMES}}


def read_statistics(entry: object) -> Statistics | None:
    """What `statistics_entry` gave; None for anything else, whatever it is."""
    if not isinstance(entry, dict) or entry.get("version") != VERSION or not isinstance(entry.get("values"), dict):
        return None
    values = entry["values"]
    is_whole = values.keys() == set(NAMES) and all(
        isinstance(value, int | float) and 0 <= value <= 1 for value in values.values()
    )
    return {name: float(values[name]) for name in NAMES} if is_whole else None

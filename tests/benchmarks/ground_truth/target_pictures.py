"""A target's name -> its labelled pictures at 32 px, from packages or from formulas."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tests.benchmarks.demo_pool.composition import Variation, composed
from tests.benchmarks.demo_pool.drawings import Drawings
from tests.benchmarks.demo_pool.sources import Packages

from .confirmation_drawings import confirmation_parts
from .confirmation_formulas import arrows, clocks
from .sources import PIXELS, shrunk
from .target_drawings import Parts, drawn_parts, with_wrong_labels
from .target_formulas import polygons, textures, things_to_count
from .targets import CONFIRMATION, TARGETS, LabelledPictures

CALM = Variation(tilt_degrees=10.0, smallest_scale=0.85, shift=0.05, noise=0.04, clutter=0.0, colour=0.0)
LIVELY = Variation(tilt_degrees=15.0, smallest_scale=0.65, shift=0.12, noise=0.12, clutter=0.15, colour=0.1)
LEVEL = Variation(tilt_degrees=3.0, smallest_scale=0.85, shift=0.05, noise=0.05, clutter=0.0, colour=0.0)
LOOKS = {
    "mnist": LIVELY,
    "scikit_digits": LIVELY,
    "capitals": LIVELY,
    "ethiopic": LIVELY,
    "polygons": LIVELY,
    "font_style": LEVEL,
    "printed_digits": LIVELY,
    "letter_case": LIVELY,
    "arrows": LIVELY,
    "clocks": LEVEL,
}
HAVE_WRONG_LABELS = ("clipart", "printed_digits")
CONFIRMATION_NAMES = {target.name for target in TARGETS if target.half == CONFIRMATION}


def target_pictures(name: str, packages: Packages, dejavu: Path) -> LabelledPictures:
    """Reproducible: all chance in it has fixed seeds."""
    generator = torch.Generator().manual_seed(31)
    if name == "textures":
        return _labelled(textures(30, PIXELS, generator), textures(40, PIXELS, generator), generator)
    if name == "counting":
        return _labelled(things_to_count(72, PIXELS, seed=32), things_to_count(72, PIXELS, seed=33), generator)
    if name == "polygons":
        parts = Parts(polygons(32, seed=34), polygons(40, seed=35))
    elif name == "arrows":
        parts = Parts(arrows(15, seed=36), arrows(40, seed=37))
    elif name == "clocks":
        parts = Parts(clocks(20, seed=38), clocks(26, seed=39))
    elif name in CONFIRMATION_NAMES:
        parts = confirmation_parts(name, packages, dejavu)
    else:
        parts = drawn_parts(name, packages, dejavu)
    look = LOOKS.get(name, CALM)
    train, test = (_composed(part, look, generator) for part in (parts.train, parts.test))
    if name in HAVE_WRONG_LABELS:
        train = train[0], with_wrong_labels(train[1], len(parts.train.class_names))
    return _labelled(train, test, generator)


def _composed(drawings: Drawings, look: Variation, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    is_ink = torch.full((len(drawings.labels),), drawings.is_ink)
    return composed(shrunk(drawings.rgba), generator, is_ink=is_ink, variation=look), drawings.labels


def _labelled(
    train: tuple[torch.Tensor, torch.Tensor], test: tuple[torch.Tensor, torch.Tensor], generator: torch.Generator
) -> LabelledPictures:
    return LabelledPictures(*_shuffled(*train, generator), *_shuffled(*test, generator))


def _shuffled(
    pictures: torch.Tensor, labels: torch.Tensor, generator: torch.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    order = torch.randperm(len(labels), generator=generator)
    pixels = (pictures[order] * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
    return pixels.contiguous().numpy(), labels[order].long().numpy()

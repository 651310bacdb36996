"""The source tasks at 32 px: the demo's four, writing systems that no target asks for, and textures."""

import dataclasses

import numpy as np
import torch
from torch.nn import functional

from tests.benchmarks.demo_pool.drawings import Cutout, belongs_to_target, glyph, letters_of, stacked
from tests.benchmarks.demo_pool.sources import Packages, SourceTask
from tests.benchmarks.demo_pool.sources import source_task as demo_source_task

from .patterns import SOURCE_KINDS, coloured, pattern

PIXELS = 32
PATTERNS_PER_KIND = 120
TEXTS_PER_SCRIPT = 90
WRITING = {
    "Bengali": (0x0985, 0x09B9),
    "Cham": (0xAA00, 0xAA28),
    "Cherokee": (0x13A0, 0x13F5),
    "Gurmukhi": (0x0A05, 0x0A39),
    "Javanese": (0xA984, 0xA9B2),
    "Khmer": (0x1780, 0x17B3),
    "Lisu": (0xA4D0, 0xA4F7),
    "Malayalam": (0x0D05, 0x0D39),
    "Myanmar": (0x1000, 0x102A),
    "Runic": (0x16A0, 0x16EA),
    "Sinhala": (0x0D85, 0x0DC6),
    "Syriac": (0x0710, 0x072F),
    "Vai": (0xA500, 0xA60B),
    "Yi": (0xA000, 0xA48C),
}


def source_task(name: str, packages: Packages) -> SourceTask:
    """`letters`, `clipart`, `emoji`, `digits`, several of them joined by `+`, `writing` or `patterns`."""
    if name == "writing":
        return _shrunk(_writing(packages))
    if name == "patterns":
        return _patterns()
    task = _shrunk(demo_source_task(name, packages))
    return _without_targets_digits(task) if name == "digits" else task


def shrunk(rgba: torch.Tensor) -> torch.Tensor:
    """uint8 [drawing, 4, side, side] at 32 px, each new pixel the mean of those it covers."""
    alpha = rgba[:, 3:].float() / 255
    premultiplied = torch.cat([rgba[:, :3].float() * alpha, alpha * 255], dim=1)
    small = functional.interpolate(premultiplied, size=(PIXELS, PIXELS), mode="area")
    colours = small[:, :3] / (small[:, 3:] / 255).clamp(min=1 / 255)
    return torch.cat([colours, small[:, 3:]], dim=1).round().clamp(0, 255).to(torch.uint8)


def _shrunk(task: SourceTask) -> SourceTask:
    return dataclasses.replace(task, rgba=shrunk(task.rgba))


def _without_targets_digits(task: SourceTask) -> SourceTask:
    rows = [row for row, group in enumerate(task.groups) if not belongs_to_target(group)]
    return SourceTask(
        task.rgba[rows], task.labels[rows], task.is_ink[rows], tuple(task.groups[row] for row in rows), task.class_names
    )


def _writing(packages: Packages) -> SourceTask:
    chance = np.random.default_rng(12)
    cutouts = []
    for script, (first, last) in WRITING.items():
        fonts = sorted(packages.fonts.glob(f"Noto*{script}-*.ttf"))
        letters = letters_of(first, last)
        drawn = 0
        while drawn < TEXTS_PER_SCRIPT:
            text = "".join(chance.choice(letters, size=chance.integers(1, 3)))
            image = glyph(text, fonts[chance.integers(len(fonts))])
            if image is not None:
                cutouts.append(Cutout(image, script, f"writing/{text}"))
                drawn += 1
    drawings = stacked(cutouts, is_ink=True)
    is_ink = torch.ones(len(cutouts), dtype=torch.bool)
    return SourceTask(drawings.rgba, drawings.labels, is_ink, drawings.groups, drawings.class_names)


def _patterns() -> SourceTask:
    generator = torch.Generator().manual_seed(13)
    labels = torch.arange(len(SOURCE_KINDS)).repeat(PATTERNS_PER_KIND)
    pictures = [
        coloured(pattern(SOURCE_KINDS[label], PIXELS, generator), generator, contrast=0.2) for label in labels.tolist()
    ]
    opaque = torch.ones(len(pictures), 1, PIXELS, PIXELS)
    rgba = (torch.cat([torch.stack(pictures), opaque], dim=1) * 255).round().to(torch.uint8)
    groups = tuple(f"pattern/{number}" for number in range(len(pictures)))
    return SourceTask(rgba, labels, torch.zeros(len(pictures), dtype=torch.bool), groups, SOURCE_KINDS)

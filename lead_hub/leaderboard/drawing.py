"""What the figures share: frame and style, shapes, scales and ticks.

Positions are percentages of the drawing's width and height, so that a drawing is as wide as its place while its text
keeps its size, on a phone too. Colours are those of the page's theme, light or dark.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

Point: TypeAlias = tuple[float, float]  # percent from the left, percent from the top

# The names are Gradio's; where there is no Gradio, colours follow the text's own.
STYLE = """
.lh-figure {container-type: inline-size; margin: 0; font-size: 13px; line-height: 1.4;
  --lh-text: var(--body-text-color, currentColor); --lh-accent: var(--color-accent, #f97316);
  --lh-line: var(--border-color-primary, #8886); --lh-ground: var(--background-fill-primary, Canvas);
  --lh-quiet: color-mix(in srgb, var(--lh-text) 70%, var(--lh-ground)); color: var(--lh-text)}
.lh-figure figcaption {margin: 0 0 12px; max-width: 46rem} .lh-figure figcaption b {display: block; font-size: 15px}
.lh-figure svg {display: block; width: 100%; overflow: visible; font-size: 12px}
.lh-figure svg text {fill: var(--lh-quiet)} .lh-figure .lh-quiet {color: var(--lh-quiet)}
.lh-figure .lh-grid {stroke: var(--lh-line); stroke-width: 1}
"""


@dataclass(frozen=True)
class Scale:
    """Numbers from `low` to `high` as percentages, 0 to 100; those of a logarithmic scale must be above 0."""

    low: float
    high: float
    is_logarithmic: bool = False

    def position(self, value: float) -> float:
        """Where a value lies; in the middle where there is but one."""
        low, high, here = (math.log10(each) if self.is_logarithmic else each for each in (self.low, self.high, value))
        return 100 * (here - low) / (high - low) if high > low else 50.0


def scale_of(values: Sequence[float], *, margin: float = 0.07) -> Scale:
    """A scale with all values and some room beside them.

    Args:
        values: at least one.
        margin: room on either side, as a share of their range.
    """
    low, high = min(values), max(values)
    room = margin * (high - low) or margin * abs(low) or 1.0
    return Scale(low - room, high + room)


def log_scale_of(values: Sequence[float]) -> Scale:
    """A logarithmic scale with all values, which are above 0, and some room beside them."""
    low, high = math.log10(min(values)), math.log10(max(values))
    room = 0.07 * (high - low) or 0.3
    return Scale(10 ** (low - room), 10 ** (high + room), is_logarithmic=True)


def ticks(scale: Scale, *, at_most: int = 6) -> list[float]:
    """Round numbers within a scale: multiples of 1, 2 or 5 times a power of ten; those times powers of ten if it is
    logarithmic.
    """
    if scale.is_logarithmic:
        return _log_ticks(scale, at_most=at_most)
    exponent = math.floor(math.log10((scale.high - scale.low) / at_most))
    steps = (factor * 10.0**power for power in (exponent, exponent + 1) for factor in (1, 2, 5))
    return next(found for step in steps if len(found := _multiples(scale, step)) <= at_most)


def _multiples(scale: Scale, step: float) -> list[float]:
    return [number * step for number in range(math.ceil(scale.low / step), math.floor(scale.high / step) + 1)]


def labels(marks: Sequence[float]) -> list[str]:
    """Ticks in words, with as many decimal places as their distance asks for."""
    if len(marks) < 2:
        return [f"{mark:g}" for mark in marks]
    decimals = max(0, math.ceil(-math.log10(marks[1] - marks[0]) - 1e-6))
    return [f"{mark:.{decimals}f}" for mark in marks]


def _log_ticks(scale: Scale, *, at_most: int) -> list[float]:
    powers = range(math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        values = [factor * 10.0**power for power in powers for factor in factors]
        within = [value for value in values if scale.low <= value <= scale.high]
        if len(within) <= at_most:
            return within
    return within[:: math.ceil(len(within) / at_most)]


def rank_ticks(worst: int) -> list[int]:
    """Ranks to name on an axis: the first, the last, and round numbers that are not too near to them."""
    step = next(factor * 10**power for power in range(12) for factor in (1, 2, 5) if worst <= 6 * factor * 10**power)
    return sorted({1, worst, *(rank for rank in range(step, worst, step) if rank > 1 and 2 * (worst - rank) >= step)})


def line(start: Point, end: Point, *, name: str) -> str:
    """A straight line of a CSS class."""
    (x1, y1), (x2, y2) = start, end
    return f'<line class="{name}" x1="{x1:.2f}%" y1="{y1:.2f}%" x2="{x2:.2f}%" y2="{y2:.2f}%"/>'


def circle(centre: Point, *, radius: float, title: str = "") -> str:
    """A disc, with a title (escaped) that shows when pointed at."""
    inner = f"<title>{title}</title>" if title else ""
    return f'<circle cx="{centre[0]:.2f}%" cy="{centre[1]:.2f}%" r="{radius:g}">{inner}</circle>'


def svg(title: str, description: str, drawn: str) -> str:
    """A drawing that says what it is to those who do not see it; both texts escaped."""
    return f'<svg role="img" aria-label="{title}"><title>{title}</title><desc>{description}</desc>{drawn}</svg>'


def figure(title: str, words: str, *parts: str, style: str = "") -> str:
    """A figure with its caption.

    Args:
        title: escaped.
        words: what it shows, escaped.
        *parts: HTML.
        style: CSS rules of this figure alone.
    """
    caption = f"<figcaption><b>{title}</b>{words}</figcaption>"
    return f'<style>{STYLE}{style}</style><figure class="lh-figure">{caption}{"".join(parts)}</figure>'


def sentence(text: str) -> str:
    """What stands in a figure's place where there is nothing to draw."""
    return f"<p>{text}</p>"


NOTHING = sentence("There is nothing to draw yet: this figure appears with the first checkpoint that is scored.")

"""What the figures share: frame and style, shapes, scales and ticks.

Positions are percentages of the drawing's width and height, so that a drawing is as wide as its place while its text
keeps its size, on a phone too. Colours are those of the page's theme, light or dark.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

Point: TypeAlias = tuple[float, float]  # percent from the left, percent from the top

# Of Gradio, else of JupyterLab or VS Code, else of the text around; a page of our own sets the last ones.
COLOURS = """
  --lh-text: var(--body-text-color, var(--jp-content-font-color1, var(--vscode-editor-foreground, CanvasText)));
  --lh-ground: var(--background-fill-primary, var(--jp-layout-color0, var(--vscode-editor-background, Canvas)));
  --lh-accent: var(--color-accent, #6366f1); --lh-line: var(--border-color-primary, #8886);
  --lh-quiet: color-mix(in srgb, var(--lh-text) 75%, var(--lh-ground));
  --lh-strong: color-mix(in srgb, var(--lh-accent) 75%, var(--lh-text)); color: var(--lh-text);"""
STYLE = (
    """
.lh-figure {container-type: inline-size; margin: 0; font-size: 13px; line-height: 1.4;"""
    + COLOURS
    + """}
.lh-figure figcaption {margin: 0 0 12px; max-width: 46rem} .lh-figure figcaption b {display: block; font-size: 15px}
.lh-figure svg {display: block; width: 100%; overflow: visible; font-size: 12px}
.lh-figure svg text {fill: var(--lh-quiet)} .lh-figure .lh-quiet {color: var(--lh-quiet)}
.lh-figure .lh-grid {stroke: var(--lh-line); stroke-width: 1}
"""
)
# Where the visitor's own few colours replace the theme's, a drawing keeps to them: what matters in the one for chosen
# things and thick, the rest thin lines, so that nothing is told by a ground or a shade.
FORCED_COLOURS = """
@media (forced-colors: active) {
  .lh-figure, .lh-answer, .lh-board, .lh-ranked-on, .lh-skipped {--lh-text: CanvasText; --lh-ground: Canvas;
    --lh-accent: Highlight; --lh-line: GrayText; --lh-quiet: CanvasText; --lh-strong: LinkText}
  .lh-drawn .lh-whole {stroke-width: 2} .lh-drawn .lh-reach, .lh-ranks .lh-bar {opacity: 1}
  .lh-figure .lh-points circle {opacity: 1}
  .lh-figure .lh-confusion td {border: 1px solid GrayText}
  .lh-figure .lh-confusion td.lh-right {border: 2px solid Highlight}
  .lh-figure .lh-confusion td.lh-total {border: none}
  .lh-board .lh-best td {border-bottom: 2px solid Highlight} .lh-board .lh-tip > span {border: 1px solid CanvasText}}
"""
# A share and an interval on a scale from 0 to 100%, in the answer and in cells.
CELL_STYLE = (
    """
.lh-drawn {display: block; width: 100%; height: 12px; overflow: visible}
.lh-drawn .lh-whole {stroke: var(--lh-line); stroke-width: 8}
.lh-drawn .lh-part {stroke: var(--lh-accent); stroke-width: 8}
.lh-drawn .lh-scale {stroke: var(--lh-line); stroke-width: 2}
.lh-drawn .lh-reach {stroke: var(--lh-accent); stroke-width: 4; stroke-linecap: round; opacity: .55}
.lh-drawn circle {fill: var(--lh-accent)}
"""
    + FORCED_COLOURS
)
ANSWER_STYLE = (
    """
.lh-answer, .lh-ranked-on, .lh-skipped {font-size: 14px; line-height: 1.45; overflow-wrap: anywhere;"""
    + COLOURS
    + """}
.lh-answer {container-type: inline-size; padding: 16px 24px; border: 1px solid var(--lh-line); border-radius: 8px;
  border-left: 6px solid var(--lh-accent); background: color-mix(in srgb, var(--lh-accent) 6%, var(--lh-ground))}
.lh-answer p, .lh-ranked-on p {margin: 0 0 8px} .lh-answer > :last-child, .lh-ranked-on > :last-child {margin-bottom: 0}
.lh-answer .lh-verdict {font-size: 16px; margin: 0; color: var(--lh-quiet)}
.lh-answer .lh-winner {font-size: clamp(22px, 4.4cqi, 32px); line-height: 1.2; font-weight: 700; margin: 0 0 8px}
.lh-answer a {color: var(--lh-strong); text-decoration: underline; text-underline-offset: 3px}
.lh-answer .lh-also {font-size: 16px} .lh-answer .lh-why {max-width: 60rem}
.lh-answer .lh-figures {display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 15rem), 1fr));
  gap: 16px 32px; margin: 8px 0 16px; max-width: 60rem}
.lh-answer .lh-number {font-size: 32px; line-height: 1.1; font-weight: 700; margin: 0 0 4px;
  font-variant-numeric: tabular-nums} .lh-answer .lh-words {margin: 4px 0 0; color: var(--lh-quiet)}
.lh-answer .lh-warning {padding-left: 12px; border-left: 4px solid #d97706}
.lh-answer summary {cursor: pointer; color: var(--lh-quiet)} .lh-answer details p {margin: 8px 0 0; max-width: 60rem}
.lh-answer ul {margin: 8px 0 0; padding-left: 1.2em; list-style: disc}
.lh-skipped {border-collapse: collapse; width: 100%}
.lh-skipped :is(th, td) {padding: 4px 8px; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--lh-line)}
@container (max-width: 540px) {.lh-answer .lh-figures {gap: 12px}
  .lh-answer .lh-number {font-size: 26px}}
"""
    + CELL_STYLE
)


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
    logarithmic and there are two of them or more.
    """
    if scale.is_logarithmic and len(found := _log_ticks(scale, at_most=at_most)) > 1:
        return found
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


def share_drawing(share: float) -> str:
    """A bar filled by a share in [0, 1]; its number stands beside it, so it is silent to who does not see it."""
    whole = line((0, 50), (100, 50), name="lh-whole")
    part = line((0, 50), (100 * share, 50), name="lh-part") if share >= 0.005 else ""
    return f'<svg class="lh-drawn" aria-hidden="true">{whole}{part}</svg>'


def interval_drawing(low: float, value: float, high: float) -> str:
    """An interval and the value in it on a scale from 0 to 1; its numbers stand beside it."""
    scale = line((0, 50), (100, 50), name="lh-scale")
    reach = line((100 * low, 50), (100 * high, 50), name="lh-reach")
    dot = circle((100 * value, 50), radius=5)
    return f'<svg class="lh-drawn" aria-hidden="true">{scale}{reach}{dot}</svg>'


def styled(html: str, style: str) -> str:
    """HTML with the CSS rules that it needs."""
    return f"<style>{style}</style>{html}"


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
    return f'<style>{STYLE}{style}{FORCED_COLOURS}</style><figure class="lh-figure">{caption}{"".join(parts)}</figure>'


def sentence(text: str) -> str:
    """What stands in a figure's place where there is nothing to draw."""
    return f"<p>{text}</p>"


NOTHING = sentence("There is nothing to draw yet: this figure appears with the first checkpoint that is scored.")

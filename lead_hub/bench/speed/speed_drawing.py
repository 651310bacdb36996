"""A report as a drawing: how long each part took, a bar each, and the ratios beside their targets.

It stands alone, in a browser or in a README, so its colours are its own: dark ones where the reader's are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lead_hub.bench.speed.measured_parts import Measured
from lead_hub.bench.speed.speed_report import SpeedReport, SpeedRow, Target, targets
from lead_hub.bench.speed.stage_times import StageTimes
from lead_hub.leaderboard import Scale, escaped, labels, line, ticks

WIDTH_PX, MARGIN_PX = 860, 20
TRACK_LEFT_PX, TRACK_PX = 240, 430  # names before it, numbers behind it
LINE_PX, TITLE_PX, AXIS_PX, GAP_PX = 24, 30, 22, 18
KEY = (
    *(("decoding", "images read and decoded"), ("passes", "images through networks")),
    *(("other", "all else of a run"), ("limit", "target")),
)
STYLE = """
text {font: 13px system-ui, sans-serif; fill: #1f2328; stroke: #ffffff; stroke-width: 3; paint-order: stroke}
.title {font-size: 15px; font-weight: 600}
.quiet {fill: #59636e} .ground {fill: #ffffff} .grid {stroke: #8886; stroke-width: 1}
.decoding {stroke: #0891b2} .passes {stroke: #6366f1} .other {stroke: #d97706} .whole {stroke: #818b98}
.decoding, .passes, .other, .whole {stroke-width: 14} .limit {stroke: #1f2328; stroke-width: 2}
svg svg {overflow: visible}
@media (prefers-color-scheme: dark) {
  text {fill: #f0f6fc; stroke: #0d1117} .quiet {fill: #9198a1} .ground {fill: #0d1117} .limit {stroke: #f0f6fc}
  .passes {stroke: #818cf8}}
"""


@dataclass(frozen=True)
class Bar:
    """One line of a drawing.

    Attributes:
        name: what it shows.
        pieces: name of a class of STYLE and length of each, from left to right.
        words: behind it.
        limit: a mark across it; None for none.
    """

    name: str
    pieces: tuple[tuple[str, float], ...]
    words: str
    limit: float | None = None

    @property
    def reach(self) -> float:
        """How far to the right it goes."""
        return max(sum(length for _, length in self.pieces), self.limit or 0.0)


def drawing_of(report: SpeedReport) -> str:
    """The whole drawing, as the text of an SVG file."""
    n_networks = len(report.settings.networks)
    networks = f"{n_networks} network{'s' if n_networks > 1 else ''}"
    title = f"lead-hub bench --speed: {networks}, {report.settings.n_images} images, {report.device}"
    drawn = [f'<text class="quiet" x="{MARGIN_PX}" y="{MARGIN_PX + 12}">{escaped(title)}</text>']
    top_px = MARGIN_PX + TITLE_PX
    for row in report.rows:
        part, top_px = panel(f"Seconds, on images of {row.size}", second_bars(report, row), top_px)
        drawn.append(part)
        part, top_px = panel(f"Ratios, and their targets, on images of {row.size}", ratio_bars(report, row), top_px)
        drawn.append(part)
    drawn.append(key(top_px))
    height_px = top_px + LINE_PX + MARGIN_PX
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH_PX}" height="{height_px}" viewBox="0 0 {WIDTH_PX}'
        f' {height_px}" role="img"><title>{escaped(title)}</title><desc>{escaped(described(report))}</desc>'
        f'<style>{STYLE}</style><rect class="ground" width="100%" height="100%"/>{"".join(drawn)}</svg>\n'
    )


def second_bars(report: SpeedReport, row: SpeedRow) -> list[Bar]:
    """What each part took; a run's in three pieces."""
    floor = (("decoding", row.decoding.wall_s), ("passes", row.forward.wall_s))
    bars = [Bar("(a) decoding alone", floor[:1], seconds(row.decoding.wall_s))]
    bars.append(Bar("(a) passes alone", floor[1:], seconds(row.forward.wall_s)))
    if row.floor_is_sum:
        bars.append(Bar("(a) floor: both", floor, seconds(row.floor_s)))
    bars.append(run_bar("(b) lead-hub", row.ours))
    bars.append(run_bar(f"(b) as a race within {report.settings.race_budget}", row.race))
    bars.append(Bar("(c) a user's loop", (("whole", row.loop.wall_s),), seconds(row.loop.wall_s)))
    if row.download is not None and row.fetched is not None:
        limit = f"{report.megabytes_per_s:g} MB/s"
        pieces = (("whole", row.download.wall_s),)
        bars.append(Bar(f"(a) download alone, {limit}", pieces, seconds(row.download.wall_s)))
        bars.append(run_bar(f"(b) lead-hub, {limit}", row.fetched))
    return bars


def run_bar(name: str, run: Measured) -> Bar:
    """A run, in what its floor has and what it has not."""
    stages = run.stages or StageTimes()
    other_s = run.wall_s - stages.images_s - stages.passes_s
    pieces = (("decoding", stages.images_s), ("passes", stages.passes_s), ("other", other_s))
    return Bar(name, pieces, seconds(run.wall_s))


def ratio_bars(report: SpeedReport, row: SpeedRow) -> list[Bar]:
    """Each ratio with a mark at what it should be."""
    return [ratio_bar(target, row) for target in targets(report.kind)]


def ratio_bar(target: Target, row: SpeedRow) -> Bar:
    """One ratio."""
    ratio = target.ratio(row)
    words = f"{ratio:.2f}; {target.limit_words}: {'met' if target.is_met(row) else 'not met'}"
    return Bar(target.name, (("whole", ratio),), words, limit=target.limit)


def seconds(duration_s: float) -> str:
    """Such as "12.3 s"."""
    return f"{duration_s:.1f} s"


def panel(title: str, bars: Sequence[Bar], top_px: int) -> tuple[str, int]:
    """Bars on one scale below a title, from so many pixels below the top; and where the next may begin."""
    scale = Scale(0.0, max(bar.reach for bar in bars))
    axis_px = top_px + TITLE_PX
    bars_px = axis_px + AXIS_PX
    end_px = bars_px + LINE_PX * len(bars)
    marks = ticks(scale)
    named = zip(marks, labels(marks), strict=True)
    numbers = "".join(
        f'<text class="quiet" x="{scale.position(mark):.2f}%" y="14" text-anchor="middle">{name}</text>'
        for mark, name in named
    )
    grid = "".join(line((scale.position(mark), 0), (scale.position(mark), 100), name="grid") for mark in marks)
    drawn = [
        f'<text class="title" x="{MARGIN_PX}" y="{top_px + 16}">{escaped(title)}</text>',
        track(numbers, axis_px, AXIS_PX),
        track(grid, bars_px, end_px - bars_px),
        *(bar_line(bar, scale, bars_px + LINE_PX * number) for number, bar in enumerate(bars)),
    ]
    return "".join(drawn), end_px + GAP_PX


def bar_line(bar: Bar, scale: Scale, top_px: int) -> str:
    """One bar with its name and its words."""
    parts, reached = [], 0.0
    for kind, length in bar.pieces:
        ends = ((scale.position(place), 50.0) for place in (reached, reached + length))
        parts.append(line(*ends, name=kind))
        reached += length
    if bar.limit is not None:
        place = scale.position(bar.limit)
        parts.append(line((place, 8), (place, 92), name="limit"))
    words = f'<text x="{scale.position(bar.reach):.2f}%" dx="8" y="{LINE_PX // 2 + 5}">{escaped(bar.words)}</text>'
    name = f'<text x="{MARGIN_PX}" y="{top_px + LINE_PX // 2 + 5}">{escaped(bar.name)}</text>'
    return name + track("".join([*parts, words]), top_px, LINE_PX)


def track(drawn: str, top_px: int, height_px: int) -> str:
    """Where percentages count from the bars' beginning to their longest end."""
    place = f'x="{TRACK_LEFT_PX}" y="{top_px}" width="{TRACK_PX}" height="{height_px}"'
    return f"<svg {place}>{drawn}</svg>"


def key(top_px: int) -> str:
    """Which colour is what."""
    parts = []
    for number, (kind, words) in enumerate(KEY):
        left_px, middle_px = MARGIN_PX + 210 * number, top_px + LINE_PX // 2
        stroke = f'x1="{left_px}" y1="{middle_px}" x2="{left_px + 14}" y2="{middle_px}"'
        parts.append(f'<line class="{kind}" {stroke}/>')
        parts.append(f'<text x="{left_px + 22}" y="{middle_px + 5}">{escaped(words)}</text>')
    return "".join(parts)


def described(report: SpeedReport) -> str:
    """The same in words, for those who do not see it."""
    said = []
    for row in report.rows:
        bars = [*second_bars(report, row), *ratio_bars(report, row)]
        said.append(f"images of {row.size}: " + "; ".join(f"{bar.name}: {bar.words}" for bar in bars))
    return ". ".join(said)

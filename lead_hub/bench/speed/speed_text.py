"""What `lead-hub bench --speed` says to people: the table, and the notes below it."""

from collections.abc import Callable
from typing import TypeAlias

from lead_hub.bench.speed.speed_report import SpeedReport, SpeedRow, targets
from lead_hub.bench.speed.stage_times import WORDS

Cell: TypeAlias = Callable[[SpeedRow], str]


def table(report: SpeedReport) -> list[list[str]]:
    """The header, and a line for each measurement."""
    lines = [*second_lines(report), *ratio_lines(report), *other_lines(report)]
    return [["", *(row.size for row in report.rows)], *([name, *map(cell, report.rows)] for name, cell in lines)]


def second_lines(report: SpeedReport) -> list[tuple[str, Cell]]:
    """How long each part took by the clock."""
    together = "the longer of both" if report.kind == "cuda" else "both, on the same cores"
    lines = [
        ("(a) decoding alone", seconds("decoding")),
        ("(a) passes over ready tensors", seconds("forward")),
        ("(a) passes in formats that the networks bear", seconds("borne")),
        (f"(a) floor of decoding and passes: {together}", number("floor_s", " s", digits=1)),
        ("(b) lead-hub, from files to board", seconds("ours")),
        *((f"    {words}", stage_seconds(name)) for name, words in WORDS.items()),
        (f"(b) as a race within {report.settings.race_budget} of the passes", seconds("race")),
        ("(c) a user's loop", seconds("loop")),
    ]
    if report.megabytes_per_s is not None:
        line = f"at most {report.megabytes_per_s:g} MB/s"
        lines.append((f"(a) download alone, {line}", seconds("download")))
        lines.append((f"(b) with weights from the Hub, {line}", seconds("fetched")))
    return lines


def ratio_lines(report: SpeedReport) -> list[tuple[str, Cell]]:
    """The ratios that have targets, and those beside them."""
    lines = [
        ("(b) / (a)", number("over_floor")),
        ("(b) / (a) in formats that are borne", number("over_borne")),
        ("(c) / (b)", number("under_loop")),
        ("(c) / (b) as a race", number("race_under_loop")),
    ]
    if report.kind != "cuda":  # whose work is not the processor's
        lines += [
            ("(b) / (a), processor time", number("over_floor_processor")),
            ("(b) / (a) in formats that are borne, processor time", number("over_borne_processor")),
            ("(c) / (b), processor time", number("under_loop_processor")),
        ]
    if report.megabytes_per_s is not None:
        lines.append(("(b) from the Hub / the longer of download and floor", number("over_download_floor")))
    return lines


def other_lines(report: SpeedReport) -> list[tuple[str, Cell]]:
    """Speeds, first rows and memory."""
    runs = (("(b)", "ours"), ("(b) as a race", "race"), ("(c)", "loop"))
    passing = (("(a)", "forward"), ("(b)", "ours"), ("(c)", "loop"))
    lines = [(f"passes a second, {name}", passes_a_second(part, report.n_passes)) for name, part in passing]
    lines += [(f"first row after, {name}", first_row(part)) for name, part in runs]
    lines += [(f"peak host memory, {name}", mebibytes(part, "peak_bytes")) for name, part in runs]
    if report.kind == "cuda":
        lines += [(f"peak GPU memory, {name}", mebibytes(part, "device_bytes")) for name, part in runs]
    return lines


def seconds(part: str) -> Cell:
    """What a part took by the clock."""
    return lambda row: f"{getattr(row, part).wall_s:.1f} s"


def stage_seconds(stage: str) -> Cell:
    """What a stage of a run took."""
    return lambda row: f"{getattr(row.ours.stages, stage):.1f} s"


def number(name: str, unit: str = "", *, digits: int = 2) -> Cell:
    """A number that a row computes."""
    return lambda row: f"{getattr(row, name):.{digits}f}{unit}"


def passes_a_second(part: str, n_passes: int) -> Cell:
    """How many passes of one image a part did in a second."""
    return lambda row: f"{n_passes / getattr(row, part).wall_s:.1f}"


def first_row(part: str) -> Cell:
    """When a part had its first row."""
    return lambda row: f"{getattr(row, part).first_row_s:.1f} s"


def mebibytes(part: str, name: str) -> Cell:
    """The most memory of a part."""
    return lambda row: f"{getattr(getattr(row, part), name) / 2**20:.0f} MiB"


def notes(report: SpeedReport) -> list[str]:
    """What was measured, in which settings the floor's passes were fastest, and which targets were met."""
    first = report.rows[0]
    said = [
        f"{', '.join(report.settings.networks)}: random weights, {report.settings.n_images} JPEG files of each size, on"
        f" {report.device}; passes of (b): {', '.join(first.ours.dtypes)}",
        f"fastest passes of (a): {'; '.join(fastest_words(report))}",
        f"targets: {'; '.join(target_words(report))}",
        "(a) decodes on all cores, then runs ready images again and again in the fastest layout, number format, number"
        " of images a pass and of threads found in seconds; (b) also loads, prepares, scores with LEAD and judges; (c)"
        " opens every file for every checkpoint, runs it as transformers loads it, and scores with LogME",
    ]
    if report.megabytes_per_s is not None:
        said.append(
            "from the Hub: of the first checkpoint nothing can run before it is there, which the floor does not count"
        )
    return said


def fastest_words(report: SpeedReport) -> list[str]:
    """Each network with the settings in which its passes were fastest, for images of the first size."""
    found = report.rows[0].forward.found
    return [f"{name}: {settings}" for name, settings in zip(report.settings.networks, found, strict=True)]


def target_words(report: SpeedReport) -> list[str]:
    """Each target, and whether it was met on images of every size."""
    words = []
    for target in targets(report.kind):
        is_met = all(target.is_met(row) for row in report.rows)
        words.append(f"{target.name} {target.limit_words}: {'met' if is_met else 'not met'}")
    return words

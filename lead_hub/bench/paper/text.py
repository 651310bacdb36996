"""Our taus beside the published ones, as text."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean

from lead_hub.bench.paper.agreement import PaperReport
from lead_hub.bench.paper.repositories import GROUPS
from lead_hub.bench.report_text import check_format


def groups(report: PaperReport) -> list[str]:
    """The groups that were compared."""
    return [group for group in GROUPS if any(row.group == group for row in report.rows)]


def table(report: PaperReport, group: str) -> list[list[str]]:
    """Header, a line a dataset, and the means over the datasets on which there is a tau of ours and a published one."""
    rows = [row for row in report.rows if row.group == group]
    published = sorted({method for row in rows for method in row.published})
    header = ["dataset", "checkpoints", *(f"{method}, ours" for method in report.methods), *published]
    lines = [
        [row.dataset, f"{row.n_checkpoints}/{row.n_published}"]
        + [figure(row.taus.get(method)) for method in report.methods]
        + [figure(row.published.get(method)) for method in published]
        for row in rows
    ]
    both = [row for row in rows if row.taus and row.published]
    means = [mean([row.taus.get(method) for row in both]) for method in report.methods]
    means += [mean([row.published.get(method) for row in both]) for method in published]
    return [header, *lines, [f"mean of {len(both)}", "", *means]]


def mean(figures: Sequence[float | None]) -> str:
    """Empty if one is missing, for means over different datasets do not compare."""
    known = [value for value in figures if value is not None]
    return figure(fmean(known)) if known and len(known) == len(figures) else ""


def figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def notes(report: PaperReport) -> list[str]:
    """What differs from the published setting, and what is missing."""
    missing = [f"{row.dataset}, {row.group}: {reason}" for row in report.rows for reason in row.missing]
    stopped = [] if report.is_complete else ["stopped before all datasets were ranked"]
    return [
        "published taus are over all checkpoints of a group, ours over those that the first figure counts",
        *report.departures,
        *dict.fromkeys(missing),
        *stopped,
    ]


def to_markdown(report: PaperReport) -> str:
    parts = []
    for group in groups(report):
        header, *lines = table(report, group)
        text = [header, ["---"] + ["---:"] * (len(header) - 1), *lines]
        parts.append(f"**{group}**\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in text))
    parts.append("\n".join(f"- {note}" for note in notes(report)))
    return "\n\n".join(parts) + "\n"


def to_csv(report: PaperReport) -> str:
    """One line a tau, with who measured it: "ours" or "published"."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["group", "dataset", "from", "method", "weighted_kendall_tau", "n_checkpoints"])
    for row in report.rows:
        for method, tau in row.taus.items():
            writer.writerow([row.group, row.dataset, "ours", method, tau, row.n_checkpoints])
        for method, tau in row.published.items():
            writer.writerow([row.group, row.dataset, "published", method, tau, row.n_published])
    return text.getvalue()


def to_json(report: PaperReport) -> str:
    return json.dumps(report.to_document(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


FORMATS: dict[str, Callable[[PaperReport], str]] = {".md": to_markdown, ".csv": to_csv, ".json": to_json}


def save_paper(report: PaperReport, path: Path) -> None:
    """Write a report in the format that the file's name says."""
    check_format(path)
    path.write_text(FORMATS[path.suffix](report), encoding="utf-8")

"""The benchmark's table as text: one list of columns for the terminal, Markdown and CSV."""

import csv
import dataclasses
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lead_hub.bench.comparison import REFERENCE, ComparedRow, Comparison
from lead_hub.bench.matrix_files import MatrixError
from lead_hub.bench.report import UNTOUCHED, BenchReport, BenchSettings, JudgedConfidence
from lead_hub.confidence import Confirmation, Part

FITTED_ON: dict[Part, str] = {"study": "the study targets", "all": "the study, the held-out and the real targets"}
ON_ALL_OTHERS = "all targets of both matrices but the one that is predicted"
CONFIRMATION_COMMAND = "lead-hub bench --matrix tests/benchmarks/ground_truth/confirmation --half confirmation"


@dataclass(frozen=True)
class ReportColumn:
    """One column of the table: its header, a row's cell, and how it stands."""

    header: str
    cell: Callable[[ComparedRow], str]
    align_right: bool = True


def columns(comparison: Comparison, settings: BenchSettings) -> tuple[ReportColumn, ...]:
    """The columns for one set of targets."""
    few = ReportColumn(f"{settings.n_few_images} images", lambda row: figure(row.tau_few_images))
    return (
        ReportColumn("", lambda row: row.name, align_right=False),
        ReportColumn("tau_w", lambda row: figure(row.tau)),
        ReportColumn("90% interval", lambda row: span(row.tau_low, row.tau_high)),
        ReportColumn(f"{REFERENCE} minus it", lambda row: figure(row.difference, sign="+")),
        ReportColumn("90% interval", lambda row: span(row.difference_low, row.difference_high, sign="+")),
        ReportColumn("regret@1", lambda row: f"{row.regret_at_1:.1f}"),
        ReportColumn("regret@3", lambda row: f"{row.regret_at_3:.1f}"),
        ReportColumn("best in 3", lambda row: f"{row.best_in_top_3:.0%}"),
        ReportColumn(f"no {comparison.largest_family}", lambda row: figure(row.tau_without_family)),
        *((few,) if settings.n_few_samples else ()),
        ReportColumn("ms", lambda row: "" if row.seconds is None else f"{1000 * row.seconds:.0f}"),
        ReportColumn("pairs", lambda row: f"{row.n_defined}/{row.n_pairs}"),
    )


def figure(value: float | None, *, sign: str = "") -> str:
    return "" if value is None else f"{value:{sign}.3f}"


def span(low: float | None, high: float | None, *, sign: str = "") -> str:
    return "" if low is None or high is None else f"{low:{sign}.2f} to {high:{sign}.2f}"


def headline(comparison: Comparison) -> str:
    """Which targets these are, and whether anything was chosen on them."""
    count = f"{comparison.n_checkpoints} checkpoints x {len(comparison.targets)} targets"
    return f"{comparison.half}: {count} ({', '.join(comparison.targets)}); {UNTOUCHED[comparison.half]}"


def notes(comparison: Comparison) -> list[str]:
    """What must be known of single rows."""
    return [
        f"{row.name} is undefined for {row.n_pairs - row.n_defined} of {row.n_pairs} pairs, which rank last for it;"
        f" on the others alone its tau_w is {figure(row.tau_where_defined)}, that of {REFERENCE}"
        f" {figure(row.reference_where_defined)}"
        for row in comparison.rows
        if row.tau_where_defined is not None
    ] + [f"{row.name}: {row.title}" for row in comparison.rows if row.kind != "score"]


def legend(report: BenchReport) -> list[str]:
    """What the columns mean, and what is missing."""
    settings = report.settings
    few = (
        f"; '{settings.n_few_images} images' is tau_w from {settings.n_few_images} train images, stratified"
        f" (seeds: {settings.n_few_samples})"
        if settings.n_few_samples
        else ""
    )
    return [
        "tau_w: weighted Kendall tau of the score with the accuracy after fine-tuning, mean over targets (1 is the true"
        " order, 0 chance); regret: accuracy points lost by fine-tuning only the first, or the first three;"
        " best in 3: how often the truly best checkpoint is among the first three",
        f"90% intervals: {settings.n_resamples} resamples of checkpoints and targets, the same for every row{few};"
        " ms: processor time of one checkpoint on one target, median; pairs: where the score is defined",
        *confidence_sentences(report),
        *report.left_out,
    ]


def confidence_sentences(report: BenchReport) -> list[str]:
    """Whether what is promised at 90% holds on targets that it was not fitted on, or why that is not known."""
    sentences = [sentence for judged in report.confidence for sentence in judged_sentences(judged)]
    return [*sentences, *([confirmed_sentence(report.confirmed)] if report.confirmed else [])]


def judged_sentences(judged: JudgedConfidence) -> list[str]:
    """What was promised on one half and what came of it."""
    if judged.figures is None:
        return [f"confidence was not judged on the {judged.half} targets: {judged.reason}"]
    found, half = judged.figures, judged.half
    fitted_on = ON_ALL_OTHERS if judged.left_out else FITTED_ON[judged.part]
    return [
        f"predicted accuracy on the {half} targets, by constants that were fitted on {fitted_on}:"
        f" {found.coverage:.0%} of {found.n_pairs} outcomes are within their"
        f" 90% interval, {100 * found.mean_width:.0f} points wide in the mean",
        f"the 90% set of checkpoints that could be best holds the truly best on {found.n_held} of {found.n_targets}"
        f" {half} targets, median size {found.median_size:g}; in {found.pool_hit_rate:.0%} of random pools of 5 or"
        f" more checkpoints, median size {found.pool_median_size:g}, {found.pool_median_share:.0%} of the pool",
    ]


def confirmed_sentence(found: Confirmation) -> str:
    """What is known of the constants that `recommend` uses, and which command finds it again."""
    return (
        f"by the constants that recommend uses, fitted on {FITTED_ON['all']}: {found.in_words()} (on"
        f" {found.n_held} of the {len(found.targets)} with all checkpoints, median size {found.median_size:g};"
        f" {CONFIRMATION_COMMAND} in a clone of the repository)"
    )


def to_markdown(report: BenchReport) -> str:
    """Tables for a README, with what must be said of them."""
    parts = []
    for comparison in report.comparisons:
        shown = columns(comparison, report.settings)
        lines = [
            "| " + " | ".join(column.header for column in shown) + " |",
            "|" + "|".join("---:" if column.align_right else "---" for column in shown) + "|",
        ]
        lines += ["| " + " | ".join(column.cell(row) for column in shown) + " |" for row in comparison.rows]
        parts.append(f"**{headline(comparison)}**\n\n" + "\n".join(lines))
        parts.append("\n".join(f"- {note}" for note in notes(comparison)))
    parts.append("\n".join(f"- {sentence}" for sentence in legend(report)))
    return "\n\n".join(part for part in parts if part) + "\n"


def to_csv(report: BenchReport) -> str:
    """One line a row and set of targets, figures in full."""
    text = io.StringIO()
    names = [field.name for field in dataclasses.fields(ComparedRow)]
    writer = csv.DictWriter(text, ["half", *names], lineterminator="\n")
    writer.writeheader()
    for comparison in report.comparisons:
        writer.writerows({"half": comparison.half, **dataclasses.asdict(row)} for row in comparison.rows)
    return text.getvalue()


def to_json(report: BenchReport) -> str:
    return json.dumps(report.to_document(), indent=2, allow_nan=False) + "\n"


FORMATS: dict[str, Callable[[BenchReport], str]] = {".md": to_markdown, ".csv": to_csv, ".json": to_json}


def check_format(path: Path) -> None:
    """Before the work is done rather than after it.

    Raises:
        MatrixError: the file's name says no format that there is.
    """
    if path.suffix not in FORMATS:
        raise MatrixError(f"an output file must end in {', '.join(FORMATS)}, found {path.name!r}")


def save(report: BenchReport, path: Path) -> None:
    """Write a report in the format that the file's name says."""
    check_format(path)
    path.write_text(FORMATS[path.suffix](report), encoding="utf-8")

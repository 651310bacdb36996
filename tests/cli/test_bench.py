"""`lead-hub bench` as a program in a pipe and a person on a terminal meet it."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from scipy.stats import weightedtau

from lead_hub import score
from lead_hub.bench import MATRIX_FOLDER, REAL_MATRIX_FOLDER, BenchSettings, joined, legend, run_bench
from lead_hub.bench.coverage import confidence_figures, finetuned_targets
from lead_hub.bench.matrix import read_matrix
from lead_hub.bench.report_text import to_markdown
from lead_hub.bench.stored_outputs import read_outputs
from lead_hub.cli.bench import Half, asked_tables
from lead_hub.confidence import Confirmation, find_calibration
from lead_hub.transferability import SCORES
from tests.bench.small_matrix import QUALITY, write_small_matrix
from tests.cli.test_recommend import lead_hub, on_terminal

JUDGING = BenchSettings(methods=("lead",), n_few_samples=0, n_resamples=10)
QUICK = ("--few-samples", "1", "--few-images", "30", "--resamples", "50", "--workers", "1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def is_run(target: str, checkpoint: str, *run: object) -> bool:
        return (target, checkpoint) != ("shapes", "vit-b")

    return write_small_matrix(tmp_path_factory.mktemp("bench") / "matrix", is_run=is_run)


def mean_tau_of_lead(folder: Path) -> float:
    """Over the held-out targets of the fixture."""
    taus = []
    for target, names in (("digits", list(QUALITY)), ("shapes", [name for name in QUALITY if name != "vit-b"])):
        outputs = [read_outputs(folder, target, name) for name in names]
        values = [score(each.features, each.labels, "lead") for each in outputs]
        taus.append(weightedtau(values, [QUALITY[name] for name in names]).statistic)
    return sum(taus) / 2


@pytest.mark.slow
def test_a_pipe_gets_json(folder: Path, tmp_path: Path) -> None:
    saved = [tmp_path / f"table{suffix}" for suffix in (".md", ".csv", ".json")]
    outputs = [argument for path in saved for argument in ("-o", path)]
    result = lead_hub(
        "bench", "--matrix", folder, "--cache-dir", tmp_path / "cache", *QUICK, "--score", "leep", *outputs
    )
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert [each["half"] for each in document["comparisons"]] == ["held-out", "all"]
    held_out = document["comparisons"][0]
    assert held_out["targets"] == ["digits", "shapes"]
    rows = {row["name"]: row for row in held_out["rows"]}
    baselines = ["other-targets", "random", "source-accuracy", "parameters"]
    assert set(rows) == {"lead", "lead+prior", "leep", *baselines, "one-seed", "other-rate"}
    assert rows["lead"]["tau"] == pytest.approx(mean_tau_of_lead(folder), abs=1e-12)
    assert rows["leep"]["n_pairs"] == 5 + 4
    assert rows["leep"]["n_defined"] == 6
    assert rows["leep"]["tau_few_images"] is not None
    assert document["left_out"] == [
        "shapes: 1 of 5 checkpoints left out, without a fine-tuning run or without stored outputs: vit-b"
    ]
    assert list(document["undefined"]) == ["leep"]
    assert json.loads(saved[2].read_text()) == document
    with saved[1].open(newline="") as file:
        lines = list(csv.DictReader(file))
    leep = next(line for line in lines if (line["half"], line["name"]) == ("held-out", "leep"))
    assert float(leep["tau"]) == rows["leep"]["tau"]
    markdown = saved[0].read_text()
    assert "|  | tau_w | 90% interval |" in markdown
    assert f"| leep | {rows['leep']['tau']:.3f} |" in markdown
    assert "leep is undefined for 3 of 9 pairs" in markdown
    assert document["left_out"][0] in markdown


@pytest.mark.slow
def test_a_terminal_gets_tables(folder: Path, tmp_path: Path) -> None:
    code, seen = on_terminal(
        "bench", "--matrix", folder, "--cache-dir", tmp_path, *QUICK, "--score", "logme", "--half", "study", columns=160
    )
    assert code == 0
    assert "study: 5 checkpoints x 1 targets (letters); targets on which LEAD's settings" in seen
    lines = [line.split() for line in seen.splitlines()]
    assert {line[0] for line in lines if line} >= {"lead", "logme", "random", "parameters", "one-seed"}
    # The sizes of the made checkpoints are in the wrong order.
    assert next(line for line in lines if line[:1] == ["parameters"])[1] == "-1.000"
    assert "30 images" in seen
    assert "held-out" not in seen


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--matrix", "/nowhere"), "a ground-truth matrix must be a folder, found none at /nowhere"),
        (("--score", "magic"), "scores must be among lead,"),
        (("--few-images", "1"), "n_few_images must be at least 4, found 1"),
        (("-o", "table.xls"), "an output file must end in .md, .csv, .json, found 'table.xls'"),
        (("--speed", "-o", "speed.md"), "speed is saved as .json or .svg, found 'speed.md'"),
        (("--race", "-o", "race.json"), "--race saves nothing: leave out --output"),
        (("--paper-list", "/nowhere.json"), "a list of the paper must be JSON"),
    ],
)
def test_bad_usage_is_told_at_once(arguments: tuple[str, ...], message: str) -> None:
    result = lead_hub("bench", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_half_without_targets_is_told(tmp_path: Path) -> None:
    folder = write_small_matrix(tmp_path / "matrix", targets={"letters": "study"})
    result = lead_hub("bench", "--matrix", folder, "--no-cache", *QUICK)
    assert result.exit_code == 2
    assert "the held-out targets must have at least one that is usable" in result.stderr
    assert "choose --half study" in result.stderr


def test_without_a_matrix_the_tables_are_of_both_that_a_clone_has() -> None:
    assert asked_tables(None, Half.both) == [(MATRIX_FOLDER, ("held-out", "all")), (REAL_MATRIX_FOLDER, ("real",))]
    assert asked_tables(None, Half.real) == [(REAL_MATRIX_FOLDER, ("real",))]
    assert asked_tables(None, Half.study) == [(MATRIX_FOLDER, ("study",))]
    assert asked_tables(Path("other"), Half.both) == [(Path("other"), ("held-out", "all"))]


@pytest.mark.slow
def test_reports_of_two_matrices_are_one(folder: Path, tmp_path: Path) -> None:
    settings = BenchSettings(methods=("leep",), n_few_samples=0, n_resamples=40)
    other = write_small_matrix(tmp_path / "other", targets={"photographs": "real"})
    first = run_bench(folder, settings, n_workers=1)
    second = run_bench(other, replace(settings, halves=("real",)), n_workers=1)
    both = joined([first, second])
    assert [one.half for one in both.comparisons] == ["held-out", "all", "real"]
    assert [one.half for one in both.confidence] == ["held-out", "real"]
    assert both.left_out == first.left_out + second.left_out
    pairs = {method: sum(reasons.values()) for method, reasons in both.undefined.items()}
    # Of five checkpoints one has a head less a target, of which there are three and one.
    assert pairs["leep"] == sum(sum(one.undefined["leep"].values()) for one in (first, second))
    assert "real: 5 checkpoints x 1 targets" in to_markdown(both)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_report(folder: Path, tmp_path: Path) -> None:
    settings = BenchSettings(methods=("logme",), n_few_samples=0, n_resamples=40, seed=3)
    one, other = (run_bench(folder, settings, cache_folder=tmp_path, n_workers=1) for _ in range(2))
    assert one.comparisons == other.comparisons
    assert {row.name for row in one.comparisons[0].rows[:2]} == {"lead", "logme"}
    assert one.comparisons[0].rows[0].tau_few_images is None


@pytest.mark.slow
def test_confidence_is_judged_on_the_held_out_targets_alone(tmp_path: Path) -> None:
    folder = write_small_matrix(tmp_path / "matrix")
    judged = run_bench(folder, JUDGING, n_workers=1)
    (found,) = judged.confidence
    assert (found.half, found.part, found.reason) == ("held-out", "study", "")
    assert found.figures is not None
    assert (found.figures.n_targets, found.figures.n_pairs) == (2, 5 + 5)
    assert 0 <= found.figures.coverage <= 1
    assert any(
        "held-out targets, by constants that were fitted on the study" in sentence for sentence in legend(judged)
    )
    study = run_bench(folder, replace(JUDGING, halves=("study",)), n_workers=1)
    assert (study.confidence, study.confirmed) == ((), None)


def test_confirmation_targets_judge_what_was_fitted_on_all_others(tmp_path: Path) -> None:
    folder = write_small_matrix(tmp_path / "matrix", targets={"one": "confirmation", "two": "confirmation"})
    report = run_bench(folder, replace(JUDGING, halves=("confirmation",)), n_workers=1)
    (found,) = report.confidence
    assert (found.half, found.part, found.reason) == ("confirmation", "all", "")
    all_targets = finetuned_targets(read_matrix(folder), "all")
    calibration = find_calibration("lead", SCORES["lead"].version, part="all")
    assert calibration is not None
    assert found.figures == confidence_figures(all_targets, calibration)
    assert report.confirmed is None
    told = " ".join(legend(report))
    assert "confirmation targets, by constants that were fitted on the study, the held-out and the real targets" in told


def test_a_target_that_was_fitted_on_judges_nothing(tmp_path: Path) -> None:
    folder = write_small_matrix(tmp_path / "matrix", targets={"counting": "confirmation"})
    report = run_bench(folder, replace(JUDGING, halves=("confirmation",)), n_workers=1)
    assert report.confidence[0].figures is None
    assert "lead was fitted on confirmation targets: counting" in report.confidence[0].reason
    assert any(report.confidence[0].reason in sentence for sentence in legend(report))


def test_what_the_confirmation_targets_said_stands_below_the_held_out_ones(tmp_path: Path) -> None:
    report = run_bench(write_small_matrix(tmp_path / "matrix"), JUDGING, n_workers=1)
    found = Confirmation(
        targets=("x", "y"), n_pairs=56, coverage=0.5, mean_width=0.25, n_held=1, median_size=2.5, pool_hit_rate=0.75
    )
    told = legend(replace(report, confirmed=found))
    assert told[-1] == (
        "by the constants that recommend uses, fitted on the study, the held-out and the real targets: on 2 datasets"
        " made afterwards (x, y), 50% of 56 accuracies lay in their interval, 25 points wide in the mean, and 75%"
        " of the sets held the best (on 1 of the 2 with all checkpoints, median size 2.5; lead-hub bench --matrix"
        " tests/benchmarks/ground_truth/confirmation --half confirmation in a clone of the repository)"
    )
    assert legend(replace(report, confirmed=None)) == told[:-1]


def test_confidence_that_cannot_be_judged_says_why(folder: Path) -> None:
    report = run_bench(folder, JUDGING, n_workers=1)  # four checkpoints on one of its targets
    assert report.confidence[0].figures is None
    assert "5 checkpoints or more each, found 4" in report.confidence[0].reason
    assert any(report.confidence[0].reason in sentence for sentence in legend(report))

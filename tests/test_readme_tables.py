"""Tables of the READMEs against the code: scores, results, the demo's ranking, taus and promises, what was measured."""

import re
from pathlib import Path

import pytest

from lead_hub import SCORES, recommend
from lead_hub.bench import REAL_MATRIX_FOLDER, BenchSettings, run_bench
from lead_hub.confidence import find_calibration
from lead_hub.demo import TARGETS, compare, finetuned_accuracy, pool, target_folder
from lead_hub.leaderboard import count_in_words
from tests.readme import README, ROOT, blocks, names, table

ROOMS = ROOT / "lead_hub"
RESULTS = table(README, "score", "weighted tau")
# Terms of one score, which the results leave out, and scores that look at no image.
TERMS = {"etran-energy", "etran-classification"}
FACTS = {name for name, method in SCORES.items() if method.fact}


def test_the_table_of_scores_names_every_score_once() -> None:
    rows = table(ROOMS / "transferability" / "README.md", "name", "what it is")
    assert sorted(name for row in rows for name in names(row[0])) == sorted(SCORES)


def test_the_results_name_every_score_that_looks_at_images_the_best_first() -> None:
    assert sorted(name for row in RESULTS for name in names(row[0])) == sorted(set(SCORES) - FACTS - TERMS)
    taus = [float(row[1].split(" ")[0]) for row in RESULTS if names(row[0])]
    assert taus == sorted(taus, reverse=True)


def test_the_first_lines_say_cells_of_the_results() -> None:
    cells = {name: row for row in RESULTS for name in names(row[0])}
    lead, probe = cells["lead"], cells["linear-probe"]
    first = " ".join(README.read_text(encoding="utf-8").partition("\n## ")[0].split())
    for words in (
        f"at a weighted tau of {lead[1]} and a leave-one-out probe's at {probe[1]}",
        f"(90% interval of the difference {probe[3]})",
        f"at {lead[6]} against {probe[6]} ({probe[7]})",
        f"LogME ({cells['logme'][6]}) or a kernel alignment ({cells['kernel-alignment'][6]})",
    ):
        assert words in first


# Scores that take milliseconds an image; the others are `lead-hub bench`'s, in minutes.
COMPUTED_HERE = ("lead", "loo-log-loss", "linear-probe", "knn", "kernel-alignment", "concept-variation")
OF_STORED_NETWORKS = ("lead-network",)


@pytest.mark.slow
def test_results_are_what_bench_computes() -> None:
    settings = BenchSettings(halves=("held-out",), methods=COMPUTED_HERE + OF_STORED_NETWORKS, n_few_samples=0)
    (comparison,) = run_bench(settings=settings).comparisons
    found = {row.name: row for row in comparison.rows}
    written = {name: row for row in RESULTS for name in names(row[0])}
    in_words = {
        "mean standing": "other-targets",
        "number of parameters": "parameters",
        "one fine-tuning seed": "one-seed",
    }
    written |= {name: row for row in RESULTS for start, name in in_words.items() if row[0].startswith(f"*{start}")}
    for name in (*COMPUTED_HERE, *OF_STORED_NETWORKS, *in_words.values()):
        row, cells = found[name], written[name]
        assert cells[1] == f"{row.tau:.3f}", name
        assert cells[2] == f"{row.tau_low:.2f} to {row.tau_high:.2f}", name
        assert cells[3] == ("" if name == "lead" else f"{row.difference_low:+.2f} to {row.difference_high:+.2f}"), name
        assert cells[4] == f"{row.regret_at_1:.1f}", name


@pytest.mark.slow
def test_results_on_real_networks_are_what_bench_computes() -> None:
    methods = (*COMPUTED_HERE, "lead-network", "logme")
    settings = BenchSettings(halves=("real",), methods=methods, n_few_samples=0)
    (comparison,) = run_bench(REAL_MATRIX_FOLDER, settings).comparisons
    found = {row.name: row for row in comparison.rows}
    written = {name: row for row in RESULTS for name in names(row[0])}
    for name in (*methods, "lead+prior"):
        row, cells = found[name], written[name]
        assert cells[6] == f"{row.tau:.3f}", name
        assert cells[7] == ("" if name == "lead" else f"{row.difference_low:+.2f} to {row.difference_high:+.2f}"), name


DEMO = ROOMS / "demo" / "README.md"


def test_the_demos_ranking_stands_beside_the_stored_accuracies() -> None:
    (shown,) = (block.text for block in blocks(DEMO) if block.language == "text")
    accuracy = finetuned_accuracy(TARGETS[0])
    lines = re.findall(r"(?m)^[▸ ] +\d+  (\S+) .*?([\d.]+[KM]) +([\d.]+)%", shown)
    assert {name: value for name, _, value in lines} == {name: f"{value:.1f}" for name, value in accuracy.items()}
    parameters = {Path(each.checkpoint).name: each.parameters for each in pool()}
    assert {name: count_in_words(parameters[name]) for name, _, _ in lines if parameters[name]} == {
        name: value for name, value, _ in lines if parameters[name]
    }
    assert find_calibration("lead", SCORES["lead"].version).in_words().partition(" (")[0] in shown


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_the_demos_taus_are_those_of_its_table(target: str) -> None:
    """Within what another processor's rounding does to checkpoints that are as good as tied."""
    rows = {
        names(row[0])[0]: row
        for row in table(DEMO, "score", "weighted Kendall tau on `photographs`, `scripts`, `clipart`, `emoji`")
    }
    for name, cells in rows.items():
        board = recommend(target_folder(target), pool(target), score=name, dtype="float32", progress=False)
        tau, regret = (float(cell.split(", ")[TARGETS.index(target)]) for cell in cells[1:3])
        found = compare(board, target)
        assert found.weighted_kendall_tau == pytest.approx(tau, abs=0.01), name
        assert found.regret_at_1 == pytest.approx(regret, abs=0.05), name


def test_what_was_measured_names_a_command() -> None:
    for what, figure, command in table(ROOMS / "bench" / "README.md", "what", "figure", "made again by"):
        assert figure, what
        assert command == "the same" or names(command), what


def test_what_came_of_promises_is_what_is_stored() -> None:
    text = " ".join((ROOMS / "confidence" / "README.md").read_text(encoding="utf-8").split())
    calibration = find_calibration("lead", SCORES["lead"].version)
    fitted, judged = calibration.fitted_on, calibration.confirmed
    for sentence in (
        f"{fitted.left_out_coverage:.0%} of the accuracies lay in their interval and"
        f" {fitted.left_out_hit_rate:.0%} of the",
        f"{judged.coverage:.0%} of {judged.n_pairs} accuracies lay in their interval",
        f"{100 * judged.mean_width:.0f} points in the mean",
        f"held the best on {judged.n_held} of {len(judged.targets)} (median size {judged.median_size:g}), in"
        f" {judged.pool_hit_rate:.0%} of random pools",
    ):
        assert sentence in text

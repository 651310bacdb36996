"""The rows of the table, on a matrix whose truth is known, against scipy and by hand."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import weightedtau

from lead_hub.bench.comparison import Comparison, compare, largest_family, regrets
from lead_hub.bench.contenders import (
    Contender,
    baselines,
    ceilings,
    deviations,
    looked_at_twice,
    mean_of_other_targets,
    mean_of_others,
    scores,
    second_look,
    standing_elsewhere,
)
from lead_hub.bench.matrix import GroundTruthMatrix, read_matrix
from lead_hub.bench.paired_bootstrap import draw_resamples
from lead_hub.bench.score_table import ScoreTable
from tests.bench.small_matrix import QUALITY, write_small_matrix

TRUTH = [100 * (0.51 + level / 10) for level in QUALITY.values()]


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> GroundTruthMatrix:
    return read_matrix(write_small_matrix(tmp_path_factory.mktemp("bench") / "matrix"))


def contender(matrix: GroundTruthMatrix, values: list[float] | np.ndarray, *, name: str) -> Contender:
    """The same values on every target, or [checkpoint, target]."""
    columns = np.asarray(values, dtype=float)
    if columns.ndim == 1:
        columns = np.tile(columns[:, None], len(matrix.targets))
    return Contender(name, name, "score", columns[None], matrix.accuracy[None])


def compared(matrix: GroundTruthMatrix, *everyone: Contender, half: str = "held-out") -> Comparison:
    resamples = draw_resamples(len(matrix.checkpoints), len(matrix.positions(half)), n_resamples=200)
    return compare(matrix, everyone, half, resamples=resamples)


def test_tau_is_scipys_mean_over_the_half(matrix: GroundTruthMatrix) -> None:
    values = np.random.default_rng(0).normal(size=(5, 3))
    lead = contender(matrix, values, name="lead")
    for half, columns in {"study": [0], "held-out": [1, 2], "all": [0, 1, 2]}.items():
        comparison = compared(matrix, lead, half=half)
        expected = np.mean([weightedtau(values[:, column], TRUTH).statistic for column in columns])
        assert comparison.rows[0].tau == pytest.approx(expected, abs=1e-12)
        assert list(comparison.targets) == [matrix.targets[column].name for column in columns]


def test_a_row_identical_to_lead_differs_by_exactly_nothing(matrix: GroundTruthMatrix) -> None:
    values = np.random.default_rng(1).normal(size=(5, 3))
    comparison = compared(matrix, contender(matrix, values, name="lead"), contender(matrix, values.copy(), name="twin"))
    lead, twin = comparison.rows
    assert (twin.difference, twin.difference_low, twin.difference_high) == (0.0, 0.0, 0.0)
    assert (lead.difference, lead.difference_low, lead.difference_high) == (None, None, None)
    assert (twin.tau_low, twin.tau_high) == (lead.tau_low, lead.tau_high)


def test_regret_and_hits_by_hand(matrix: GroundTruthMatrix) -> None:
    # Accuracies 91, 71, 61, 56, 51. Ranked c, b, e, a, d: the first costs 91 - 61, the best of three 91 - 71.
    values = {"resnet-c": 5.0, "resnet-b": 4.0, "vit-b": 3.0, "resnet-a": 2.0, "vit-a": 1.0}
    right = list(QUALITY.values())
    columns = np.array([[level, values[name]] for name, level in QUALITY.items()])
    both = contender(matrix, np.column_stack([columns[:, 1], columns]), name="lead")
    row = compared(matrix, both).rows[0]  # right on digits, the order above on shapes
    assert row.regret_at_1 == pytest.approx((0 + 30) / 2)
    assert row.regret_at_3 == pytest.approx((0 + 20) / 2)
    assert row.best_in_top_3 == 0.5
    assert regrets(1, np.array(right)[None, :, None], np.array(TRUTH)[None, :, None]) == [0.0]


def test_an_undefined_score_ranks_last_and_is_also_compared_where_it_is_defined(matrix: GroundTruthMatrix) -> None:
    lead_values = [1.0, 3.0, 2.0, 4.0, 0.0]
    partly = [np.nan, 3.0, np.nan, 2.0, 1.0]
    lead, other = contender(matrix, lead_values, name="lead"), contender(matrix, partly, name="partly")
    row = next(row for row in compared(matrix, lead, other).rows if row.name == "partly")
    last = [-1.0, 3.0, -1.0, 2.0, 1.0]
    assert row.tau == pytest.approx(weightedtau(last, TRUTH).statistic, abs=1e-12)
    assert (row.n_defined, row.n_pairs) == (6, 10)
    defined = [1, 3, 4]
    truth = [TRUTH[number] for number in defined]
    assert row.tau_where_defined == pytest.approx(weightedtau([3.0, 2.0, 1.0], truth).statistic, abs=1e-12)
    there = [lead_values[number] for number in defined]
    assert row.reference_where_defined == pytest.approx(weightedtau(there, truth).statistic, abs=1e-12)
    # resnet-a is best and undefined: among equals the worse first, so the last three by score are e, c, a.
    assert row.regret_at_1 == pytest.approx(91 - 71)


def test_without_the_largest_family(matrix: GroundTruthMatrix) -> None:
    assert largest_family(matrix) == "resnet"
    lead = contender(matrix, [1.0, 2.0, 3.0, 9.0, 8.0], name="lead")  # right on the two vit checkpoints alone
    assert compared(matrix, lead).rows[0].tau_without_family == 1.0


def test_few_images_average_their_samples(matrix: GroundTruthMatrix) -> None:
    right, wrong = np.tile(np.array(TRUTH)[:, None], 3), -np.tile(np.array(TRUTH)[:, None], 3)
    one = ScoreTable(("logme",), right[None], np.ones((1, 5, 3)), {"logme": {}})
    other = ScoreTable(("logme",), wrong[None], np.ones((1, 5, 3)), {"logme": {}})
    (logme,) = scores(matrix, one, [one, one, other])
    row = next(
        row for row in compared(matrix, contender(matrix, TRUTH, name="lead"), logme).rows if row.name == "logme"
    )
    assert row.tau_few_images == pytest.approx((1 + 1 - 1) / 3)
    assert row.seconds == 1.0


def test_baselines_see_no_image(matrix: GroundTruthMatrix) -> None:
    by_name = {each.name: each for each in baselines(matrix)}
    assert by_name["parameters"].values[0, :, 0].tolist() == [1000, 2000, 3000, 4000, 5000]
    assert by_name["source-accuracy"].values[0, :4, 0].tolist() == [0.5, 0.51, 0.52, 0.53]
    assert np.isnan(by_name["source-accuracy"].values[0, 4]).all()
    rows = {row.name: row for row in compared(matrix, contender(matrix, TRUTH, name="lead"), *by_name.values()).rows}
    assert rows["parameters"].tau == pytest.approx(-1.0)
    assert rows["other-targets"].tau == pytest.approx(1.0)
    assert rows["parameters"].tau_few_images is None
    # 20 orders on each of 2 targets: the tau of a random order of five has a standard deviation of about 0.45.
    assert abs(rows["random"].tau) < 4 * 0.45 / np.sqrt(40)
    assert [row.kind for row in compared(matrix, *by_name.values(), contender(matrix, TRUTH, name="lead")).rows] == [
        "score",
        *["baseline"] * 4,
    ]


def test_the_prior_of_a_target_is_of_the_others() -> None:
    """Of 0, 0 and 3 the mean is 1 and the deviation the root of 2, so they stand at -0.71, -0.71 and 1.41."""
    low, high = -1 / 2**0.5, 2**0.5
    lead = np.array([[0.0, 3.0, 0.0], [0.0, 0.0, np.nan], [3.0, 0.0, 3.0]])
    found = mean_of_other_targets(deviations(lead))
    np.testing.assert_allclose(found[0], [(high - 1) / 2, (low - 1) / 2, (low + high) / 2])
    np.testing.assert_allclose(found[1], [low, low, low])


def test_standing_elsewhere_by_hand() -> None:
    accuracy = np.array([[90.0, 50.0, 10.0], [80.0, 60.0, 10.0], [70.0, np.nan, 30.0]])
    # Standings: first target 1, 1/2, 0; second 0, 1 (the third has none); third: two share the lower half, 1/4, 1/4, 1.
    expected = [
        [(0 + 1 / 4) / 2, (1 + 1 / 4) / 2, (1 + 0) / 2],
        [(1 + 1 / 4) / 2, (1 / 2 + 1 / 4) / 2, (1 / 2 + 1) / 2],
        [1.0, (0 + 1) / 2, 0.0],
    ]
    np.testing.assert_allclose(standing_elsewhere(accuracy), expected)


def test_the_ceiling_compares_each_seed_with_the_mean_of_the_others() -> None:
    seeds = np.array([[[90.0], [80.0]], [[70.0], [60.0]], [[50.0], [np.nan]]])
    np.testing.assert_allclose(mean_of_others(seeds), [[[60.0], [60.0]], [[70.0], [80.0]], [[80.0], [70.0]]])


def test_noisy_seeds_lower_the_ceiling(tmp_path: Path) -> None:
    levels = {name: level / 100 for name, level in QUALITY.items()}
    matrix = read_matrix(write_small_matrix(tmp_path / "matrix", quality=levels))
    random = np.random.default_rng(0)
    noisy = GroundTruthMatrix(
        matrix.folder,
        matrix.checkpoints,
        matrix.targets,
        matrix.accuracy,
        random.normal(size=matrix.seed_accuracy.shape),
        matrix.other_rate_accuracy,
        (),
    )
    one_seed, other_rate = ceilings(noisy)
    expected = np.mean(
        [
            weightedtau(one_seed.values[draw, :, column], one_seed.truth[draw, :, column]).statistic
            for draw in range(3)
            for column in (1, 2)
        ]
    )
    lead = contender(matrix, list(levels.values()), name="lead")
    rows = {row.name: row for row in compared(noisy, lead, one_seed, other_rate).rows}
    assert rows["one-seed"].tau == pytest.approx(expected, abs=1e-12)
    assert rows["other-rate"].tau == pytest.approx(1.0)


def test_a_ceiling_needs_runs_of_the_compared_targets(tmp_path: Path) -> None:
    def is_run(target: str, checkpoint: str, rate: float, seed: int) -> bool:
        return target == "letters" or seed == 0 or (target == "shapes" and seed == 1 and checkpoint != "vit-a")

    matrix = read_matrix(write_small_matrix(tmp_path / "matrix", is_run=is_run))
    lead, both = contender(matrix, TRUTH, name="lead"), ceilings(matrix)
    # On digits there is one seed, on shapes two, of all but one checkpoint.
    rows = {row.name: row for row in compared(matrix, lead, *both).rows}
    assert rows["one-seed"].tau == pytest.approx(1.0)
    assert rows["one-seed"].n_pairs == 2 * 4 // 3  # a mean over three draws, in one of which nothing is there
    digits = GroundTruthMatrix(
        matrix.folder,
        matrix.checkpoints,
        matrix.targets[:2],
        matrix.accuracy[:, :2],
        matrix.seed_accuracy[:, :, :2],
        matrix.other_rate_accuracy[:, :2],
        (),
    )
    names = [row.name for row in compared(digits, contender(digits, TRUTH, name="lead"), *ceilings(digits)).rows]
    assert names == ["lead", "other-rate"]


def test_a_single_run_has_no_ceiling(tmp_path: Path) -> None:
    def is_run(target: str, checkpoint: str, rate: float, seed: int) -> bool:
        return rate == 0.01 and seed == 0

    assert ceilings(read_matrix(write_small_matrix(tmp_path / "matrix", is_run=is_run))) == []


def test_the_first_few_are_ordered_again_and_stay_above_the_others() -> None:
    first, second = np.array([5.0, 4.0, 3.0, 2.0, np.nan]), np.array([1.0, 3.0, 2.0, 9.0, 9.0])
    places = looked_at_twice(first, second, n_looked_at=3)
    assert places[:4].tolist() == [-2, 0, -1, -3], "whoever is not among the first three stays fourth"
    assert np.isnan(places[4])
    assert looked_at_twice(first, second, n_looked_at=5)[:4].tolist() == [-3, -1, -2, 0]


def test_a_second_look_needs_both_scores(matrix: GroundTruthMatrix) -> None:
    lead = np.random.default_rng(2).normal(size=(5, 3))
    tables = {
        names: ScoreTable(names, np.stack(values), np.ones((len(names), 5, 3)), {})
        for names, values in ((("lead",), [lead]), (("lead", "lead-network"), [lead, -lead]))
    }
    assert second_look(matrix, tables["lead",]) == []
    (found,) = second_look(matrix, tables["lead", "lead-network"])
    # All five are among the first five, and the second score turns them round.
    assert (np.argsort(found.values[0], axis=0) == np.argsort(-lead, axis=0)).all()

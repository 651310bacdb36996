"""The calibration's file: what was written is read, and it says what it is for."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from lead_hub.bench import MATRIX_FOLDER, REAL_MATRIX_FOLDER
from lead_hub.bench.matrix import GroundTruthMatrix, read_matrix
from lead_hub.bench.matrix_files import read_targets
from lead_hub.bench.report import judged_confidence
from lead_hub.confidence.calibration import Confirmation, calibrations_text, find_calibration, parse_calibrations
from lead_hub.transferability import SCORES
from tests.bench.small_matrix import write_small_matrix
from tests.benchmarks.calibration import fitted, least_width
from tests.confidence.made_calibration import made_calibration

CONFIRMATION_MATRIX = Path(__file__).parent.parent / "benchmarks" / "ground_truth" / "confirmation"
CONFIRMED = Confirmation(
    targets=("c", "d"), n_pairs=10, coverage=0.7, mean_width=0.21, n_held=1, median_size=3.0, pool_hit_rate=0.8
)


def test_what_was_written_is_read() -> None:
    calibrations = {"all": made_calibration(), "study": made_calibration(spread=0.1)}
    assert parse_calibrations(calibrations_text(calibrations)) == calibrations
    confirmed = {**calibrations, "all": replace(made_calibration(), confirmed=CONFIRMED)}
    assert parse_calibrations(calibrations_text(confirmed)) == confirmed


def test_what_it_was_fitted_on_in_words() -> None:
    assert made_calibration().fitted_on.in_words() == (
        "up to 5 checkpoints fine-tuned (none) on 2 datasets (a, b; 100 to 200 images of 2 to 10 classes): made up."
        " Each predicted from the others, 88% of the accuracies lay in their interval and 93% of the sets held the best"
    )


def test_what_came_of_it_afterwards_is_said_too() -> None:
    calibration = made_calibration()
    assert calibration.in_words() == calibration.fitted_on.in_words()
    assert replace(calibration, confirmed=CONFIRMED).in_words() == calibration.fitted_on.in_words() + (
        "; on 2 datasets made afterwards (c, d), 70% of 10 accuracies lay in their interval, 21 points wide in the"
        " mean, and 80% of the sets held the best"
    )


def test_the_spread_is_a_share_of_what_guessing_costs() -> None:
    assert made_calibration(spread=0.2).score_spread(10) == pytest.approx(0.2 * math.log(10))


@pytest.mark.parametrize("part", ["all", "study"])
def test_the_file_of_the_package_is_for_the_score_as_it_is_defined_today(part: Literal["all", "study"]) -> None:
    calibration = find_calibration("lead", SCORES["lead"].version, part=part)
    assert calibration is not None, "LEAD has changed: python -m tests.benchmarks.calibration fits its constants again"
    assert calibration.slope > 0
    assert calibration.error_sd > 0
    assert calibration.spread > 0
    assert calibration.image_variance_ratio >= 1
    data = calibration.fitted_on
    assert data.n_pairs <= data.n_checkpoints * len(data.targets)
    targets = [*read_targets(MATRIX_FOLDER), *read_targets(REAL_MATRIX_FOLDER)]
    assert set(data.targets) == {target.name for target in targets if part in ("all", target.half)}


@pytest.mark.slow
def test_what_is_told_of_the_confirmation_targets_is_what_their_matrix_says() -> None:
    calibration = find_calibration("lead", SCORES["lead"].version)
    assert calibration is not None
    told = calibration.confirmed
    assert told is not None, "python -m tests.benchmarks.calibration --confirm judges the constants"
    assert set(told.targets) == {target.name for target in read_targets(CONFIRMATION_MATRIX)}
    assert not set(told.targets) & set(calibration.fitted_on.targets)
    found = judged_confidence(read_matrix(CONFIRMATION_MATRIX), "confirmation").figures
    assert found is not None
    assert (told.n_pairs, told.n_held, told.median_size) == (found.n_pairs, found.n_held, found.median_size)
    shares = (told.coverage, told.mean_width, told.pool_hit_rate)
    # three decimals are stored
    assert shares == pytest.approx((found.coverage, found.mean_width, found.pool_hit_rate), abs=5.1e-4)


@pytest.mark.slow
def test_what_is_told_of_real_networks_is_what_their_matrix_says() -> None:
    """Every target predicted by the constants without its own outcomes."""
    calibration = find_calibration("lead", SCORES["lead"].version)
    assert calibration is not None
    _, told = calibration.fitted_on.by_matrix
    judged = judged_confidence(read_matrix(REAL_MATRIX_FOLDER), "real")
    assert judged.left_out
    assert judged.figures is not None
    assert (told.n_targets, told.n_pairs) == (judged.figures.n_targets, judged.figures.n_pairs)
    shares = (told.coverage, told.mean_width)
    assert shares == pytest.approx((judged.figures.coverage, judged.figures.mean_width), abs=5.1e-4)


def test_nothing_is_fitted_on_confirmation_targets(tmp_path: Path) -> None:
    targets = {"letters": "study", "digits": "held-out", "words": "confirmation"}
    matrix = read_matrix(write_small_matrix(tmp_path / "matrix", targets=targets))
    with pytest.raises(ValueError, match="nothing may be fitted on confirmation targets, found words"):
        fitted(matrix, matrix)


def test_other_scores_and_other_versions_have_none() -> None:
    assert find_calibration("logme", 1) is None
    assert find_calibration("lead", SCORES["lead"].version + 1) is None


def test_the_width_that_chance_alone_makes() -> None:
    """By hand: 50% of 100 test images vary by 25 squared points, and two seeds 4 apart by 8, their mean by 4; then 29.

    One at 90%, of one seed, varies by 9 and, as no second seed tells, by the 8 of a seed elsewhere.
    """
    small = read_matrix()
    matrix = GroundTruthMatrix(
        folder=Path(),
        checkpoints=small.checkpoints[:1],
        targets=tuple(replace(target, n_test=100) for target in small.targets[:2]),
        accuracy=np.array([[50.0, 90.0]]),
        seed_accuracy=np.array([[[48.0, 90.0]], [[52.0, np.nan]]]),
        other_rate_accuracy=np.full((1, 2), np.nan),
        left_out=(),
    )
    expected = 2 * 1.6448536 * (29**0.5 + 17**0.5) / 2
    assert least_width(matrix) == pytest.approx(expected, rel=1e-6)

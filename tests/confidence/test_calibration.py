"""The calibration's file: what was written is read, and it says what it is for."""

import math
from typing import Literal

import pytest

from lead_hub.bench.matrix import MATRIX_FOLDER
from lead_hub.bench.matrix_files import read_targets
from lead_hub.confidence.calibration import calibrations_text, find_calibration, parse_calibrations
from lead_hub.transferability import SCORES
from tests.confidence.made_calibration import made_calibration


def test_what_was_written_is_read() -> None:
    calibrations = {"all": made_calibration(), "study": made_calibration(spread=0.1)}
    assert parse_calibrations(calibrations_text(calibrations)) == calibrations


def test_what_it_was_fitted_on_in_words() -> None:
    assert made_calibration().fitted_on.in_words() == (
        "5 checkpoints fine-tuned (none) on 2 datasets (a, b; 100 to 200 images of 2 to 10 classes): made up. Each"
        " predicted from the others, 88% of the accuracies lay in their interval and 93% of the sets held the best"
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
    halves = {target.name: target.half for target in read_targets(MATRIX_FOLDER)}
    assert set(data.targets) == {name for name, half in halves.items() if part in ("all", half)}


def test_other_scores_and_other_versions_have_none() -> None:
    assert find_calibration("logme", 1) is None
    assert find_calibration("lead", SCORES["lead"].version + 1) is None

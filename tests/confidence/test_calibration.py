"""The calibration's file: what was written is read, and it says what it is for."""

import json
import math
from importlib import resources

import pytest

from lead_hub.confidence.calibration import CALIBRATION_FILE, find_calibration, parse_calibration
from lead_hub.transferability import SCORES
from tests.confidence.made_calibration import made_calibration


def test_what_was_written_is_read() -> None:
    calibration = made_calibration()
    assert parse_calibration(calibration.to_json()) == calibration


def test_what_it_was_fitted_on_in_words() -> None:
    assert made_calibration().fitted_on.in_words() == (
        "5 checkpoints fine-tuned (none) on 2 datasets (a, b; 100 to 200 images of 2 to 10 classes): made up"
    )


def test_the_spread_is_a_share_of_what_guessing_costs() -> None:
    assert made_calibration(spread=0.2).score_spread(10) == pytest.approx(0.2 * math.log(10))


def test_the_file_of_the_package() -> None:
    document = json.loads((resources.files("lead_hub.confidence") / CALIBRATION_FILE).read_text(encoding="utf-8"))
    calibration = find_calibration(document["method"], document["method_version"])
    assert calibration is not None
    assert calibration.method == "lead"
    assert calibration.slope > 0
    assert calibration.error_sd > 0
    assert calibration.spread > 0
    data = calibration.fitted_on
    assert len(data.targets) >= 4
    assert data.n_pairs <= data.n_checkpoints * len(data.targets)


def test_it_is_for_the_score_as_it_is_defined_today() -> None:
    assert find_calibration("lead", SCORES["lead"].version) is not None


def test_other_scores_and_other_versions_have_none() -> None:
    assert find_calibration("logme", 1) is None
    assert find_calibration("lead", SCORES["lead"].version + 1) is None

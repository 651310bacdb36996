"""Outcomes as the package ships them, and values that none can have."""

from dataclasses import asdict
from typing import Any

import pytest

from lead_hub.bench import MATRIX_FOLDER, REAL_MATRIX_FOLDER
from lead_hub.bench.matrix import read_matrix
from lead_hub.confidence import shipped_calibration
from lead_hub.confidence.known_outcomes import Outcome, outcomes_text, parse_outcome, parse_outcomes, shipped_outcomes
from lead_hub.errors import ScoreError

ONE = Outcome("org/cards", "a" * 64, "b" * 40, 200, 10, 0.5, 0.7, 100)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"left_out": 1.2}, "left_out must be a share"),
        ({"accuracy": float("nan")}, "accuracy must be a share"),
        ({"n_images": 1, "n_classes": 2}, "n_images must be at least 2"),
        ({"n_classes": 1}, "n_classes must be at least 2"),
        ({"n_test": 0}, "n_test must be at least 1"),
        ({"n_classes": 201}, "an image a class, found 200 of 201"),
    ],
)
def test_values_that_no_outcome_can_have(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ScoreError, match=message):
        Outcome(**{**asdict(ONE), **change})


@pytest.mark.parametrize(
    "change",
    [{"accuracy": True}, {"accuracy": "0.7"}, {"accuracy": None}, {"n_images": 200.5}, {"n_test": "9"}, {"dataset": 7}],
)
def test_what_others_wrote_is_of_the_right_kind_or_an_error(change: dict[str, Any]) -> None:
    assert parse_outcome(asdict(ONE)) == ONE
    assert parse_outcome({**asdict(ONE), "accuracy": 1}).accuracy == 1.0
    (name,) = change
    with pytest.raises(ScoreError, match=f"{name} of an outcome must be of type"):
        parse_outcome({**asdict(ONE), **change})
    with pytest.raises(ScoreError, match=f"{name} of an outcome must be of type"):
        parse_outcome({key: value for key, value in asdict(ONE).items() if key != name})


def test_what_was_written_is_read() -> None:
    (read,) = parse_outcomes(outcomes_text([ONE]))
    assert asdict(read) == {**asdict(ONE), "source": "the ground-truth matrix"}


def test_what_is_shipped_is_what_the_matrix_says() -> None:
    matrices = [read_matrix(MATRIX_FOLDER), read_matrix(REAL_MATRIX_FOLDER)]
    shipped = shipped_outcomes(shipped_calibration().fitted_on.targets)
    assert len(shipped) == shipped_calibration().fitted_on.n_pairs
    accuracy = {
        (target.name, checkpoint.name): matrix.accuracy[row, column] / 100
        for matrix in matrices
        for row, checkpoint in enumerate(matrix.checkpoints)
        for column, target in enumerate(matrix.targets)
    }
    for one in shipped:
        assert one.accuracy == pytest.approx(accuracy[one.dataset, one.checkpoint], abs=5.1e-5)

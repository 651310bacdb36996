"""Where two checkpoints disagree, and which mistakes are shown, on cases that can be counted on fingers."""

import numpy as np
import pytest

from lead_hub.confidence import PairOfPredictions, compare_predictions, telling_mistakes
from lead_hub.errors import ScoreError

LABELS = np.array([0, 0, 1, 1, 2, 2])
FIRST = np.array([0, 1, 1, 0, 2, 0])  # right, wrong, right, wrong, right, wrong
SECOND = np.array([0, 0, 1, 2, 0, 1])  # right, right, right, wrong, wrong, wrong


def test_every_image_is_counted_once() -> None:
    pair = compare_predictions(LABELS, FIRST, SECOND)
    assert pair == PairOfPredictions(n_both_right=2, only_first=(4,), only_second=(1,), n_both_wrong=2)
    assert compare_predictions(LABELS, SECOND, FIRST) == PairOfPredictions(2, (1,), (4,), 2)
    assert compare_predictions(LABELS, LABELS, LABELS) == PairOfPredictions(6, (), (), 0)


def test_every_confused_pair_has_its_turn_the_largest_first() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 2])
    predicted = np.array([1, 1, 1, 0, 0, 2, 1])
    # 0 as 1: positions 0, 1, 2; then in order of appearance 1 as 0: 4; 1 as 2: 5; 2 as 1: 6.
    assert telling_mistakes(labels, predicted, n_classes=3, at_most=9) == (0, 4, 5, 6, 1, 2)
    assert telling_mistakes(labels, predicted, n_classes=3, at_most=2) == (0, 4)
    assert telling_mistakes(labels, labels, n_classes=3, at_most=2) == ()


def test_numbers_that_name_no_class_are_refused() -> None:
    with pytest.raises(ScoreError, match="numbers from 0 to 1"):
        telling_mistakes(LABELS, FIRST, n_classes=2, at_most=3)

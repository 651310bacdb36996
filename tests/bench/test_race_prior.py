"""What the benchmark of who enters a race first counts."""

import numpy as np
import pytest

from lead_hub.bench import MATRIX_FOLDER, REAL_MATRIX_FOLDER
from lead_hub.bench.matrix_files import read_targets
from lead_hub.candidates import Candidate
from lead_hub.recommendation.dataset_similarity import NAMES, read_statistics
from tests.benchmarks.race_prior import (
    CONFIRMATION_FOLDER,
    Boards,
    by_images,
    by_weights,
    equal,
    figures,
    left_out,
    permuted,
    read_statistics_table,
)

ALIKE, OTHER = dict.fromkeys(NAMES, 0.1), dict.fromkeys(NAMES, 0.9)
# Four checkpoints stand on two datasets that look like the first target in one order, on two others in the other.
RISING = np.array([-1.5, -0.5, 0.5, 1.5])
BOARDS = Boards(
    checkpoints=tuple(Candidate(f"net{number}", parameters=1) for number in range(4)),
    halves=("study", "study", "study", "held-out", "study"),
    n_classes=(2, 2, 2, 2, 2),
    statistics=(ALIKE, ALIKE, ALIKE, OTHER, OTHER),
    accuracy=np.tile([[10.0], [20.0], [30.0], [40.0]], 5),
    scores=np.tile([[4.0], [3.0], [2.0], [1.0]], 5),
    standings=np.stack([RISING, RISING, RISING, -RISING, -RISING], axis=1),
)


def test_whoever_stops_takes_the_best_by_score_of_those_that_entered() -> None:
    accuracy, scores = np.array([10.0, 20.0, 30.0, 40.0]), np.array([1.0, 3.0, 4.0, 2.0])
    found = figures([3, 1, 2, 0], accuracy, scores)
    # Of the first quarter, one, that is the best itself; of the first half its score is below that of the one with 20.
    assert found.lost == (0.0, 20.0)
    assert figures([3, 2, 1, 0], accuracy, scores).tau == pytest.approx(1)
    assert figures([0, 1, 2, 3], accuracy, scores).tau == pytest.approx(-1)


def test_a_target_is_not_among_what_is_known_of_it() -> None:
    found = dict(left_out(BOARDS, "study", ["study"]))
    assert found == {0: [1, 2, 4], 1: [0, 2, 4], 2: [0, 1, 4], 4: [0, 1, 2]}
    assert dict(left_out(BOARDS, "held-out", ["study", "held-out"])) == {3: [0, 1, 2, 4]}


def test_similar_targets_decide_and_exchanged_ones_do_not() -> None:
    others = [1, 2, 3, 4]
    weights = by_images(BOARDS, 0, others)
    assert weights[0] == weights[1] > 1 > weights[2] == weights[3]
    assert by_weights(BOARDS, lambda _, there: by_images(BOARDS, 0, there), 0, others).tau == pytest.approx(1)
    # All alike cancel each other: the given order, the worst first.
    assert by_weights(BOARDS, equal, 0, others).tau == pytest.approx(-1)
    drawn = [permuted(BOARDS, 0, others, seed=seed) for seed in range(20)]
    assert all(sorted(one) == sorted(weights) for one in drawn)
    assert len({tuple(one) for one in drawn}) > 1


def test_statistics_of_all_targets_are_kept() -> None:
    folders = (MATRIX_FOLDER, CONFIRMATION_FOLDER, REAL_MATRIX_FOLDER)
    found = read_statistics_table()
    assert [*found] == [target.name for folder in folders for target in read_targets(folder)]
    assert all(read_statistics({"version": 1, "values": values}) == values for values in found.values())

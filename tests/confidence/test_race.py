"""The plan of a race: stages, who goes on, and chances over stages, each worked out by hand."""

import numpy as np
import pytest

from lead_hub.confidence.image_bootstrap import resampled_scores
from lead_hub.confidence.judgement import ImageLabels, ScoredImages, ranking_confidence
from lead_hub.confidence.race import RaceRules, going_on, race_chances, stage_sizes, staged_chances
from lead_hub.errors import ScoreError
from tests.confidence.made_calibration import made_calibration

RULES = RaceRules(first_images=200, first_per_class=8, largest_first_share=0.25, level=0.9, least_share=0.25)


@pytest.mark.parametrize(
    ("n_images", "n_classes", "sizes"),
    [
        (2000, 10, (200, 400, 800, 2000)),
        (2000, 37, (296, 592, 1184, 2000)),  # eight of each class
        (2000, 101, (500, 1000, 2000)),  # 808 are more than a quarter
        (2000, 400, (800, 2000)),  # two of each class are more than a quarter
        (350, 8, (87, 174, 350)),
        (36, 3, (9, 18, 36)),
        (6, 3, (6,)),
        (5, 3, (5,)),  # fewer than two of each class: a sample of all of them is none
    ],
)
def test_twice_as_many_images_each_time_until_all(n_images: int, n_classes: int, sizes: tuple[int, ...]) -> None:
    assert stage_sizes(n_images, n_classes, RULES) == sizes


def test_those_that_could_be_best_go_on() -> None:
    chances = np.array([0.02, 0.5, 0.08, 0.35, 0.05])
    scores = np.array([-5.0, -1.0, -3.0, -2.0, -4.0])
    # 0.5 + 0.35 is less than 0.9, with 0.08 it is more.
    assert going_on(scores, chances, RULES).tolist() == [False, True, True, True, False]


def test_the_best_quarter_goes_on_however_clear_it_seems() -> None:
    scores = -np.arange(9.0)
    chances = np.array([0.99, *[0.01 / 8] * 8])
    # A quarter of nine, rounded up, is three.
    assert going_on(scores, chances, RULES).tolist() == [True] * 3 + [False] * 6


def test_equal_checkpoints_share_their_fate() -> None:
    assert going_on(np.zeros(7), np.full(7, 1 / 7), RULES).all()
    chances = np.array([0.9, 0.05, 0.05])
    assert going_on(np.array([2.0, 1.0, 1.0]), chances, RULES).tolist() == [True, False, False]


def test_nobody_and_one() -> None:
    assert going_on(np.zeros(0), np.zeros(0), RULES).tolist() == []
    assert going_on(np.zeros(1), np.ones(1), RULES).tolist() == [True]


def test_the_chances_are_those_of_a_board() -> None:
    random = np.random.default_rng(0)
    terms = random.normal(size=(4, 30)) + np.arange(4)[:, None] / 4
    images = ImageLabels(np.arange(30) % 3, ("a", "b", "c"), seed=3, groups=np.arange(30) // 2)
    calibration = made_calibration(image_variance_ratio=2.0)
    board = ranking_confidence([ScoredImages(row, None) for row in terms], images, calibration)
    assert race_chances(terms, images, calibration) == pytest.approx([row.p_best for row in board], rel=1e-12)
    # By hand: the average over resamples of softmax(scores / spread), the spread being 0.2 log 3.
    scores = terms.mean(axis=1)
    drawn = scores + 2**0.5 * (resampled_scores(terms, seed=3, groups=images.groups) - scores)
    weights = np.exp(drawn / (0.2 * np.log(3)))
    by_hand = (weights / weights.sum(axis=1, keepdims=True)).mean(axis=0)
    assert race_chances(terms, images, calibration) == pytest.approx(by_hand, rel=1e-9)


def test_chances_over_stages() -> None:
    found = staged_chances([{"a": 0.5, "b": 0.3, "c": 0.2}, {"a": 0.25, "b": 0.75}, {"b": 1.0}])
    # a and b share their 0.8 as the second stage says; the third changes nothing for one alone.
    assert found == pytest.approx({"a": 0.2, "b": 0.6, "c": 0.2})
    assert staged_chances([]) == {}


def test_a_stage_has_no_newcomers() -> None:
    with pytest.raises(ScoreError, match="of the stage before it alone"):
        staged_chances([{"a": 1.0}, {"a": 0.5, "b": 0.5}])

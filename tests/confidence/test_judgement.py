"""All parts together: each agrees with its own module, and no row depends on where it stands."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from lead_hub.confidence.calibration import Calibration
from lead_hub.confidence.class_errors import ClassAccuracy, ConfusedPair
from lead_hub.confidence.judgement import ImageLabels, ScoredImages, ranking_confidence
from lead_hub.confidence.record import RANK_DEPENDENT, Confidence, as_columns, parse_confidence, without_ranks
from lead_hub.errors import ScoreError
from tests.confidence.made_calibration import made_calibration

LABELS = np.arange(60) % 3
IMAGES = ImageLabels(LABELS, ("ant", "bee", "cow"))


def scored(quality: float, *, seed: int, n_wrong: int = 6) -> ScoredImages:
    terms = quality + np.random.default_rng(seed).normal(scale=0.3, size=len(LABELS))
    predicted = LABELS.copy()
    predicted[:n_wrong] = (predicted[:n_wrong] + 1) % 3
    return ScoredImages(terms, predicted)


FOUR = [
    scored(-0.5, seed=1, n_wrong=6),
    scored(-2.0, seed=2, n_wrong=40),
    scored(-0.52, seed=3),
    scored(-3.0, seed=4, n_wrong=50),
]


def test_a_ranking() -> None:
    first, third, second, last = ranking_confidence(FOUR, IMAGES, made_calibration())
    assert (first.rank_low, third.rank_low, last.rank_low, last.rank_high) == (1, 3, 4, 4)
    assert first.tie_group == second.tie_group == 1
    assert first.could_be_best
    assert second.could_be_best
    assert not last.could_be_best
    assert first.p_best + second.p_best + third.p_best + last.p_best == pytest.approx(1)
    assert first.score_low < FOUR[0].terms.mean() < first.score_high
    assert first.predicted_low < first.predicted_accuracy < first.predicted_high
    assert first.predicted_accuracy > third.predicted_accuracy > last.predicted_accuracy
    assert first.probe_accuracy == 54 / 60
    assert first.probe_low < 54 / 60 < first.probe_high
    # The first six images, two of each class of twenty, are taken for the next class.
    assert first.worst_classes == tuple(ClassAccuracy(name, 18 / 20, 20) for name in ("ant", "bee", "cow"))
    assert first.confused_pairs == (
        ConfusedPair("ant", "bee", 2),
        ConfusedPair("bee", "cow", 2),
        ConfusedPair("cow", "ant", 2),
    )


@pytest.mark.parametrize("calibration", [made_calibration(), None])
def test_the_order_of_the_checkpoints_changes_nothing(calibration: Calibration | None) -> None:
    order = [2, 0, 3, 1]
    there = ranking_confidence(FOUR, IMAGES, calibration)
    here = ranking_confidence([FOUR[place] for place in order], IMAGES, calibration)
    for one, place in zip(here, order, strict=True):
        for name, value in as_columns(there[place]).items():
            expected = pytest.approx(value, rel=1e-12) if isinstance(value, float) else value
            assert as_columns(one)[name] == expected, name


def test_copies_make_nobody_surer() -> None:
    """Every image three times: the intervals are those of the images once, where they would be far narrower."""
    copied = [ScoredImages(np.repeat(one.terms, 3), np.repeat(one.predicted, 3)) for one in FOUR]
    labels, groups = np.repeat(LABELS, 3), np.repeat(np.arange(60), 3)
    grouped = ranking_confidence(copied, replace(IMAGES, labels=labels, groups=groups), made_calibration())
    alone = ranking_confidence(copied, replace(IMAGES, labels=labels), made_calibration())
    for one, found, narrow in zip(ranking_confidence(FOUR, IMAGES, made_calibration()), grouped, alone, strict=True):
        for name in ("score_low", "score_high", "p_best", "probe_low", "probe_high", "predicted_low", "predicted_high"):
            assert getattr(found, name) == pytest.approx(getattr(one, name), rel=1e-9), name
        assert narrow.score_high - narrow.score_low < 0.7 * (found.score_high - found.score_low)
        assert narrow.probe_high - narrow.probe_low < 0.7 * (found.probe_high - found.probe_low)


def test_without_a_calibration_there_are_intervals_but_no_outcome() -> None:
    first, third, second, last = ranking_confidence(FOUR, IMAGES, None)
    assert (first.rank_low, last.rank_high) == (1, 4)
    assert [one.could_be_best for one in (first, second, third, last)] == [True, True, False, False]
    assert {one.p_best for one in (first, second)} == {one.predicted_accuracy for one in (first, second)} == {None}
    assert first.probe_accuracy == 54 / 60


def test_a_calibrated_score_has_the_intervals_that_were_measured() -> None:
    bare = ranking_confidence(FOUR, IMAGES, None)
    for ratio, times in ((1.0, 1.0), (4.0, 2.0)):
        for one, plain, images in zip(
            ranking_confidence(FOUR, IMAGES, made_calibration(image_variance_ratio=ratio)), bare, FOUR, strict=True
        ):
            assert one.score_high - images.terms.mean() == pytest.approx(
                times * (plain.score_high - images.terms.mean())
            )


def test_a_score_that_predicts_no_classes() -> None:
    terms_alone = [ScoredImages(one.terms, None) for one in FOUR]
    first = ranking_confidence(terms_alone, IMAGES, made_calibration())[0]
    assert first.p_best is not None
    assert first.predicted_accuracy is None
    assert first.probe_accuracy is None
    assert first.worst_classes == first.confused_pairs == ()


def test_better_on_every_image_is_a_clear_winner() -> None:
    ahead = ScoredImages(FOUR[0].terms + 2, LABELS)
    records = ranking_confidence([FOUR[0], FOUR[2], ahead], IMAGES, made_calibration())
    assert [one.could_be_best for one in records] == [False, False, True]
    assert (records[2].rank_low, records[2].rank_high) == (1, 1)


def test_equal_checkpoints_share_everything() -> None:
    records = ranking_confidence([FOUR[0]] * 3, IMAGES, made_calibration())
    assert len({as_columns(one)["p_best"] for one in records}) == 1
    assert records[0] == records[1] == records[2]
    assert records[0].p_best == pytest.approx(1 / 3)


def test_one_checkpoint_and_none() -> None:
    (alone,) = ranking_confidence(FOUR[:1], IMAGES, made_calibration())
    assert (alone.rank_low, alone.rank_high, alone.p_best, alone.could_be_best) == (1, 1, 1.0, True)
    assert ranking_confidence([], IMAGES, made_calibration()) == ()


def test_one_image() -> None:
    with pytest.raises(ScoreError, match="two images or more"):
        ranking_confidence([ScoredImages(np.zeros(1), None)], ImageLabels(np.zeros(1, dtype=np.int64), ("a",)), None)


def test_what_depends_on_the_other_rows_can_be_left_out() -> None:
    record = ranking_confidence(FOUR, IMAGES, made_calibration())[0]
    alone = without_ranks(record)
    changed = {name for name, value in asdict(record).items() if asdict(alone)[name] != value}
    assert changed == set(RANK_DEPENDENT)
    assert {asdict(alone)[name] for name in RANK_DEPENDENT} == {None}


def test_one_column_a_value() -> None:
    columns = as_columns(ranking_confidence(FOUR, IMAGES, made_calibration())[0])
    assert columns["worst_classes"] == "ant 90%; bee 90%; cow 90%"
    assert columns["confused_pairs"] == "ant as bee: 2; bee as cow: 2; cow as ant: 2"
    assert columns["probe_accuracy"] == 54 / 60


def test_the_record_survives_json() -> None:
    for record in (*ranking_confidence(FOUR, IMAGES, made_calibration()), Confidence(0.0, 1.0)):
        assert parse_confidence(json.loads(json.dumps(asdict(record)))) == record

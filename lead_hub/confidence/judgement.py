"""What is kept of every scored checkpoint -> how sure each row of the ranking is, and the verdict."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from lead_hub.confidence.accuracies import predicted_accuracy, probe_accuracy
from lead_hub.confidence.calibration import Calibration
from lead_hub.confidence.chance_of_best import chances_of_best, could_be_best
from lead_hub.confidence.class_errors import class_accuracies, confusion, most_confused, worst_classes
from lead_hub.confidence.image_bootstrap import resampled_scores, widened
from lead_hub.confidence.intervals import RankIntervals, rank_intervals
from lead_hub.confidence.record import Confidence


@dataclass(frozen=True, eq=False)
class ScoredImages:
    """What a score says of every image.

    Attributes:
        terms: their mean is the score.
        predicted: the class that each image is taken for when left out, a position in the class names; None where the
            score predicts no classes.
    """

    terms: Float[np.ndarray, " image"]
    predicted: Int[np.ndarray, " image"] | None


@dataclass(frozen=True, eq=False)
class ImageLabels:
    """The labelled images of a ranking, and the seed of the resamples.

    Attributes:
        labels: positions in the class names.
        class_names: one a class.
        seed: of the resamples.
        groups: 0..G-1: images that show the same thing, and so are drawn together; None where every image is alone.
    """

    labels: Int[np.ndarray, " image"]
    class_names: tuple[str, ...]
    seed: int = 0
    groups: Int[np.ndarray, " image"] | None = None

    @property
    def n_independent(self) -> int:
        """How many images there are that show something of their own: what the width of an interval goes by."""
        return len(self.labels) if self.groups is None else len(np.unique(self.groups))


def ranking_confidence(
    scored: Sequence[ScoredImages], images: ImageLabels, calibration: Calibration | None
) -> tuple[Confidence, ...]:
    """One record a checkpoint, in their order, which decides nothing.

    Args:
        scored: all checkpoints of the ranking.
        images: which images, the same for all.
        calibration: of the method and version that made the terms; None where there is none.

    Raises:
        ScoreError: fewer than two images or groups.
    """
    if not scored:
        return ()
    terms = np.stack([one.terms for one in scored])
    scores, resampled = terms.mean(axis=1), resampled_scores(terms, seed=images.seed, groups=images.groups)
    if calibration:
        resampled = widened(resampled, scores, variance_ratio=calibration.image_variance_ratio)
    intervals = rank_intervals(scores, resampled)
    records = [alone(one, intervals, number, images) for number, one in enumerate(scored)]
    if calibration is None:
        return tuple(replace(record, could_be_best=record.tie_group == 1) for record in records)
    chances = chances_of_best(resampled, spread=calibration.score_spread(len(images.class_names)))
    possible = could_be_best(chances)
    words = calibration.in_words()
    records = with_predictions(records, scores, images, calibration)
    return tuple(
        replace(
            record,
            p_best=float(chance),
            could_be_best=bool(could),
            calibrated_on=words,
        )
        for record, chance, could in zip(records, chances, possible, strict=True)
    )


def alone(one: ScoredImages, intervals: RankIntervals, number: int, images: ImageLabels) -> Confidence:
    """What needs no calibration."""
    record = Confidence(
        score_low=float(intervals.score_low[number]),
        score_high=float(intervals.score_high[number]),
        rank_low=int(intervals.rank_low[number]),
        rank_high=int(intervals.rank_high[number]),
        tie_group=int(intervals.tie_group[number]),
    )
    if one.predicted is None:
        return record
    probe = probe_accuracy(one.predicted == images.labels, n_independent=images.n_independent)
    return replace(
        record,
        probe_accuracy=probe.accuracy,
        probe_low=probe.low,
        probe_high=probe.high,
        worst_classes=worst_classes(class_accuracies(images.labels, one.predicted, images.class_names)),
        confused_pairs=most_confused(images.labels, one.predicted, images.class_names),
        confusion=confusion(images.labels, one.predicted, images.class_names),
    )


def with_predictions(
    records: Sequence[Confidence],
    scores: Float[np.ndarray, " checkpoint"],
    images: ImageLabels,
    calibration: Calibration,
) -> list[Confidence]:
    """The records with the accuracies to expect after fine-tuning, where the score also predicts classes."""
    left_out = np.array([record.probe_accuracy for record in records], dtype=np.float64)
    told = ~np.isnan(left_out)
    if not told.any():
        return list(records)
    n_images, n_classes = images.n_independent, len(images.class_names)
    expected = predicted_accuracy(left_out[told], scores[told], calibration, n_images=n_images, n_classes=n_classes)
    figures = iter(zip(expected.accuracy.tolist(), expected.low.tolist(), expected.high.tolist(), strict=True))
    names = ("predicted_accuracy", "predicted_low", "predicted_high")
    return [
        replace(record, **dict(zip(names, next(figures), strict=True))) if is_told else record
        for record, is_told in zip(records, told, strict=True)
    ]

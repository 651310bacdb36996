"""Confidence: what a leaderboard's row says of its own certainty."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from lead_hub.confidence.checked_types import with_checked_types
from lead_hub.confidence.class_errors import ClassAccuracy, ConfusedPair, Confusion, parse_confusion

# What depends on the other rows: a score card leaves it out, as it leaves out the rank.
RANK_DEPENDENT = ("rank_low", "rank_high", "tie_group", "p_best", "could_be_best")


@dataclass(frozen=True)
class Confidence:
    """How sure one row of a leaderboard is. All intervals are meant to hold the truth in 90% of the cases.

    Attributes:
        score_low: lower end of the score's interval, had other images been drawn.
        score_high: its upper end.
        rank_low: best rank of the interval, None where other rows have no terms per image.
        rank_high: worst rank of the interval.
        tie_group: 1 for the checkpoints that the images cannot tell apart from the first, 2 for the next ones.
        p_best: probability to be the best of these after full fine-tuning, in [0, 1]; None without a calibration.
        could_be_best: whether it is in the smallest set that holds the best with 90%; without a calibration, whether it
            is in the first tie group.
        predicted_accuracy: expected after full fine-tuning, in [0, 1]; None without a calibration.
        predicted_low: lower end of its interval.
        predicted_high: upper end.
        calibrated_on: which fine-tunings the chance and the prediction were learnt from, in words; empty without a
            calibration.
        probe_accuracy: share of images that a linear classifier on frozen features gets right when they are left out,
            in [0, 1]; None for scores that predict no classes.
        probe_low: lower end of its interval.
        probe_high: upper end.
        worst_classes: those with the lowest left-out accuracy, worst first.
        confused_pairs: what is taken for what most often, most often first.
        confusion: how often each class is taken for which; None for scores that predict no classes, and on score cards.
    """

    score_low: float
    score_high: float
    rank_low: int | None = None
    rank_high: int | None = None
    tie_group: int | None = None
    p_best: float | None = None
    could_be_best: bool | None = None
    predicted_accuracy: float | None = None
    predicted_low: float | None = None
    predicted_high: float | None = None
    calibrated_on: str = ""
    probe_accuracy: float | None = None
    probe_low: float | None = None
    probe_high: float | None = None
    worst_classes: tuple[ClassAccuracy, ...] = ()
    confused_pairs: tuple[ConfusedPair, ...] = ()
    confusion: Confusion | None = None


def parse_confidence(document: Mapping[str, Any]) -> Confidence:
    """The record of `dataclasses.asdict`, also after a journey through JSON.

    Raises:
        TypeError: keys that are missing or unknown, or a value of another kind.
        KeyError: likewise.
    """
    if not isinstance(document, Mapping):  # whoever wrote it
        raise TypeError(f"confidence to be an object, found {document!r:.100}")
    confusion = document.get("confusion")
    nested = {
        "worst_classes": tuple(with_checked_types(ClassAccuracy(**figure)) for figure in document["worst_classes"]),
        "confused_pairs": tuple(with_checked_types(ConfusedPair(**pair)) for pair in document["confused_pairs"]),
        "confusion": None if confusion is None else parse_confusion(confusion),
    }
    return with_checked_types(Confidence(**{**document, **nested}))


def without_ranks(confidence: Confidence) -> Confidence:
    """The record without what depends on the other rows."""
    return replace(confidence, rank_low=None, rank_high=None, tie_group=None, p_best=None, could_be_best=None)


def as_columns(confidence: Confidence) -> dict[str, float | int | bool | str | None]:
    """One value a column, for a table; what the board says once, or in lists of names, is in words or left out."""
    single = {
        field.name: getattr(confidence, field.name)
        for field in fields(confidence)
        if field.name not in {"calibrated_on", "worst_classes", "confused_pairs", "confusion"}
    }
    worst = "; ".join(f"{figure.name} {figure.accuracy:.0%}" for figure in confidence.worst_classes)
    confused = "; ".join(f"{pair.true} as {pair.predicted}: {pair.n_images}" for pair in confidence.confused_pairs)
    return {**single, "worst_classes": worst, "confused_pairs": confused}

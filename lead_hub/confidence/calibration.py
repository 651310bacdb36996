"""What a score got wrong on checkpoints that were really fine-tuned: a few constants, in calibration.json.

`python -m tests.benchmarks.calibration` fits them on the ground-truth matrix and writes the file: once on the study
half alone, which the other half judges, and once on all of it, which `recommend` uses. Targets made afterwards judge
the latter: what was found there stands beside its constants.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any, Literal

from lead_hub.errors import ScoreError

CALIBRATION_FILE = "calibration.json"
Part = Literal["all", "study"]


@dataclass(frozen=True)
class AddedOutcomes:
    """What was added to the outcomes that the package ships; without names, which may be private.

    Attributes:
        n_pairs: of a checkpoint and a dataset.
        n_datasets: how many datasets they are on.
        n_repositories: of score cards that they come from; the others are this machine's own.
    """

    n_pairs: int
    n_datasets: int
    n_repositories: int

    def in_words(self) -> str:
        """The end of a sentence."""
        origin = f" from {self.n_repositories} repositories of score cards and this machine"
        return f", and on {self.n_pairs} outcomes on {self.n_datasets} further datasets{origin}"


@dataclass(frozen=True)
class MatrixFigures:
    """What came of predictions on one kind of datasets, each predicted from all the others.

    Attributes:
        name: the kind, in words.
        n_targets: datasets of this kind.
        n_pairs: of a checkpoint and a dataset.
        coverage: share of the pairs whose accuracy lies in its predicted 90% interval, in [0, 1].
        mean_width: of these intervals, in accuracy from 0 to 1.
    """

    name: str
    n_targets: int
    n_pairs: int
    coverage: float
    mean_width: float

    def in_words(self) -> str:
        """The middle of a sentence."""
        return (
            f"{self.coverage:.0%} of {self.n_pairs} on {self.n_targets} datasets of {self.name}"
            f" ({100 * self.mean_width:.0f} points wide in the mean)"
        )


@dataclass(frozen=True)
class CalibrationData:
    """What the constants were fitted on: they hold for what resembles it.

    Attributes:
        fine_tuning: the protocol, in words.
        images: what kind of images and networks, in words.
        targets: names of the datasets.
        n_checkpoints: how many were fine-tuned on each.
        n_pairs: of a checkpoint and a dataset.
        n_images: fewest and most images a dataset.
        n_classes: fewest and most classes a dataset.
        left_out_coverage: share of the accuracies that lie in their 90% interval when each dataset's are predicted from
            the other datasets, in [0, 1].
        left_out_hit_rate: likewise, share of the sets of possible best checkpoints that hold the best.
        by_matrix: the same for each kind of datasets, where there are several kinds.
        added: what else the expected accuracies rest on; None for what the package ships.
    """

    fine_tuning: str
    images: str
    targets: tuple[str, ...]
    n_checkpoints: int
    n_pairs: int
    n_images: tuple[int, int]
    n_classes: tuple[int, int]
    left_out_coverage: float
    left_out_hit_rate: float
    by_matrix: tuple[MatrixFigures, ...] = ()
    added: AddedOutcomes | None = None

    def in_words(self) -> str:
        """One line for people."""
        fewest, most = self.n_images
        least_classes, most_classes = self.n_classes
        added = self.added.in_words() if self.added else ""
        kinds = f" ({', '.join(one.in_words() for one in self.by_matrix)})" if self.by_matrix else ""
        return (
            f"up to {self.n_checkpoints} checkpoints fine-tuned ({self.fine_tuning}) on {len(self.targets)} datasets"
            f" ({', '.join(self.targets)}; {fewest} to {most} images of {least_classes} to {most_classes} classes):"
            f" {self.images}{added}. Each predicted from the others, {self.left_out_coverage:.0%} of the accuracies lay"
            f" in their interval{kinds} and {self.left_out_hit_rate:.0%} of the sets held the best"
        )


@dataclass(frozen=True, kw_only=True)
class PromiseOutcomes:
    """What came of promises at 90%.

    Attributes:
        n_pairs: of a checkpoint and a dataset.
        coverage: share of the pairs whose accuracy lies in its predicted interval, in [0, 1].
        mean_width: of these intervals, in accuracy from 0 to 1.
        n_held: datasets on which the set of all checkpoints that could be best holds the truly best one.
        median_size: of these sets.
        pool_hit_rate: share of the sets that hold the best, over random pools of five checkpoints and more, in [0, 1].
    """

    n_pairs: int
    coverage: float
    mean_width: float
    n_held: int
    median_size: float
    pool_hit_rate: float


@dataclass(frozen=True, kw_only=True)
class Confirmation(PromiseOutcomes):
    """What came of promises on datasets that were made after the constants were fixed; none changed since.

    Attributes:
        targets: names of the datasets.
    """

    targets: tuple[str, ...]

    def in_words(self) -> str:
        """One line for people."""
        return (
            f"on {len(self.targets)} datasets made afterwards ({', '.join(self.targets)}), {self.coverage:.0%} of"
            f" {self.n_pairs} accuracies lay in their interval, {100 * self.mean_width:.0f} points wide in the mean,"
            f" and {self.pool_hit_rate:.0%} of the sets held the best"
        )


@dataclass(frozen=True)
class Calibration:
    """From what is known without fine-tuning to what full fine-tuning gives, and how far off that is.

    The logit of the accuracy is expected to be `intercept` + `slope` * (logit of the left-out accuracy) +
    `classes_slope` * (log of the number of classes).

    Attributes:
        method: the score that it is for.
        method_version: of the score's definition; another version has another calibration.
        intercept: in logits.
        slope: logits per logit.
        classes_slope: logits per unit of the logarithm of the number of classes.
        error_sd: standard deviation, in logits, of the error on a dataset that was not fitted on, without the part
            that comes from the choice of images.
        error_quantile: 90% of these errors are within so many standard deviations.
        image_variance_ratio: how many times as large the variance of scores from images to images is as resampling
            their terms says (see `image_bootstrap.py`).
        spread: scale of the errors that can change who is best (see `chance_of_best.py`), as a share of log(classes),
            which is how far the score of certainty lies above that of guessing.
        fitted_on: where all of it comes from.
        confirmed: how it did on datasets that it was not fitted on; None where nobody looked.
    """

    method: str
    method_version: int
    intercept: float
    slope: float
    classes_slope: float
    error_sd: float
    error_quantile: float
    image_variance_ratio: float
    spread: float
    fitted_on: CalibrationData
    confirmed: Confirmation | None = None

    def in_words(self) -> str:
        """Where the constants come from and how they did, for people."""
        found = f"; {self.confirmed.in_words()}" if self.confirmed else ""
        return self.fitted_on.in_words() + found

    def score_spread(self, n_classes: int) -> float:
        """The spread in the unit of the score, on a dataset of so many classes."""
        return self.spread * math.log(n_classes)


def find_calibration(
    method: str, method_version: int, *, part: Part = "all", kept: str | None = None
) -> Calibration | None:
    """The calibration of a score, or None: other scores, and other versions of this one, are not calibrated.

    Args:
        method: name of the score.
        method_version: of its definition.
        part: "all" was fitted on every dataset of the matrix, "study" on the study half alone, so that the other half
            can judge it.
        kept: text of a calibration that was fitted again on this machine, which comes first where it is of this score
            and version; None without one.

    Raises:
        ScoreError: what is kept is no calibration.
    """
    if kept is not None:
        try:
            own = parse_calibrations(kept)[part]
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ScoreError(f"what is kept of a calibration must be as it was written, found {error!r}") from error
        if (own.method, own.method_version) == (method, method_version):
            return own
    calibration = shipped_calibration(part)
    return calibration if (calibration.method, calibration.method_version) == (method, method_version) else None


def shipped_calibration(part: Part = "all") -> Calibration:
    """The one of the package."""
    text = (resources.files(__package__) / CALIBRATION_FILE).read_text(encoding="utf-8")
    return parse_calibrations(text)[part]


def calibrations_text(calibrations: Mapping[Part, Calibration]) -> str:
    """What the file holds."""
    return json.dumps({part: asdict(calibration) for part, calibration in calibrations.items()}, indent=2) + "\n"


def parse_calibrations(text: str) -> dict[Part, Calibration]:
    """The records that `calibrations_text` wrote."""
    return {part: _parse(document) for part, document in json.loads(text).items()}


def _parse(document: dict[str, Any]) -> Calibration:
    fitted_on, confirmed = document["fitted_on"], document["confirmed"]
    lists = {name: tuple(fitted_on[name]) for name in ("targets", "n_images", "n_classes")}
    lists["by_matrix"] = tuple(MatrixFigures(**one) for one in fitted_on.get("by_matrix", ()))
    added = fitted_on.get("added") and AddedOutcomes(**fitted_on["added"])
    records = {
        "fitted_on": CalibrationData(**{**fitted_on, **lists, "added": added}),
        "confirmed": confirmed and Confirmation(**{**confirmed, "targets": tuple(confirmed["targets"])}),
    }
    return Calibration(**{**document, **records})

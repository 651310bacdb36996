"""A calibration and outcomes from elsewhere -> the calibration that rests on all of them, and what each source says."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lead_hub.confidence.calibration import AddedOutcomes, Calibration
from lead_hub.confidence.expected_line import ExpectedLine, fitted_line, line_outcomes
from lead_hub.confidence.known_outcomes import SHIPPED, THIS_MACHINE, Outcome, shipped_outcomes


@dataclass(frozen=True)
class SourceOfOutcomes:
    """What one source says, and whether it is believed.

    Attributes:
        name: of the source.
        n_outcomes: pairs of a checkpoint and a dataset.
        n_datasets: how many datasets they are on.
        median_error_points: accuracy minus what all others make expect, in accuracy points, the median; above 0 where
            fine-tuning gave more.
        median_deviations: the same in standard deviations of such errors.
        is_used: False for a source that is further off the others than 90% of all errors are, in the median: it is set
            aside.
    """

    name: str
    n_outcomes: int
    n_datasets: int
    median_error_points: float
    median_deviations: float
    is_used: bool

    def in_words(self) -> str:
        """One line for people."""
        off = f"{self.median_error_points:+.1f} points from what the others make expect, in the median"
        aside = "" if self.is_used else f" ({self.median_deviations:+.1f} standard deviations): set aside, not used"
        return f"{self.name}: {self.n_outcomes} outcomes on {self.n_datasets} datasets, {off}{aside}"


@dataclass(frozen=True)
class Refit:
    """A calibration that was fitted again.

    Attributes:
        calibration: with what was added.
        sources: all of them but the package's own, also those that were set aside.
    """

    calibration: Calibration
    sources: tuple[SourceOfOutcomes, ...]


def refit(shipped: Calibration, added: Sequence[Outcome], *, keep_all: bool = False) -> Refit:
    """Fit the expected accuracies again, on the package's own outcomes and others.

    Chances to be best keep their constants: they need the score of every image, which outcomes do not tell.

    Args:
        shipped: the package's calibration.
        added: outcomes from elsewhere, of the same score.
        keep_all: whether sources that contradict all others are used nevertheless.
    """
    own = shipped_outcomes(shipped.fitted_on.targets)
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for one in added:
        groups[one.source].append(one)
    believed = dict(groups)
    while True:
        # The one that is furthest off first: it also is what makes the others look wrong.
        sources = [judged(name, groups[name], others=but_of(name, own, believed), keep=keep_all) for name in groups]
        refused = [one for one in sources if not one.is_used and one.name in believed]
        if not refused:
            break
        del believed[max(refused, key=lambda one: abs(one.median_deviations)).name]
    sources = [replace(one, is_used=one.name in believed) for one in sources]
    used = [one for outcomes in believed.values() for one in outcomes]
    line = fitted_line([*own, *used])
    fitted_on = replace(
        shipped.fitted_on,
        left_out_coverage=round(line.coverage, 3),
        by_matrix=() if used else shipped.fitted_on.by_matrix,
        added=added_outcomes(used) if used else None,
    )
    confirmed = None if used else shipped.confirmed
    calibration = replace(with_line(shipped, line), fitted_on=fitted_on, confirmed=confirmed)
    return Refit(calibration, tuple(sources))


def with_line(calibration: Calibration, line: ExpectedLine) -> Calibration:
    """The calibration with another line and its errors."""
    return replace(
        calibration,
        intercept=rounded(line.intercept),
        slope=rounded(line.slope),
        classes_slope=rounded(line.classes_slope),
        error_sd=rounded(line.error_sd),
        error_quantile=rounded(line.error_quantile),
    )


def without_dataset(calibration: Calibration, dataset: str) -> Calibration:
    """The package's calibration as it would be without its outcomes on one dataset; chances to be best stay.

    Raises:
        ScoreError: fewer than three datasets are left.
    """
    others = [one for one in shipped_outcomes(calibration.fitted_on.targets) if one.dataset != dataset]
    return with_line(calibration, fitted_line(others))


def but_of(name: str, own: Sequence[Outcome], groups: Mapping[str, Sequence[Outcome]]) -> list[Outcome]:
    """All outcomes but those of one source."""
    return [*own, *(one for source, outcomes in groups.items() if source != name for one in outcomes)]


def rounded(constant: float) -> float:
    """As it is written down."""
    return float(f"{constant:.4g}")


def judged(name: str, outcomes: Sequence[Outcome], *, others: Sequence[Outcome], keep: bool) -> SourceOfOutcomes:
    """How far a source is from the line through all the others."""
    line: ExpectedLine = fitted_line(others)
    expected = line.expected(outcomes)
    off = (line_outcomes(outcomes) - expected) / line.deviations(outcomes)
    accuracies = np.array([one.accuracy for one in outcomes])
    points = 100 * float(np.median(accuracies - 1 / (1 + np.exp(-expected))))
    deviations = float(np.median(off))
    # What was seen here is nobody else's word.
    is_used = keep or name == THIS_MACHINE or abs(deviations) <= line.error_quantile
    return SourceOfOutcomes(
        name, len(outcomes), len({one.dataset for one in outcomes}), points, deviations, is_used=is_used
    )


def added_outcomes(used: Sequence[Outcome]) -> AddedOutcomes:
    """How much was added; no names, which may be private."""
    assert all(one.source != SHIPPED for one in used)
    repositories = {one.source for one in used} - {THIS_MACHINE}
    return AddedOutcomes(
        n_pairs=len(used), n_datasets=len({one.dataset for one in used}), n_repositories=len(repositories)
    )

"""Outcomes -> the line that says which accuracy to expect after full fine-tuning, and how far off it is.

    logit(accuracy) = intercept + slope * logit(left-out accuracy) + classes_slope * log(classes)

Fitted so that no single dataset, and no single source, decides it: every dataset weighs the same, a source of outcomes
no more than all that the package ships, and an outcome far from the line less than the others (Huber's weights).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lead_hub.confidence.accuracies import above_guessing, logit, logit_variance
from lead_hub.confidence.known_outcomes import SHIPPED, Outcome
from lead_hub.errors import ScoreError

LEVEL = 0.9
# Errors of more standard deviations than this pull no harder than at it.
HUBER = 2.0
ITERATIONS = 50
FEWEST_DATASETS = 3


@dataclass(frozen=True)
class ExpectedLine:
    """The line and its errors, all in logits.

    Attributes:
        intercept: see the module.
        slope: see the module.
        classes_slope: see the module.
        error_sd: standard deviation of the error on a dataset that was not fitted on, without the part that comes from
            the choice of images.
        error_quantile: 90% of these errors are within so many standard deviations.
        coverage: share of the outcomes that lie in their 90% interval when each dataset's are predicted from the other
            datasets, in [0, 1].
    """

    intercept: float
    slope: float
    classes_slope: float
    error_sd: float
    error_quantile: float
    coverage: float

    def expected(self, outcomes: Sequence[Outcome]) -> Float[np.ndarray, " outcome"]:
        """Logits of the accuracies to expect."""
        logits: Float[np.ndarray, " outcome"] = line_inputs(outcomes) @ [self.intercept, self.slope, self.classes_slope]
        return logits

    def deviations(self, outcomes: Sequence[Outcome]) -> Float[np.ndarray, " outcome"]:
        """Standard deviations of the errors, the choice of images included."""
        deviations: Float[np.ndarray, " outcome"] = np.sqrt(self.error_sd**2 + images_variance(outcomes, self.slope))
        return deviations


def fitted_line(outcomes: Sequence[Outcome]) -> ExpectedLine:
    """The line through outcomes, and the errors that each dataset's have when the line goes through the others.

    Raises:
        ScoreError: fewer than three datasets.
    """
    names = np.array([one.dataset for one in outcomes])
    n_datasets = len(set(names))
    if n_datasets < FEWEST_DATASETS:
        raise ScoreError(f"outcomes on at least {FEWEST_DATASETS} datasets are needed, found {n_datasets}")
    weights = outcome_weights(outcomes)
    errors, variances = np.empty(len(outcomes)), np.empty(len(outcomes))
    for name in dict.fromkeys(names):
        own = names == name
        line = robust_line([one for one, is_own in zip(outcomes, own, strict=True) if not is_own], weights[~own])
        left = [one for one, is_own in zip(outcomes, own, strict=True) if is_own]
        errors[own] = line_outcomes(left) - line_inputs(left) @ line
        variances[own] = images_variance(left, line[1])
    error_sd, quantile = interval_constants(errors, variances, weights)
    covered = 0.0
    for name in dict.fromkeys(names):
        own = names == name
        others = interval_constants(errors[~own], variances[~own], weights[~own])
        inside = np.abs(errors[own]) <= others[1] * np.sqrt(others[0] ** 2 + variances[own])
        covered += float((inside * weights[own]).sum())
    intercept, slope, classes_slope = map(float, robust_line(outcomes, weights))
    return ExpectedLine(intercept, slope, classes_slope, error_sd, quantile, covered / float(weights.sum()))


def line_inputs(outcomes: Sequence[Outcome]) -> Float[np.ndarray, "outcome 3"]:
    """What the line multiplies."""
    classes = [np.log(one.n_classes) for one in outcomes]
    return np.stack([np.ones(len(outcomes)), logit(left_out_shares(outcomes)), np.array(classes)], axis=1)


def left_out_shares(outcomes: Sequence[Outcome]) -> Float[np.ndarray, " outcome"]:
    """Left-out accuracies, no worse than guessing and short of 0 and 1."""
    left_out = np.array([one.left_out for one in outcomes])
    n_images, n_classes = (np.array([getattr(one, name) for one in outcomes]) for name in ("n_images", "n_classes"))
    return above_guessing(left_out, n_images=n_images, n_classes=n_classes)


def line_outcomes(outcomes: Sequence[Outcome]) -> Float[np.ndarray, " outcome"]:
    """Logits of what fine-tuning gave, half a test image added to right and to wrong ones."""
    n_test = np.array([one.n_test for one in outcomes])
    return logit((np.array([one.accuracy for one in outcomes]) * n_test + 0.5) / (n_test + 1))


def images_variance(outcomes: Sequence[Outcome], slope: float) -> Float[np.ndarray, " outcome"]:
    """The part of the errors' variance that comes from the choice of images."""
    shares = left_out_shares(outcomes)
    n_images = np.array([one.n_images for one in outcomes])
    variance: Float[np.ndarray, " outcome"] = slope**2 * logit_variance(shares, n_images=n_images)
    return variance


def outcome_weights(outcomes: Sequence[Outcome]) -> Float[np.ndarray, " outcome"]:
    """Every dataset of a source weighs the same, and no source more than what the package ships."""
    sizes: dict[tuple[str, str], int] = defaultdict(int)
    for one in outcomes:
        sizes[one.source, one.dataset] += 1
    n_datasets: dict[str, int] = defaultdict(int)
    for source, _ in sizes:
        n_datasets[source] += 1
    most = n_datasets.get(SHIPPED) or max(n_datasets.values())
    shares = {source: min(1.0, most / number) for source, number in n_datasets.items()}
    return np.array([shares[one.source] / sizes[one.source, one.dataset] for one in outcomes])


def robust_line(outcomes: Sequence[Outcome], weights: Float[np.ndarray, " outcome"]) -> Float[np.ndarray, " 3"]:
    """Huber's line through outcomes."""
    return huber_line(line_inputs(outcomes), line_outcomes(outcomes), weights)


def huber_line(
    inputs: Float[np.ndarray, "outcome input"],
    values: Float[np.ndarray, " outcome"],
    weights: Float[np.ndarray, " outcome"],
) -> Float[np.ndarray, " input"]:
    """Least squares, repeated with less weight for what is far off."""
    pulls = np.ones(len(values))
    line = np.zeros(inputs.shape[1])
    for _ in range(ITERATIONS):
        root = np.sqrt(weights * pulls)
        before, line = line, np.linalg.lstsq(inputs * root[:, None], values * root, rcond=None)[0]
        errors = np.abs(values - inputs @ line)
        scale = 1.4826 * weighted_quantile(errors, weights, 0.5)
        pulls = np.minimum(1.0, HUBER * scale / np.maximum(errors, 1e-12)) if scale > 0 else pulls
        if np.allclose(line, before, rtol=0, atol=1e-9):
            break
    return line


def interval_constants(
    errors: Float[np.ndarray, " outcome"],
    variances: Float[np.ndarray, " outcome"],
    weights: Float[np.ndarray, " outcome"],
) -> tuple[float, float]:
    """Standard deviation of the errors without the images' part, and the 90% quantile in these deviations."""
    squared = float(np.average(errors**2 - variances, weights=weights))
    error_sd = float(np.sqrt(max(squared, 0.0)))
    in_deviations = np.abs(errors) / np.sqrt(error_sd**2 + variances)
    return error_sd, weighted_quantile(in_deviations, weights, LEVEL)


def weighted_quantile(values: Float[np.ndarray, " value"], weights: Float[np.ndarray, " value"], share: float) -> float:
    """The smallest value that so large a share of the weight lies at or below."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) >= share * weights.sum() * (1 - 1e-12)
    return float(values[order][np.argmax(reached)])

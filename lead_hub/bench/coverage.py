"""Whether the intervals and the sets keep their promise on datasets whose checkpoints were all fine-tuned."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from lead_hub.bench.matrix import GroundTruthMatrix
from lead_hub.bench.stored_outputs import read_outputs
from lead_hub.confidence import (
    Calibration,
    PredictedAccuracy,
    PromiseOutcomes,
    chances_of_best,
    could_be_best,
    predicted_accuracy,
    resampled_scores,
    widened,
)
from lead_hub.errors import ScoreError
from lead_hub.transferability import transferability

SMALLEST_POOL = 5
N_POOLS = 200


@dataclass(frozen=True, eq=False)
class FineTunedTarget:
    """One dataset, what a score says of some checkpoints on it, and what fine-tuning them gave.

    Attributes:
        name: of the dataset.
        terms: the score's, one per checkpoint and image.
        correct: whether an image is right when left out.
        accuracy: after full fine-tuning, in [0, 1].
        n_classes: of the dataset.
    """

    name: str
    terms: Float[np.ndarray, "checkpoint image"]
    correct: Bool[np.ndarray, "checkpoint image"]
    accuracy: Float[np.ndarray, " checkpoint"]
    n_classes: int


@dataclass(frozen=True, kw_only=True)
class ConfidenceFigures(PromiseOutcomes):
    """What came of promises at 90% on datasets that the calibration was not fitted on; every dataset weighs the same.

    Attributes:
        n_targets: datasets.
        pool_median_size: of the sets in random pools.
        pool_median_share: size of the set as a share of its pool, the median.
    """

    n_targets: int
    pool_median_size: float
    pool_median_share: float


def confidence_figures(
    targets: Sequence[FineTunedTarget],
    calibration: Calibration | Sequence[Calibration],
    *,
    n_pools: int = N_POOLS,
    seed: int = 0,
) -> ConfidenceFigures:
    """Compare predictions with outcomes on datasets that the calibration was not fitted on.

    A dataset alone is one case in which the set holds the best or does not. Pools of random checkpoints, of every size
    from 5 to all, give more cases, though not independent ones.

    Args:
        targets: with five checkpoints or more each.
        calibration: of the method that made the terms; or one for every dataset.
        n_pools: random pools per dataset.
        seed: of the pools and the resamples.

    Raises:
        ScoreError: no targets, or one with fewer than five checkpoints.
    """
    fewest = min((len(target.accuracy) for target in targets), default=0)
    if fewest < SMALLEST_POOL:
        raise ScoreError(f"figures need datasets with {SMALLEST_POOL} checkpoints or more each, found {fewest}")
    calibrations = [calibration] * len(targets) if isinstance(calibration, Calibration) else calibration
    judged = list(zip(targets, calibrations, strict=True))
    predicted = [target_prediction(target, one) for target, one in judged]
    outcomes = np.concatenate([target.accuracy for target in targets])
    low, high = (np.concatenate([getattr(one, end) for one in predicted]) for end in ("low", "high"))
    whole, pools = zip(*(set_figures(target, one, n_pools=n_pools, seed=seed) for target, one in judged), strict=True)
    held, sizes, n_checkpoints = np.concatenate(pools).T
    return ConfidenceFigures(
        n_targets=len(targets),
        n_pairs=len(outcomes),
        coverage=float(((low <= outcomes) & (outcomes <= high)).mean()),
        mean_width=float((high - low).mean()),
        n_held=sum(hit for hit, _ in whole),
        median_size=float(np.median([size for _, size in whole])),
        pool_hit_rate=float(held.mean()),
        pool_median_size=float(np.median(sizes)),
        pool_median_share=float(np.median(sizes / n_checkpoints)),
    )


def target_prediction(target: FineTunedTarget, calibration: Calibration) -> PredictedAccuracy:
    """Predicted accuracies of all checkpoints of one dataset."""
    left_out, scores = target.correct.mean(axis=1), target.terms.mean(axis=1)
    n_images = target.correct.shape[1]
    return predicted_accuracy(left_out, scores, calibration, n_images=n_images, n_classes=target.n_classes)


def set_figures(
    target: FineTunedTarget, calibration: Calibration, *, n_pools: int, seed: int
) -> tuple[tuple[bool, int], Float[np.ndarray, "pool 3"]]:
    """`best_in_pool` of all checkpoints of a dataset, and `pool_figures` of random pools of them."""
    n_checkpoints = len(target.accuracy)
    spread = calibration.score_spread(target.n_classes)
    resampled = widened(
        resampled_scores(target.terms, seed=seed),
        target.terms.mean(axis=1),
        variance_ratio=calibration.image_variance_ratio,
    )
    whole = best_in_pool(target.accuracy, resampled, np.arange(n_checkpoints), spread=spread)
    pools = random_pools(n_checkpoints, n_pools=n_pools, seed=seed)
    return whole, pool_figures(target.accuracy, resampled, pools, spread=spread)


def random_pools(n_checkpoints: int, *, n_pools: int = N_POOLS, seed: int = 0) -> list[Int[np.ndarray, " _"]]:
    """Draw pools of checkpoints, from 5 of them to all, every size as probable."""
    generator = np.random.default_rng(seed)
    sizes = generator.integers(SMALLEST_POOL, n_checkpoints, size=n_pools, endpoint=True)
    return [generator.choice(n_checkpoints, size=size, replace=False) for size in sizes]


def pool_figures(
    accuracy: Float[np.ndarray, " checkpoint"],
    resampled: Float[np.ndarray, "resample checkpoint"],
    pools: Sequence[Int[np.ndarray, " _"]],
    *,
    spread: float,
) -> Float[np.ndarray, "pool 3"]:
    """For each pool: whether the set holds its best (1 or 0), the size of the set, the size of the pool."""
    figures = [(*best_in_pool(accuracy, resampled, pool, spread=spread), len(pool)) for pool in pools]
    return np.array(figures, dtype=np.float64)


def best_in_pool(
    accuracy: Float[np.ndarray, " checkpoint"],
    resampled: Float[np.ndarray, "resample checkpoint"],
    members: Int[np.ndarray, " _"],
    *,
    spread: float,
) -> tuple[bool, int]:
    """Whether the set of a pool holds its truly best (one of the equally best), and the size of the set."""
    possible = could_be_best(chances_of_best(resampled[:, members], spread=spread))
    best = accuracy[members] == accuracy[members].max()
    return bool((possible & best).any()), int(possible.sum())


def finetuned_targets(matrix: GroundTruthMatrix, half: str, *, method: str = "lead") -> list[FineTunedTarget]:
    """Every target of one half, with the checkpoints that were fine-tuned on it.

    Args:
        matrix: the ground truth.
        half: "study", "held-out", "confirmation", "real" or "all".
        method: a score with terms per image and left-out predictions.

    Raises:
        MatrixError: no such half, or stored outputs that are missing.
        ScoreError: the score is undefined, or has no terms or predictions.
    """
    return [finetuned_target(matrix, column, method=method) for column in matrix.positions(half)]


def finetuned_target(matrix: GroundTruthMatrix, column: int, *, method: str) -> FineTunedTarget:
    """One target of a matrix."""
    target = matrix.targets[column].name
    rows = np.flatnonzero(~np.isnan(matrix.accuracy[:, column]))
    terms, correct, n_classes = [], [], 0
    for row in rows:
        outputs = read_outputs(matrix.folder, target, matrix.checkpoints[row].name)
        score = transferability(outputs.features, outputs.labels, method, kernels=outputs.kernels)
        if score.per_image is None or score.predicted is None:
            raise ScoreError(f"confidence needs a score with terms and predictions of every image, found {method!r}")
        classes, labels = np.unique(outputs.labels, return_inverse=True)
        n_classes = len(classes)
        terms.append(score.per_image.numpy())
        correct.append(score.predicted.numpy() == labels)
    accuracy = matrix.accuracy[rows, column] / 100
    return FineTunedTarget(target, np.stack(terms), np.stack(correct), accuracy, n_classes=n_classes)

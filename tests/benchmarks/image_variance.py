"""How much more a score moves from images to images than resampling its terms says.

A bootstrap of terms takes them as they are, but other images would also have trained other classifiers, which moves
many terms at once (Bengio and Grandvalet, "No unbiased estimator of the variance of k-fold cross-validation", JMLR
2004). So every dataset is halved at random, every checkpoint scored on both halves, and the squared distance between
the halves' differences of two checkpoints compared with the variance that resampling gives these differences.
"""

from dataclasses import dataclass

import numpy as np
import torch

from lead_hub.bench.matrix import GroundTruthMatrix
from lead_hub.bench.score_table import among
from lead_hub.bench.stored_outputs import StoredOutputs, read_outputs
from lead_hub.transferability import transferability

N_SPLITS = 3
NORMAL_QUANTILE_95 = 1.6448536269514722


@dataclass(frozen=True, eq=False)
class HalvesApart:
    """Of one dataset, [split, checkpoint, checkpoint] each: squared distance of the halves, variance by resampling."""

    squared: np.ndarray
    resampled: np.ndarray

    @property
    def ratio(self) -> float:
        return float(self.squared.sum() / self.resampled.sum())

    def covered(self, ratio: float) -> float:
        """Share of the pairs and splits that lie within the 90% interval for this ratio of variances."""
        pairs = np.triu(np.ones(self.squared.shape[1:], dtype=bool), 1)
        return float((self.squared <= NORMAL_QUANTILE_95**2 * ratio * self.resampled)[:, pairs].mean())


def halves_apart(matrix: GroundTruthMatrix, column: int, *, method: str) -> HalvesApart:
    """Halve a target's images at random, class by class, and score every checkpoint on both."""
    target = matrix.targets[column].name
    stored = [
        read_outputs(matrix.folder, target, matrix.checkpoints[row].name)
        for row in np.flatnonzero(~np.isnan(matrix.accuracy[:, column]))
    ]
    labels = stored[0].labels
    generator = np.random.default_rng(0)
    squared, resampled = [], []
    for _ in range(N_SPLITS):
        order = np.lexsort((generator.random(len(labels)), labels))
        halves = [
            np.stack([scored(one, half, method=method).numpy() for one in stored]) for half in (order[::2], order[1::2])
        ]
        means = [half.mean(axis=1) for half in halves]
        apart = [mean[:, None] - mean for mean in means]
        squared.append((apart[0] - apart[1]) ** 2)
        resampled.append(sum(difference_variances(half) for half in halves))
    return HalvesApart(np.array(squared), np.array(resampled))


def scored(outputs: StoredOutputs, rows: np.ndarray, *, method: str) -> torch.Tensor:
    """The terms of some of the images, as if there were no others."""
    kernels = {name: among(kernel, rows) for name, kernel in outputs.kernels.items()}
    found = transferability(outputs.features[rows], outputs.labels[rows], method, kernels=kernels)
    assert found.per_image is not None
    return found.per_image


def difference_variances(terms: np.ndarray) -> np.ndarray:
    """[checkpoint, checkpoint]: variance that resampling gives the difference of two means."""
    covariance = np.cov(terms, bias=True) / terms.shape[1]
    variances = np.diag(covariance)
    return variances[:, None] + variances - 2 * covariance

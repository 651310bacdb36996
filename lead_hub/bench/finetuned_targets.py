"""A matrix's targets as `lead_hub.confidence` takes them: terms of every image, left-out predictions, and outcomes."""

import numpy as np

from lead_hub.bench.matrix import GroundTruthMatrix
from lead_hub.bench.stored_outputs import read_outputs
from lead_hub.confidence.confidence_figures import FinetunedTarget
from lead_hub.errors import ScoreError
from lead_hub.transferability import transferability


def finetuned_targets(matrix: GroundTruthMatrix, half: str, *, method: str = "lead") -> list[FinetunedTarget]:
    """Every target of one half, with the checkpoints that were fine-tuned on it.

    Args:
        matrix: the ground truth.
        half: "study", "held-out", "confirmation" or "all".
        method: a score with terms per image and left-out predictions.

    Raises:
        MatrixError: no such half, or stored outputs that are missing.
        ScoreError: the score is undefined, or has no terms or predictions.
    """
    return [finetuned_target(matrix, column, method=method) for column in matrix.positions(half)]


def finetuned_target(matrix: GroundTruthMatrix, column: int, *, method: str) -> FinetunedTarget:
    """One target of a matrix."""
    target = matrix.targets[column].name
    rows = np.flatnonzero(~np.isnan(matrix.accuracy[:, column]))
    terms, correct, n_classes = [], [], 0
    for row in rows:
        outputs = read_outputs(matrix.folder, target, matrix.checkpoints[row].name)
        score = transferability(outputs.features, outputs.labels, method)
        if score.per_image is None or score.predicted is None:
            raise ScoreError(f"confidence needs a score with terms and predictions of every image, found {method!r}")
        classes, labels = np.unique(outputs.labels, return_inverse=True)
        n_classes = len(classes)
        terms.append(score.per_image.numpy())
        correct.append(score.predicted.numpy() == labels)
    accuracy = matrix.accuracy[rows, column] / 100
    return FinetunedTarget(target, np.stack(terms), np.stack(correct), accuracy, n_classes=n_classes)

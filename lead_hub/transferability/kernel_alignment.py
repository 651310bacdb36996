"""Centred kernel-target alignment: are images as alike to the checkpoint as their labels are?

Source: Cortes, Mohri, Rostamizadeh, "Algorithms for Learning Kernels Based on Centered Alignment", Journal of Machine
Learning Research 2012, with a linear kernel of the features and the one of one-hot labels, which is 1 for two images of
a class and 0 for others; the same number is called linear CKA between features and labels (Kornblith et al., ICML
2019). It is the numerator of KITE (arXiv 2405.01603), whose denominator could not be read.

No departure. A kernel of n x n images is never formed where there are fewer features than images.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from lead_hub.transferability.principal_axes import varying_rows
from lead_hub.transferability.score import ScoreMethod, TransferabilityScore
from lead_hub.transferability.score_inputs import ScoreInputs


def kernel_alignment(inputs: ScoreInputs) -> TransferabilityScore:
    """Cosine between the centred kernels of features and of one-hot labels: in [0, 1], higher is better.

    No seed matters.

    Raises:
        ScoreError: all images have the same features.
    """
    rows = varying_rows(inputs.features)
    one_hot = torch.nn.functional.one_hot(inputs.labels).to(rows.dtype)
    targets = one_hot - one_hot.mean(dim=0)
    # The inner product of two kernels X X' and Y Y' is the squared size of X' Y.
    value = (rows.T @ targets).square().sum() / (_kernel_size(rows) * _kernel_size(targets))
    return TransferabilityScore(float(value.clamp(max=1)))


def _kernel_size(rows: Float[Tensor, "image number"]) -> Float[Tensor, ""]:
    """Root of the summed squares of X X', or of X' X, which has the same: of the smaller one."""
    size: Tensor = torch.linalg.matrix_norm(rows.T @ rows if rows.shape[1] < len(rows) else rows @ rows.T)
    return size


KERNEL_ALIGNMENT = ScoreMethod(
    name="kernel-alignment",
    function=kernel_alignment,
    title="centred kernel-target alignment",
    paper="Cortes, Mohri, Rostamizadeh, JMLR 2012",
    range="[0, 1]",
    needs_logits=False,
    cost="one product of the features with themselves; no seed",
)

"""GBC: how much the classes overlap, each described by one normal distribution.

Source: Pandy, Agostinelli, Uijlings, Ferrari, Mensink, "Transferability Estimation using Bhattacharyya Class
Separability", CVPR 2022, arXiv 2111.12780: features reduced to 64 principal axes, spherical covariances.

Departures from the authors' code:

1. It keeps variances above 1e-4 in the unit of the features. Here the unit is the mean variance of the axes, so
   that rescaled features score the same.
2. For spherical covariances it adds the logarithm of the one variance once; the determinant in the paper's formula
   has it once for every axis, and so it is here.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lead_hub.transferability.principal_axes import leading_coordinates, varying_spectrum
from lead_hub.transferability.score import ScoreMethod, TransferabilityScore
from lead_hub.transferability.score_inputs import ScoreInputs

N_AXES = 64
# In units of the mean variance of the axes.
SMALLEST_VARIANCE = 1e-4

Covariance = Literal["spherical", "diagonal"]


def gbc(inputs: ScoreInputs, *, covariance: Covariance = "spherical") -> TransferabilityScore:
    """Minus the sum of the Bhattacharyya coefficients of all ordered pairs of K classes: in [-K (K - 1), 0].

    Higher is better: 0 where no two classes overlap. No seed matters.

    Raises:
        ScoreError: all images have the same features.
    """
    labels = inputs.labels
    rows = leading_coordinates(varying_spectrum(inputs), n_axes=N_AXES)
    means, variances = _class_moments(rows, labels)
    if covariance == "spherical":
        variances = variances.mean(dim=1, keepdim=True).expand_as(variances)
    overlap = 0.0
    # Class by class, because all pairs at once would be classes^2 numbers for every axis.
    for target_class in range(len(means) - 1):
        this, later = slice(target_class, target_class + 1), slice(target_class + 1, None)
        distances = bhattacharyya_distances(means[this], variances[this], means[later], variances[later])
        overlap += float((-distances).exp().sum())
    return TransferabilityScore(-2 * overlap)


def bhattacharyya_distances(
    mean: Float[Tensor, "1 axis"],
    variance: Float[Tensor, "1 axis"],
    means: Float[Tensor, "target_class axis"],
    variances: Float[Tensor, "target_class axis"],
) -> Float[Tensor, " target_class"]:
    """Between one normal distribution with uncorrelated axes and others: 0 for equal ones, else above 0."""
    average = (variance + variances) / 2
    shift = ((mean - means).square() / average).sum(dim=1) / 8
    return shift + (average.log() - (variance.log() + variances.log()) / 2).sum(dim=1) / 2


def _class_moments(
    rows: Float[Tensor, "image axis"], labels: Int[Tensor, " image"]
) -> tuple[Float[Tensor, "target_class axis"], Float[Tensor, "target_class axis"]]:
    """Mean and variance of every class along every axis."""
    one_hot = torch.nn.functional.one_hot(labels).to(rows.dtype)
    counts = one_hot.sum(dim=0)[:, None]
    means = one_hot.T @ rows / counts
    variances = one_hot.T @ (rows - means[labels]).square() / counts
    return means, variances.clamp(min=SMALLEST_VARIANCE)


GBC = ScoreMethod(
    name="gbc",
    function=gbc,
    title="GBC, spherical",
    paper="Pandy et al., GBC, CVPR 2022, arXiv 2111.12780",
    range="[-K (K - 1), 0]",
    needs_logits=False,
    cost="one eigendecomposition of the smaller Gram matrix; no seed",
)

"""NCTI: how close the features are to the neural collapse that training ends in.

Source: Wang, Luo, Zheng, Huang, Baktashmotlagh, "How Far Pre-trained Models Are from Neural Collapse on the Target
Dataset Informs their Transferability", ICCV 2023, pp. 5549-5558. Its three terms, as quoted by others, are

- SELI geometry, the nuclear norm of the features: the higher the rank, the closer;
- nearest-centre classification, the mean probability of the right class under a linear discriminant;
- variability collapse, minus the sum over classes of the nuclear norm of the class's rows of probabilities.

What they are computed of is taken from the authors' released code: the features along the (at most) 64 principal
components; linear discriminant analysis there, with the shrinkage e^-(variance along the first 32 of them); the first
term of the centred features along the discriminant axes, the last one by its log.

Departures from that code:

1. The authors bring each term to [0, 1] by its smallest and largest value among the checkpoints that are compared, and
   then add them. A score of one checkpoint cannot: this is the plain sum, in which the first term, by far the
   largest, all but decides. The three terms stand beside it, each so that higher is better, for those who want to.
2. Principal components without variance, which rounding alone would make, do not count among the 64.
3. At the smallest shrinkage, 1e-10, the same formulas hold; the code then changes to others that count n - K, not n.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lead_hub.transferability.discriminant import (
    WithinClasses,
    own_class,
    posteriors,
    rows_in_their_span,
    shrinkage_for,
    within_classes,
)
from lead_hub.transferability.principal_axes import centred_spectrum
from lead_hub.transferability.score import ScoreMethod, TransferabilityScore
from lead_hub.transferability.score_inputs import ScoreInputs
from lead_hub.transferability.spectrum import gram_spectrum

PRINCIPAL_COMPONENTS = 64
COMPONENTS_FOR_SHRINKAGE = 32


def ncti(inputs: ScoreInputs) -> TransferabilityScore:
    """Sum of the three terms, any real number, higher is better; no seed matters.

    The terms go with it as "ncti_seli", "ncti_nearest_centre" and "ncti_variability".

    Raises:
        ScoreError: features that are the same for all images, or for all images of every class.
    """
    labels = inputs.labels
    components, shrinkage = _principal_components(inputs)
    within = within_classes(components, labels, n_features=components.shape[1])
    posterior = posteriors(within.whitened(components, shrinkage=shrinkage), labels)
    projections = _discriminant_projections(components, labels, within=within, shrinkage=shrinkage)
    per_class = [_nuclear_norm(posterior[labels == target_class]) for target_class in range(posterior.shape[1])]
    terms = {
        "ncti_seli": _nuclear_norm(projections),
        "ncti_nearest_centre": float(own_class(posterior, labels).mean()),
        "ncti_variability": -math.log(sum(per_class)),
    }
    return TransferabilityScore(sum(terms.values()), companions=terms)


def _principal_components(inputs: ScoreInputs) -> tuple[Float[Tensor, "image axis"], float]:
    """Coordinates along the principal components with the largest variances, and the shrinkage that these give."""
    centred = inputs.once(rows_in_their_span)
    is_turned = centred.rows.shape != inputs.features.shape  # to the basis of fewer images than features
    spectrum = gram_spectrum(centred.rows) if is_turned else inputs.once(centred_spectrum)
    kept = spectrum.eigenvalues[-PRINCIPAL_COMPONENTS:] > 0
    components = spectrum.coordinates()[:, -PRINCIPAL_COMPONENTS:][:, kept]
    squares = float(spectrum.eigenvalues[-COMPONENTS_FOR_SHRINKAGE:].sum())
    # In two steps: the square of a large unit alone may overflow.
    return components, shrinkage_for(squares / (len(components) - 1) * centred.unit * centred.unit)


def _discriminant_projections(
    components: Float[Tensor, "image axis"], labels: Int[Tensor, " image"], *, within: WithinClasses, shrinkage: float
) -> Float[Tensor, "image discriminant"]:
    """Coordinates along the K - 1 axes with the most variance between classes per variance within.

    They are the leading generalised eigenvectors of the total covariance, shrunk like the one within the classes.
    """
    whitened = within.whitened(components, shrinkage=shrinkage)
    n_images, n_axes = components.shape
    mean_variance = components.square().sum() / n_images / n_axes
    shrunk_total = (1 - shrinkage) * (whitened.T @ whitened) / n_images
    shrunk_total.diagonal().add_(shrinkage * mean_variance / within.shrunk(shrinkage))
    vectors: Tensor = torch.linalg.eigh(shrunk_total)[1]
    return whitened @ vectors[:, -int(labels.max()) :]


def _nuclear_norm(matrix: Float[Tensor, "row column"]) -> float:
    return float(torch.linalg.svdvals(matrix).sum())


NCTI = ScoreMethod(
    name="ncti",
    function=ncti,
    title="NCTI, sum of its three terms",
    paper="after Wang et al., NCTI, ICCV 2023; departures listed in transferability/ncti.py",
    range="any real number",
    needs_logits=False,
    cost="one eigendecomposition of the smaller Gram matrix, one of 64 x 64, a nuclear norm per class; no seed",
)

"""LogME: log of maximum evidence of a Bayesian linear regression of every class's indicator on the features.

Source: You, Liu, Wang, Long, "LogME: Practical Assessment of Pre-trained Models for Transfer Learning", ICML 2021,
arXiv 2102.11005; the fixed point is the one in its Algorithm 1, run until the evidence no longer changes.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lead_hub.errors import ScoreError
from lead_hub.transferability.score import ScoreMethod, TransferabilityScore
from lead_hub.transferability.score_inputs import ScoreInputs
from lead_hub.transferability.spectrum import gram_spectrum

MAX_ITERATIONS = 2000
EVIDENCE_TOLERANCE = 1e-12
# Of a class's squared indicator: less than this outside the span of the features is rounding.
RESIDUAL_TOLERANCE = 1e-12


def logme(inputs: ScoreInputs) -> TransferabilityScore:
    """Mean over classes of the maximum log evidence per image: any real number, higher is better; no seed matters.

    Raises:
        ScoreError: fewer features than images and some class an exact linear function of them, where the
            evidence has no maximum; or features that are all 0.
    """
    features, labels = inputs.features, inputs.labels
    targets = torch.nn.functional.one_hot(labels).to(features.dtype)
    projection = _projection(features, targets)
    return TransferabilityScore(float(_maximum_evidence(projection).mean()) / len(features))


@dataclass(frozen=True, eq=False)
class _Projection:
    """All that the evidence depends on, after the one decomposition that all classes share.

    Attributes:
        start: alpha / beta = 1 in the unit of the features that is used here.
        eigenvalues: squared singular values of the features, those above 0.
        squared_components: of every target along every left singular vector.
        squared_residuals: of every target outside their span.
    """

    n_images: int
    start: float
    eigenvalues: Float[Tensor, "axis 1"]
    squared_components: Float[Tensor, "axis target_class"]
    squared_residuals: Float[Tensor, " target_class"]


def _projection(features: Float[Tensor, "image feature"], targets: Float[Tensor, "image target_class"]) -> _Projection:
    # A unit of the features changes no evidence, as the prior's precision follows it; this one keeps squares in range.
    largest = features.abs().max()
    if largest == 0:
        raise ScoreError("LogME needs features that are not all 0, found only zeros")
    spectrum = gram_spectrum(features / largest)
    kept = spectrum.eigenvalues > 0
    eigenvalues = spectrum.eigenvalues[kept, None]
    squared_components = spectrum.cross_products(targets)[kept].square() / eigenvalues
    totals = targets.sum(dim=0)
    residuals = (totals - squared_components.sum(dim=0)).clamp(min=0)
    if len(eigenvalues) < len(features) and bool((residuals <= RESIDUAL_TOLERANCE * totals).any()):
        raise ScoreError(
            f"LogME is unbounded where the features give a class exactly, found that for"
            f" {int((residuals <= RESIDUAL_TOLERANCE * totals).sum())} of {len(totals)} classes with"
            f" {len(eigenvalues)} independent features of {len(features)} images: use more images"
        )
    start = float(largest.square().reciprocal().clamp(max=torch.finfo(features.dtype).max))
    return _Projection(len(features), start, eigenvalues, squared_components, residuals)


def _maximum_evidence(projection: _Projection) -> Float[Tensor, " target_class"]:
    """Alternate between posterior and precisions, every class starting anew at alpha = beta = 1.

    Both the evidence, with the best beta, and the next alpha / beta depend on the ridge strength alpha / beta alone.
    Classes run side by side; one that has converged stays as it is, so that none depends on the others.
    """
    strength = torch.full_like(projection.squared_residuals, projection.start)
    evidence = torch.full_like(strength, -math.inf)
    active = torch.ones_like(strength, dtype=torch.bool)
    for _ in range(MAX_ITERATIONS):
        new_evidence, new_strength = _step(projection, strength)
        change = (new_evidence - evidence).abs()
        evidence = torch.where(active, new_evidence, evidence)
        strength = torch.where(active, new_strength, strength)
        active &= change > EVIDENCE_TOLERANCE * projection.n_images
        if not bool(active.any()):
            break
    return evidence


def _step(
    projection: _Projection, strength: Float[Tensor, " target_class"]
) -> tuple[Float[Tensor, " target_class"], Float[Tensor, " target_class"]]:
    """Evidence at a ridge strength, and the strength that the paper's update of alpha and beta makes of it.

    m is the posterior's mean and gamma the number of effective features; alpha becomes gamma / |m|^2, and beta
    becomes (n - gamma) / |X m - y|^2. At the fixed point beta |X m - y|^2 + alpha |m|^2 = n.
    """
    signal = projection.eigenvalues / strength
    shrinkage = 1 / (1 + signal)
    gamma = (signal * shrinkage).sum(dim=0)
    n_beyond_gamma = projection.n_images - len(signal) + shrinkage.sum(dim=0)
    squared_error = projection.squared_residuals + (projection.squared_components * shrinkage**2).sum(dim=0)
    penalty = (projection.squared_components * signal * shrinkage**2).sum(dim=0)
    beta = projection.n_images / (squared_error + penalty)
    evidence = (projection.n_images * (beta.log() - math.log(2 * math.pi) - 1) - signal.log1p().sum(dim=0)) / 2
    # Without any signal along the features the best alpha is infinite, and the evidence that of noise.
    growth = torch.where(penalty > 0, gamma / penalty * squared_error / n_beyond_gamma, math.inf)
    return evidence, strength * growth


LOGME = ScoreMethod(
    name="logme",
    function=logme,
    title="LogME",
    paper="You et al., LogME, ICML 2021, arXiv 2102.11005",
    range="any real number",
    needs_logits=False,
    cost="one eigendecomposition of the smaller Gram matrix; no seed",
)

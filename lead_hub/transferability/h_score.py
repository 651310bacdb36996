"""H-score: how much of the features' variance lies between the classes, in units of the whole of it.

Source: Bao et al., "An Information-Theoretic Approach to Transferability in Task Transfer Learning", ICIP 2019:
tr(cov(f)^-1 cov(E[f | y])). With more features than images the first covariance has no inverse and the score is
its number of classes minus 1 for all checkpoints; so here it is shrunk, with the factor of the second term that
goes with it: Ibrahim, Ponomareva, Mazumder, "Newer is not always better: Rethinking transferability metrics, their
peculiarities, stability and performance", ECML PKDD 2022, arXiv 2110.06893.

One departure: both covariances are averages over n images, where public ports divide one by n and the other by
n - 1; that factor is the same for all checkpoints.
"""

import torch

from lead_hub.transferability.principal_axes import varying_spectrum
from lead_hub.transferability.score import ScoreMethod, TransferabilityScore
from lead_hub.transferability.score_inputs import ScoreInputs
from lead_hub.transferability.spectrum import GramSpectrum

# A covariance this close to a multiple of the identity, relative to its size, differs from it by rounding.
SPHERICAL_TOLERANCE = 1e-24


def h_score(inputs: ScoreInputs) -> TransferabilityScore:
    """(1 - a) tr(((1 - a) S + a m I)^-1 B): between 0 and the number of classes minus 1, higher is better.

    S is the covariance of the features, m its mean eigenvalue, B the covariance of every image's class mean and a
    the shrinkage, which is reported as "shrinkage". No seed matters.

    Raises:
        ScoreError: all images have the same features.
    """
    labels, spectrum = inputs.labels, varying_spectrum(inputs)
    rows = spectrum.rows
    shrinkage = ledoit_wolf_shrinkage(spectrum)
    kept = spectrum.eigenvalues > 0
    variances = spectrum.eigenvalues[kept] / len(rows)
    shrunk = (1 - shrinkage) * variances + shrinkage * variances.sum() / rows.shape[1]
    one_hot = torch.nn.functional.one_hot(labels).to(rows.dtype)
    between = spectrum.cross_products(one_hot)[kept].square() / one_hot.sum(dim=0) / len(rows)
    value = (1 - shrinkage) * float((between.sum(dim=1) / shrunk).sum())
    return TransferabilityScore(value, companions={"shrinkage": shrinkage})


def ledoit_wolf_shrinkage(spectrum: GramSpectrum) -> float:
    """How far to pull the covariance of centred rows towards a multiple of the identity, in [0, 1].

    Ledoit, Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", Journal of Multivariate
    Analysis 2004: the squared error of the covariance, estimated from how much the single rows' products scatter
    about it, over its squared distance to the multiple; at most 1. A covariance that is such a multiple needs none.
    """
    n_images, n_features = spectrum.rows.shape
    variances = spectrum.eigenvalues / n_images
    mean = variances.sum() / n_features
    distance = (variances - mean).square().sum() + (n_features - len(variances)) * mean.square()
    squared_size = variances.square().sum()
    if distance <= SPHERICAL_TOLERANCE * squared_size:
        return 0.0
    squared_lengths = spectrum.rows.square().sum(dim=1)
    error = (squared_lengths.square().mean() - squared_size) / n_images
    return float((error / distance).clamp(min=0, max=1))


H_SCORE = ScoreMethod(
    name="h-score",
    function=h_score,
    title="H-score with shrinkage",
    paper="Bao et al., ICIP 2019; shrinkage: Ibrahim et al., ECML PKDD 2022, arXiv 2110.06893",
    range="[0, classes - 1]",
    needs_logits=False,
    cost="one eigendecomposition of the smaller Gram matrix; no seed",
)

"""NLEEP: LEEP with the components of a mixture of normal distributions in place of the head's classes.

Source: Li, Jia, Sang, Zhu, Green, Wang, Gong, "Ranking Neural Checkpoints", CVPR 2021, arXiv 2011.11200: principal
axes that hold 80% of the variance, five components for every class, full covariances.

Departures from public code, which fits the mixture with scikit-learn:

1. It adds 1e-6 to variances in the unit of the features. Here the unit is the mean variance of the axes, so that
   rescaled features score the same.
2. There are at most half as many components as images. With a component for every image all checkpoints score 0, and
   with more than that there is no fit at all.
3. Some of it leaves out the logarithm; here it is the mean log-likelihood, as in the paper.
"""

from lead_hub.transferability.gaussian_mixture import fitted_posterior, nearest_means
from lead_hub.transferability.leep import log_expected_predictions
from lead_hub.transferability.principal_axes import leading_coordinates, varying_spectrum
from lead_hub.transferability.score import ScoreMethod, TransferabilityScore
from lead_hub.transferability.score_inputs import ScoreInputs

VARIANCE_SHARE = 0.8
COMPONENTS_PER_CLASS = 5
IMAGES_PER_COMPONENT = 2


def nleep(inputs: ScoreInputs) -> TransferabilityScore:
    """Mean log-likelihood of the labels given an image's component: in [-log K, 0], higher is better.

    The seed draws where the fit starts, and the fit ends in a maximum near there: another seed gives another score.

    Raises:
        ScoreError: all images have the same features.
    """
    labels, seed = inputs.labels, inputs.seed
    rows = leading_coordinates(varying_spectrum(inputs), variance_share=VARIANCE_SHARE)
    wanted = min(COMPONENTS_PER_CLASS * (int(labels.max()) + 1), len(rows) // IMAGES_PER_COMPONENT)
    start, n_components = nearest_means(rows, wanted, seed=seed)
    per_image = log_expected_predictions(fitted_posterior(rows, start, n_components), labels)
    return TransferabilityScore(float(per_image.mean()), per_image)


NLEEP = ScoreMethod(
    name="nleep",
    function=nleep,
    title="NLEEP",
    paper="Li et al., Ranking Neural Checkpoints, CVPR 2021, arXiv 2011.11200",
    range="[-log K, 0]",
    needs_logits=False,
    cost="one eigendecomposition of the smaller Gram matrix, up to 100 steps of fitting 5 normal distributions a class",
)

"""TransRate: how many fewer bits the features take within a class than among all images.

Source: Huang, Huang, Rong, Yang, Wei, "Frustratingly Easy Transferability Estimation", ICML 2022, arXiv 2106.09362:
the ten lines of code in the paper, which centre the features and weigh all classes alike.

Those lines take features as they come, and the coding rate of longer features is larger. As in public code that
compares checkpoints, Z is divided by sqrt(tr(Z Z^T)) first, here once it is centred: rescaled and shifted features
score the same. The sum of all images' squared lengths is then 1, so the distortion of 1e-4 is that of n images
together, and scores of samples of different sizes do not compare.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from lead_hub.transferability.principal_axes import varying_rows
from lead_hub.transferability.score import ScoreMethod, TransferabilityScore
from lead_hub.transferability.score_inputs import ScoreInputs

# Squared error per image that the coding may leave, in units of the sum of all squared lengths of centred features.
DISTORTION = 1e-4


def transrate(inputs: ScoreInputs) -> TransferabilityScore:
    """Coding rate of all images minus the mean coding rate of the classes, in nats: higher is better; no seed matters.

    At least 0 where all classes have equally many images; otherwise it may be any real number.

    Raises:
        ScoreError: all images have the same features.
    """
    features, labels = inputs.features, inputs.labels
    rows = varying_rows(features)
    rows = rows / rows.square().sum().sqrt()
    n_classes = int(labels.max()) + 1
    within = sum(coding_rate(rows[labels == target_class]) for target_class in range(n_classes))
    return TransferabilityScore(coding_rate(rows) - within / n_classes)


def coding_rate(rows: Float[Tensor, "image feature"], *, distortion: float = DISTORTION) -> float:
    """Half of log det(I + rows^T rows / (number of images * distortion)), by the smaller of the two Gram matrices."""
    n_images, n_features = rows.shape
    gram = rows.T @ rows if n_features < n_images else rows @ rows.T
    gram /= n_images * distortion
    gram.diagonal().add_(1)
    # Half of the log determinant is the sum of the logarithms of the Cholesky factor's diagonal.
    return float(torch.linalg.cholesky(gram).diagonal().log().sum())


TRANSRATE = ScoreMethod(
    name="transrate",
    function=transrate,
    title="TransRate",
    paper="Huang et al., TransRate, ICML 2022, arXiv 2106.09362",
    range="any real number; at least 0 for classes of equal size",
    needs_logits=False,
    cost="one Cholesky decomposition of the smaller Gram matrix, and one for every class; no seed",
)

"""SFDA: how surely a Fisher discriminant classifies images that were made harder for it beforehand.

Source: Shao, Zhao, Ge, Zhang, Yang, Wang, Shan, Luo, "Not All Models Are Equal: Predicting Model Transferability in a
Self-challenging Fisher Space", ECCV 2022, arXiv 2207.03036, and the authors' released code, which settles what the
paper leaves open: the shrinkage target is the mean eigenvalue times I, the first posteriors are softened by a second
softmax before the mixing, the second discriminant keeps the first one's shrinkage, and the score is the mean
probability of the right class, not of its log.

Departures from that code:

1. The largest eigenvalue of the within-class covariance is exact, not the end of three steps of power iteration,
   which depends on the basis of the features.
2. Features without any spread within their classes are refused, where the code divides by 0.

Both discriminants are fitted to the images that they classify. As soon as there are about as many features as images
they separate anything, and every checkpoint scores near 1. The shrinkage depends on the unit of the features.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lead_hub.transferability.discriminant import (
    class_means,
    own_class,
    posteriors,
    rows_in_their_span,
    shrinkage_for,
    within_classes,
)
from lead_hub.transferability.score import ScoreMethod, TransferabilityScore
from lead_hub.transferability.score_inputs import ScoreInputs

# The positive constant a of the shrinkage e^(-a * largest eigenvalue), as released.
SHRINKAGE_RATE = 5.0


def sfda(inputs: ScoreInputs) -> TransferabilityScore:
    """Mean probability of the right class after the self-challenge: in [0, 1], higher is better; no seed matters.

    Raises:
        ScoreError: features that are the same for all images, or for all images of every class.
    """
    labels, centred = inputs.labels, inputs.once(rows_in_their_span)
    first, shrinkage = inputs.once(fisher_posteriors)
    challenged = self_challenged(centred.rows, labels, posterior=first)
    within = within_classes(challenged, labels, n_features=centred.n_features)
    second = posteriors(within.whitened(challenged, shrinkage=shrinkage), labels)
    per_image = own_class(second, labels)
    return TransferabilityScore(float(per_image.mean()), per_image)


def fisher_posteriors(inputs: ScoreInputs) -> tuple[Float[Tensor, "image target_class"], float]:
    """In-sample posteriors of the regularised discriminant, and the shrinkage: e^(-5 * largest eigenvalue of S_W).

    Several scores begin with them, so they are asked for by `ScoreInputs.once`.
    """
    centred, labels = inputs.once(rows_in_their_span), inputs.labels
    within = within_classes(centred.rows, labels, n_features=centred.n_features)
    # In two steps: the square of a large unit alone may overflow.
    largest = float(within.eigenvalues[-1]) * centred.unit * centred.unit
    shrinkage = shrinkage_for(SHRINKAGE_RATE * largest)
    return posteriors(within.whitened(centred.rows, shrinkage=shrinkage), labels), shrinkage


def self_challenged(
    rows: Float[Tensor, "image axis"],
    labels: Int[Tensor, " image"],
    *,
    posterior: Float[Tensor, "image target_class"],
) -> Float[Tensor, "image axis"]:
    """ConfMix: every image moves towards the mean of the other classes' means, the less sure its class is the more.

    Its weight is the softened posterior of its own class, the softmax of the posteriors.
    """
    means = class_means(rows, labels)
    others = (means.sum(dim=0) - means) / (len(means) - 1)
    confidence = own_class(torch.softmax(posterior, dim=1), labels)[:, None]
    return confidence * rows + (1 - confidence) * others[labels]


SFDA = ScoreMethod(
    name="sfda",
    function=sfda,
    title="SFDA",
    paper="Shao et al., SFDA, ECCV 2022, arXiv 2207.03036",
    range="[0, 1]",
    needs_logits=False,
    cost="two eigendecompositions of the within-class covariance; no seed",
)

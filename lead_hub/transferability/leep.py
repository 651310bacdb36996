"""LEEP: how well the labels follow from what the checkpoint's own head says of the images.

Source: Nguyen, Hassner, Seeger, Archambeau, "LEEP: A New Measure to Evaluate Transferability of Learned
Representations", ICML 2020, arXiv 2002.12462.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lead_hub.errors import ScoreError
from lead_hub.transferability.score import ScoreMethod, TransferabilityScore
from lead_hub.transferability.score_inputs import ScoreInputs


def leep(inputs: ScoreInputs) -> TransferabilityScore:
    """Mean log-likelihood of the labels under the expected empirical predictor: in [-log K, 0], higher is better.

    A head that says the same of all images gets minus the entropy of the labels. No seed matters, and the features
    do not either: with the softmax of the logits as source probabilities, all is said by the head.

    Raises:
        ScoreError: no logits.
    """
    labels, logits = inputs.labels, inputs.logits
    if logits is None:
        raise ScoreError("leep needs the logits of the checkpoint's own trained head, found none")
    per_image = log_expected_predictions(logits.softmax(dim=1), labels)
    return TransferabilityScore(float(per_image.mean()), per_image)


def log_expected_predictions(
    source_probabilities: Float[Tensor, "image source_class"], labels: Int[Tensor, " image"]
) -> Float[Tensor, " image"]:
    """Log of sum_z P(y | z) theta_z for every image, of label y and source probabilities theta.

    P(y | z) is the share of label y in the total probability that source class z is given by all images. A source
    class that no image gives any probability has no such share, and needs none: its theta is 0. Every image puts its
    own probabilities into its own label's share, so no logarithm is of 0.
    """
    one_hot = torch.nn.functional.one_hot(labels).to(source_probabilities.dtype)
    joint = source_probabilities.T @ one_hot
    totals = joint.sum(dim=1, keepdim=True)
    conditional = joint / torch.where(totals > 0, totals, 1.0)
    predictions = source_probabilities @ conditional
    # At most 1 but for rounding.
    return predictions.gather(1, labels[:, None])[:, 0].clamp(max=1).log()


LEEP = ScoreMethod(
    name="leep",
    function=leep,
    title="LEEP",
    paper="Nguyen et al., LEEP, ICML 2020, arXiv 2002.12462",
    range="[-log K, 0]",
    needs_logits=True,
    cost="two products of the source probabilities with the labels; no seed",
)

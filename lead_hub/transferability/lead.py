"""LEAD without leakage: how likely the labels of left-out images are, by the last features and by several depths.

Source: Hu, Li, Tang, Liu, Hu, Duan, "LEAD: Exploring Logit Space Evolution for Model Selection", CVPR 2024,
pp. 28664-28673, arXiv 2507.14559. `lead_paper.py` follows the text; what differs here, and why:

1. Initial logits. The paper's classifier predicts the images it was trained on, and so separates even pure noise
   as soon as there are more features than images. Here every image is predicted by ridge regression that was fitted
   without it, exactly and in closed form (`leave_one_out.py`, `kernel_ridge.py`).
2. The evolution. The paper lets logits move along the gradient flow for a time t, towards labels that include the
   image's own. Without its own label the flow's solution is F_t(x*) = k(x*, X) K^-1 (I - e^{-K t}) Y; ridge regression
   of strength 1 / t takes the same path with w / (w + 1 / t) in place of 1 - e^{-w t}, and has a leave-one-out. So the
   time is an early stopping that left-out images choose, and no image moves towards its own label.
3. The kernel. The paper takes that of a random head on the last features, which says what a linear probe says. What
   fine-tuning moves is the network: its tangent kernel is a sum over layers of activations' inner products, weighted
   by backward signals. The second kernel here is that sum over a few blocks and the last features with constant
   signals, each centred and of mean eigenvalue 1: one forward pass. It hears what the network holds on the way, also
   where the last features have lost it. `lead_network.py` has the backward signals, too.
4. Logits, not probabilities: ridge predictions of about 0 and 1, times a sharpness (an inverse temperature), are the
   logits of the softmax. The sharpness is the one under which a checkpoint's own left-out predictions are likeliest, so
   that none is punished for being as unsure of a hard task as it should be.

The score is the mean of the two log-likelihoods, fixed before any of it was computed on the held-out datasets; which
datasets decided what is in this room's README. `lead_head.py` is what LEAD was here before.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from lead_hub.transferability.kernel_ridge import kernel_leave_one_out, unit_kernel
from lead_hub.transferability.likelihoods import accuracy, fitted_sharpness, log_likelihoods
from lead_hub.transferability.outliers import left_out_predictions
from lead_hub.transferability.score import ScoreMethod, TransferabilityScore
from lead_hub.transferability.score_inputs import ScoreInputs


def lead(inputs: ScoreInputs) -> TransferabilityScore:
    """Mean log-likelihood of the labels of left-out images: at most 0, higher is better; no seed matters.

    Of two predictions, by the last features and by several depths, the mean. Without depths the first counts alone.
    Minus each of them goes with it, as "loo_log_loss" and "loo_log_loss_depths". What says nothing about K balanced
    classes gets -log K. With groups, an image is left out together with its group.
    """
    left = inputs.once(left_out_predictions)
    predictions = {"": left.logits}
    if inputs.depth_kernel is not None:
        predictions["_depths"] = inputs.once(predictions_by_depths)
    return mean_likelihood(predictions, inputs, notes=left.notes)


def predictions_by_depths(inputs: ScoreInputs) -> Float[Tensor, "image target_class"]:
    """What every image is taken for when it is left out, by several depths and the last features."""
    assert inputs.depth_kernel is not None
    depths = unit_kernel(inputs.once(left_out_predictions).features) + inputs.depth_kernel
    return kernel_leave_one_out(depths, inputs.labels, groups=inputs.groups).logits


def mean_likelihood(
    predictions: Mapping[str, Float[Tensor, "image target_class"]], inputs: ScoreInputs, *, notes: tuple[str, ...]
) -> TransferabilityScore:
    """Mean over left-out predictions of the labels' mean log-likelihood, each at the sharpness that makes it best.

    Args:
        predictions: by the end of the name of their log-loss; the first, with an empty name, are the last features'.
        inputs: whose labels they are for.
        notes: on the features.
    """
    labels = inputs.labels
    sharpness = {name: fitted_sharpness(logits, labels) for name, logits in predictions.items()}
    terms = {name: log_likelihoods(logits, labels, sharpness=sharpness[name]) for name, logits in predictions.items()}
    companions = {f"loo_log_loss{name}": -float(term.mean()) for name, term in terms.items()}
    companions["loo_accuracy"] = accuracy(predictions[""], labels)
    per_image = torch.stack(list(terms.values())).mean(dim=0)
    log_chances = [(sharpness[name] * logits).log_softmax(dim=1) for name, logits in predictions.items()]
    predicted = torch.stack(log_chances).sum(dim=0).argmax(dim=1)
    if len(predictions) == 1:  # also where misleading predictions got a sharpness of 0
        predicted = predictions[""].argmax(dim=1)
    return TransferabilityScore(float(per_image.mean()), per_image, companions, predicted=predicted, notes=notes)


LEAD = ScoreMethod(
    name="lead",
    function=lead,
    title="LEAD over several depths, leave-one-out",
    paper="after Hu et al., LEAD, CVPR 2024, arXiv 2507.14559; departures listed in transferability/lead.py",
    range="(-inf, 0]",
    needs_logits=False,
    uses_kernels=("depth_kernel",),
    cost="one eigendecomposition of the smaller Gram matrix, one of a kernel between all images; no seed",
    version=3,
    leaves_out=True,
)

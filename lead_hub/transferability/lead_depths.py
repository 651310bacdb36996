"""LEAD over several depths: how likely the labels of left-out images are by the last features, and by several depths.

A candidate for what LEAD shall be; which it is to be is decided on data. After Hu et al., "LEAD", CVPR 2024, like
`lead.py`: the evolution is in it as early stopping (`kernel_ridge.py`). The second kernel, of the last features and of
some blocks' outputs, is the part of the network's tangent kernel that activations make, with constant backward signals:
fine-tuning can use what the network holds on the way, also where its last features have lost it.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from lead_hub.transferability.kernel_ridge import kernel_leave_one_out, unit_kernel
from lead_hub.transferability.lead import accuracy, fitted_sharpness, log_likelihoods
from lead_hub.transferability.outliers import left_out_predictions
from lead_hub.transferability.score import ScoreMethod, TransferabilityScore
from lead_hub.transferability.score_inputs import ScoreInputs


def lead_depths(inputs: ScoreInputs) -> TransferabilityScore:
    """Sum of two mean left-out log-likelihoods, of the last features and of several depths: at most 0; no seed matters.

    Each has a sharpness of its own. Minus each of them goes with it, as "loo_log_loss" and "loo_log_loss_depths".
    Features and depths that say nothing about K balanced classes get -2 log K.
    """
    left = left_out_predictions(inputs)
    assert inputs.depth_kernel is not None  # promised by needs_kernels
    depths = unit_kernel(left.features) + inputs.depth_kernel
    predictions = {
        "": left.logits,
        "_depths": kernel_leave_one_out(depths, inputs.labels, groups=inputs.groups).logits,
    }
    return summed_likelihoods(predictions, inputs, notes=left.notes)


def summed_likelihoods(
    predictions: Mapping[str, Float[Tensor, "image target_class"]], inputs: ScoreInputs, *, notes: tuple[str, ...]
) -> TransferabilityScore:
    """Sum of the mean log-likelihoods of the labels by left-out predictions, each at the sharpness that makes it best.

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
    per_image = torch.stack(list(terms.values())).sum(dim=0)
    log_chances = [(sharpness[name] * logits).log_softmax(dim=1) for name, logits in predictions.items()]
    predicted = torch.stack(log_chances).sum(dim=0).argmax(dim=1)
    return TransferabilityScore(float(per_image.mean()), per_image, companions, predicted=predicted, notes=notes)


LEAD_DEPTHS = ScoreMethod(
    name="lead-depths",
    function=lead_depths,
    title="LEAD over several depths, leave-one-out (candidate)",
    paper="after Hu et al., LEAD, CVPR 2024, arXiv 2507.14559; see transferability/lead_depths.py",
    range="(-inf, 0]",
    needs_logits=False,
    needs_kernels=("depth_kernel",),
    cost="one eigendecomposition of the smaller Gram matrix, one of a kernel between all images; no seed",
    leaves_out=True,
)

"""LEAD by the last features alone: how far left-out images' logits are from their labels, a short training later.

What `lead` was until version 2. The evolution is that of a new head; `lead.py` says what became of it.

Source: Hu, Li, Tang, Liu, Hu, Duan, "LEAD: Exploring Logit Space Evolution for Model Selection", CVPR 2024,
pp. 28664-28673, arXiv 2507.14559. Equation numbers are as quoted by others; `lead_paper.py` follows the text.

Departures from the paper, each of which keeps the number from meaning nothing:

1. Initial logits. The paper's classifier predicts the images it was trained on, and so separates even pure noise
   as soon as there are more features than images. Here every image is predicted by a ridge classifier that
   was trained without it, exactly and in closed form.
2. Logits, not probabilities: ridge predictions of about 0 and 1, times a sharpness (an inverse temperature), are the
   logits of the softmax. The sharpness is the one under which each checkpoint's own left-out predictions are most
   likely, so that none is punished for being as unsure of a hard task as it should be.
3. The head is infinitely wide, so its kernel is an expectation in closed form: no seed changes the score.
4. Features are brought to unit length before the kernel, which otherwise grows with the square of their length.
5. The whole spectrum of every class's kernel is used in place of its mean eigenvalue (Eq. 6, not Eq. 7), over all
   images of the class in place of 64.
6. Time is measured in units of 1 / (largest eigenvalue of the class's kernel), and is at most 0.3 in place of 1:
   the label of an image is a target of its own evolution, so a long one makes all checkpoints alike.
7. Time is 0.3 times the share of the labels that left-out predictions explain. Pulled along for a fixed time, the
   images of a class move together wherever features do not tell them apart, and noise gains most: of two classes
   it would score above features that are right about nine images in ten. What nothing is known of stays put.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lead_hub.transferability.evolution import evolve
from lead_hub.transferability.head_kernel import infinite_head_kernel
from lead_hub.transferability.leave_one_out import explained_share
from lead_hub.transferability.likelihoods import accuracy, fitted_sharpness, log_likelihoods
from lead_hub.transferability.outliers import left_out_predictions
from lead_hub.transferability.score import ScoreMethod, TransferabilityScore
from lead_hub.transferability.score_inputs import ScoreInputs


@dataclass(frozen=True)
class LeadHeadSettings:
    """The choices of this LEAD.

    Attributes:
        time: how long the logits evolve where left-out predictions are perfect, in units of 1 / (largest eigenvalue
            of the class's kernel).
        sharpness: logits per unit of a ridge prediction in the softmax (an inverse temperature); None: what makes the
            left-out predictions most likely, at most 16.
    """

    time: float = 0.3
    sharpness: float | None = None


LEAD_HEAD_SETTINGS = LeadHeadSettings()


def lead_head(inputs: ScoreInputs, *, settings: LeadHeadSettings = LEAD_HEAD_SETTINGS) -> TransferabilityScore:
    """Mean log-likelihood of the labels after the evolution: at most 0, higher is better; no seed matters.

    The plain leave-one-out log-loss (lower is better) and accuracy go with it as "loo_log_loss" and
    "loo_accuracy", to show what the evolution adds. Features that say nothing about K balanced classes get
    -log K, and a leave-one-out accuracy below 1 / K, for constant features even 0: leaving an image out makes its own
    class the rarest of those that are left, so with nothing else to go by any other is predicted. With groups, an image
    is left out together with its group.
    """
    labels = inputs.labels
    left = inputs.once(left_out_predictions)
    initial = left.logits
    sharpness = fitted_sharpness(initial, labels) if settings.sharpness is None else settings.sharpness
    time = settings.time * explained_share(initial, labels, groups=inputs.groups)
    evolved = evolved_logits(left.features, labels, initial=initial, time=time)
    per_image = log_likelihoods(evolved, labels, sharpness=sharpness)
    left_out = log_likelihoods(initial, labels, sharpness=sharpness)
    companions = {"loo_log_loss": -float(left_out.mean()), "loo_accuracy": accuracy(initial, labels)}
    return TransferabilityScore(
        float(per_image.mean()), per_image, companions, predicted=initial.argmax(dim=1), notes=left.notes
    )


def loo_log_loss(inputs: ScoreInputs) -> TransferabilityScore:
    """LEAD before any evolution: minus the leave-one-out log-loss, at most 0, higher is better."""
    return lead_head(inputs, settings=LeadHeadSettings(time=0.0))


def evolved_logits(
    features: Float[Tensor, "image feature"],
    labels: Int[Tensor, " image"],
    *,
    initial: Float[Tensor, "image target_class"],
    time: float,
) -> Float[Tensor, "image target_class"]:
    """Eq. 6 (as quoted) class by class: the kernel is the one among the images of that class."""
    targets = torch.nn.functional.one_hot(labels).to(initial.dtype)
    evolved = initial.clone()
    for target_class in range(targets.shape[1]):
        members = labels == target_class
        kernel = infinite_head_kernel(features[members])
        evolved[members] = evolve(initial[members], targets[members], kernel=kernel, time=time)
    return evolved


LEAD_HEAD = ScoreMethod(
    name="lead-head",
    function=lead_head,
    title="LEAD with the kernel of a new head, leave-one-out",
    paper="after Hu et al., LEAD, CVPR 2024, arXiv 2507.14559; departures listed in transferability/lead_head.py",
    range="(-inf, 0]",
    needs_logits=False,
    cost="one eigendecomposition of the smaller Gram matrix, one kernel per class; no seed",
    version=2,
    leaves_out=True,
)

LOO_LOG_LOSS = ScoreMethod(
    name="loo-log-loss",
    function=loo_log_loss,
    title="leave-one-out log-loss of ridge regression, negated",
    paper="Allen, The relationship between variable selection and data augmentation, Technometrics 1974 (PRESS)",
    range="(-inf, 0]",
    needs_logits=False,
    cost="one eigendecomposition of the smaller Gram matrix; no seed",
    version=2,
    leaves_out=True,
)

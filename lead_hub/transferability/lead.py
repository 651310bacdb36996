"""LEAD without leakage: how far the logits of left-out images are from their labels, a short training later.

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
from lead_hub.transferability.outliers import left_out_predictions
from lead_hub.transferability.score import ScoreMethod, TransferabilityScore
from lead_hub.transferability.score_inputs import ScoreInputs


@dataclass(frozen=True)
class LeadSettings:
    """The choices of the default LEAD.

    Attributes:
        time: how long the logits evolve where left-out predictions are perfect, in units of 1 / (largest eigenvalue
            of the class's kernel).
        sharpness: logits per unit of a ridge prediction in the softmax (an inverse temperature); None: what makes the
            left-out predictions most likely, at most 16.
    """

    time: float = 0.3
    sharpness: float | None = None


LEAD_SETTINGS = LeadSettings()
SHARPEST = 16.0  # of separable classes there is no best: the sharper, the likelier
HALVINGS = 50


def lead(inputs: ScoreInputs, *, settings: LeadSettings = LEAD_SETTINGS) -> TransferabilityScore:
    """Mean log-likelihood of the labels after the evolution: at most 0, higher is better; no seed matters.

    The plain leave-one-out log-loss (lower is better) and accuracy go with it as "loo_log_loss" and
    "loo_accuracy", to show what the evolution adds. Features that say nothing about K balanced classes get
    -log K, and a leave-one-out accuracy below 1 / K, for constant features even 0: leaving an image out makes its own
    class the rarest of those that are left, so with nothing else to go by any other is predicted. With groups, an image
    is left out together with its group.
    """
    labels = inputs.labels
    left = left_out_predictions(inputs)
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
    return lead(inputs, settings=LeadSettings(time=0.0))


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


def log_likelihoods(
    predictions: Float[Tensor, "image target_class"], labels: Int[Tensor, " image"], *, sharpness: float
) -> Float[Tensor, " image"]:
    """Log of the softmax probability of every image's own class."""
    return (sharpness * predictions).log_softmax(dim=1).gather(1, labels[:, None])[:, 0]


def fitted_sharpness(predictions: Float[Tensor, "image target_class"], labels: Int[Tensor, " image"]) -> float:
    """The sharpness in [0, 16] under which the labels are most likely (Guo et al. 2017, temperature scaling).

    The log-likelihood is concave in it, so its slope, the mean of an image's own logit minus the mean logit under the
    softmax, falls: halving finds where it crosses 0. At 0 all classes are as likely: predictions that mislead.
    """
    own = predictions.gather(1, labels[:, None])[:, 0]

    def slope(sharpness: float) -> float:
        return float((own - (predictions * (sharpness * predictions).softmax(dim=1)).sum(dim=1)).mean())

    low, high = 0.0, SHARPEST
    if slope(low) <= 0:
        return low
    if slope(high) >= 0:
        return high
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return (low + high) / 2


def accuracy(predictions: Float[Tensor, "image target_class"], labels: Int[Tensor, " image"]) -> float:
    return float((predictions.argmax(dim=1) == labels).double().mean())


LEAD = ScoreMethod(
    name="lead",
    function=lead,
    title="LEAD, leave-one-out",
    paper="after Hu et al., LEAD, CVPR 2024, arXiv 2507.14559; departures listed in transferability/lead.py",
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

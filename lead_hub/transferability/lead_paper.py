"""LEAD as its authors describe it, in-sample logits and all. Prefer `lead.py`: this one takes noise for signal.

Source: Hu, Li, Tang, Liu, Hu, Duan, "LEAD: Exploring Logit Space Evolution for Model Selection", CVPR 2024,
pp. 28664-28673, arXiv 2507.14559. No code of the authors was found, and equation numbers are as quoted by others.
What the text that was available leaves open, and what is done here:

1. The linear classifier: squared hinge loss, C = 1, as in LIBLINEAR; probabilities by a softmax over its scores.
2. The head's initialisation: weights N(0, 2 / fan in), no biases.
3. eta: 1 / (largest eigenvalue of the kernel that the method uses, which has one block per class, over all blocks).
   That is one step size per checkpoint, as in Eq. 5, half of the largest that gradient descent would survive. Raw
   eigenvalues are thousands and would send every logit to its label; divided by their sum or their mean over
   classes they would be alike for all checkpoints. This way the rate of a class lies between 0 and 1: it tells how
   evenly the gradients of its images are spread, compared with the class whose images agree most.
4. The cross-entropy takes F_t as the probabilities that it is, a mean of one-hot rows and probabilities.
5. A class with fewer than 64 images gives all that it has.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lead_hub.transferability.evolution import evolve_at_rates
from lead_hub.transferability.head_kernel import HIDDEN_WIDTHS, RandomHead, gradient_gram, mean_eigenvalue, random_head
from lead_hub.transferability.linear_svm import svm_scores
from lead_hub.transferability.score import ScoreMethod, TransferabilityScore
from lead_hub.transferability.score_inputs import ScoreInputs


@dataclass(frozen=True)
class LeadPaperSettings:
    """The numbers that the paper gives for its algorithm.

    Attributes:
        images_per_class: for the kernel of a class.
        widths: of the head's two hidden layers.
        time: how long the logits evolve, in units of 1 / (the fastest class kernel's largest eigenvalue).
    """

    images_per_class: int = 64
    widths: tuple[int, int] = HIDDEN_WIDTHS
    time: float = 1.0


LEAD_PAPER_SETTINGS = LeadPaperSettings()


def lead_paper(inputs: ScoreInputs, *, settings: LeadPaperSettings = LEAD_PAPER_SETTINGS) -> TransferabilityScore:
    """Minus the cross-entropy of the evolved probabilities, at most 0, higher is better.

    The seed draws the head and the images of the kernels. With more features than images even noise scores well.
    """
    features, labels, seed = inputs.features, inputs.labels, inputs.seed
    targets = torch.nn.functional.one_hot(labels).to(features.dtype)
    initial = svm_scores(features, labels).softmax(dim=1)
    head = random_head(features.shape[1], targets.shape[1], seed=seed, like=features, widths=settings.widths)
    samples = class_samples(labels, seed=seed, images_per_class=settings.images_per_class)
    rates = class_rates(head, [features[sample] for sample in samples])
    evolved = evolve_at_rates(initial, targets, rates=rates[labels], time=settings.time)
    per_image = evolved.gather(1, labels[:, None])[:, 0].log()
    return TransferabilityScore(float(per_image.mean()), per_image)


def class_samples(labels: Int[Tensor, " image"], *, seed: int, images_per_class: int) -> list[Int[Tensor, " _"]]:
    """Per class the first of its images in one random order of all of them, so that renamed classes keep theirs."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed)).to(labels.device)
    classes = range(int(labels.max()) + 1)
    return [order[labels[order] == target_class][:images_per_class] for target_class in classes]


def class_rates(head: RandomHead, class_features: list[Float[Tensor, "_ feature"]]) -> Float[Tensor, " target_class"]:
    """Rates eta lambda_k of Eq. 7 (as quoted): a class's mean eigenvalue over the largest one of any class."""
    means = head.first.new_tensor([mean_eigenvalue(head, rows) for rows in class_features])
    largest = max(float(torch.linalg.eigvalsh(gradient_gram(head, rows))[-1]) for rows in class_features)
    # Features of 0 have no gradient at all, and do not evolve.
    return means / largest if largest > 0 else means


LEAD_PAPER = ScoreMethod(
    name="lead-paper",
    function=lead_paper,
    title="LEAD as published (in-sample logits)",
    paper="Hu et al., LEAD, CVPR 2024, arXiv 2507.14559",
    range="(-inf, 0]",
    needs_logits=False,
    cost="a linear support vector machine per class, a head's pass over 64 images per class; depends on a seed",
)

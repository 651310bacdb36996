"""The variants of LEAD that the study compares: where the logits start, how they evolve, what becomes the score."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from lead_hub.transferability.evolution import evolve, evolve_at_rates
from lead_hub.transferability.head_kernel import infinite_head_kernel
from lead_hub.transferability.leave_one_out import (
    RELATIVE_STRENGTHS,
    explained_share,
    leave_one_out_logits,
    standardised,
)
from lead_hub.transferability.likelihoods import fitted_sharpness, log_likelihoods

FOLDS = 5


@dataclass(frozen=True)
class Features:
    """One checkpoint's features of one target's training images, and what the variants share of the work on them."""

    rows: Tensor
    labels: Tensor

    @property
    def targets(self) -> Tensor:
        return one_hot(self.labels).double()


# Initial logits: each image's prediction by a classifier that was trained without it, about 0 and 1.


def ridge(features: Features) -> Tensor:
    return leave_one_out_logits(features.rows, features.labels).logits


def ridge_each(features: Features) -> Tensor:
    return leave_one_out_logits(features.rows, features.labels, scaling="each").logits


def kernel_ridge(features: Features, *, centre: bool = True) -> Tensor:
    """The infinitely wide head trained to the end, with as much ridge as leaves images out best."""
    rows = standardised(features.rows, scaling="each") if centre else features.rows
    kernel = infinite_head_kernel(rows)
    n_images = len(kernel)
    centring = torch.eye(n_images, dtype=kernel.dtype) - 1 / n_images
    eigenvalues, vectors = torch.linalg.eigh(centring @ kernel @ centring)
    eigenvalues = eigenvalues.clamp(min=0)
    centred = features.targets - features.targets.mean(dim=0)
    cross = vectors.T @ centred
    best, chosen = float("inf"), centred
    for strength in RELATIVE_STRENGTHS:
        shrinkage = eigenvalues / (eigenvalues + strength * eigenvalues.sum() / n_images)
        left = 1 - 1 / n_images - vectors.square() @ shrinkage
        residuals = (centred - vectors @ (shrinkage[:, None] * cross)) / left[:, None]
        error = float(residuals.square().sum())
        if error < best:
            best, chosen = error, residuals
    return features.targets - chosen


def both_ridges(features: Features) -> Tensor:
    return (ridge(features) + kernel_ridge(features)) / 2


def raw_kernel_ridge(features: Features) -> Tensor:
    return kernel_ridge(features, centre=False)


def folded_logistic(features: Features) -> Tensor:
    """Out-of-fold log-probabilities of multinomial logistic regression, over 8 (they are logits already)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold

    rows = standardised(features.rows, scaling="each").numpy()
    labels = features.labels.numpy()
    predicted = torch.full(features.targets.shape, -20.0, dtype=torch.float64)
    for train, held in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(rows, labels):
        model = LogisticRegression(C=0.1, max_iter=300).fit(rows[train], labels[train])
        predicted[torch.tensor(held)[:, None], torch.tensor(model.classes_)] = torch.tensor(
            model.predict_log_proba(rows[held])
        ).clamp(min=-20)
    return predicted / 8


INITIAL = {
    "ridge": ridge,
    "ridge, unit variance": ridge_each,
    "kernel ridge": kernel_ridge,
    "kernel ridge, raw features": raw_kernel_ridge,
    "mean of ridge and kernel ridge": both_ridges,
    "5-fold logistic regression": folded_logistic,
}

# Evolutions of the initial logits.


def still(initial: Tensor, features: Features) -> Tensor:
    del features
    return initial


def by_class(initial: Tensor, features: Features, *, time: float, explained: bool = False) -> Tensor:
    """Eq. 6 class by class with the whole spectrum; time also times the explained share."""
    evolved = initial.clone()
    if explained:
        time *= explained_share(initial, features.labels)
    for number in range(features.targets.shape[1]):
        members = features.labels == number
        kernel = infinite_head_kernel(features.rows[members])
        evolved[members] = evolve(initial[members], features.targets[members], kernel=kernel, time=time)
    return evolved


def by_class_mean(initial: Tensor, features: Features, *, time: float) -> Tensor:
    """Eq. 7 with the class's mean eigenvalue over the largest of any class (unit length: it is constant)."""
    evolved = initial.clone()
    for number in range(features.targets.shape[1]):
        members = features.labels == number
        largest = torch.linalg.eigvalsh(infinite_head_kernel(features.rows[members]))[-1]
        rates = torch.full((int(members.sum()),), float(3 * members.sum() / largest), dtype=torch.float64)
        targets = features.targets[members]
        evolved[members] = evolve_at_rates(initial[members], targets, rates=rates / members.sum(), time=time)
    return evolved


def pooled(initial: Tensor, features: Features, *, time: float) -> Tensor:
    """Eq. 6 with one kernel over all images, in steps of 1 / (its largest eigenvalue)."""
    kernel = infinite_head_kernel(features.rows)
    return evolve(initial, features.targets, kernel=kernel, time=time)


def held_out(initial: Tensor, features: Features, *, time: float) -> Tensor:
    """The held-out form: an image moves with what the other images' errors teach the head, not with its own."""
    rows = standardised(features.rows, scaling="each")
    kernel = infinite_head_kernel(rows)
    others = kernel - torch.diag(kernel.diagonal())
    eigenvalues, vectors = torch.linalg.eigh(kernel)
    rate = time / float(eigenvalues[-1])
    eigenvalues = eigenvalues.clamp(min=1e-12)
    taught = vectors @ (
        ((1 - (-rate * eigenvalues).exp()) / eigenvalues)[:, None] * (vectors.T @ (features.targets - initial))
    )
    return initial + others @ taught


def cross_entropy_flow(initial: Tensor, features: Features, *, time: float, steps: int = 20) -> Tensor:
    """dF/dt = -Phi (softmax F - Y) class by class, integrated by Heun's method; F is 8 times the initial logits."""
    logits = 8 * initial
    for number in range(features.targets.shape[1]):
        members = features.labels == number
        kernel = infinite_head_kernel(features.rows[members])
        step = time / steps / float(torch.linalg.eigvalsh(kernel)[-1])
        targets, now = features.targets[members], logits[members]
        for _ in range(steps):
            slope = kernel @ (targets - now.softmax(dim=1))
            ahead = kernel @ (targets - (now + step * slope).softmax(dim=1))
            now = now + step * (slope + ahead) / 2
        logits[members] = now
    return logits / 8


EVOLUTION: dict[str, Callable[[Tensor, Features], Tensor]] = {
    "none": still,
    "class, t = 0.1": partial(by_class, time=0.1),
    "class, t = 0.3": partial(by_class, time=0.3),
    "class, t = 1": partial(by_class, time=1.0),
    "class, t = 0.1 x explained": partial(by_class, time=0.1, explained=True),
    "class, t = 0.3 x explained": partial(by_class, time=0.3, explained=True),
    "class, t = 1 x explained": partial(by_class, time=1.0, explained=True),
    "class mean, t = 0.3": partial(by_class_mean, time=0.3),
    "pooled, t = 1": partial(pooled, time=1.0),
    "pooled, t = 10": partial(pooled, time=10.0),
    "held out, t = 1": partial(held_out, time=1.0),
    "held out, t = 10": partial(held_out, time=10.0),
    "cross entropy, t = 0.3": partial(cross_entropy_flow, time=0.3),
    "cross entropy, t = 3": partial(cross_entropy_flow, time=3.0),
}

# What becomes the score, from the logits after and before the evolution.


def log_loss(evolved: Tensor, initial: Tensor, features: Features, *, sharpness: float = 8.0) -> float:
    del initial
    return float(log_likelihoods(evolved, features.labels, sharpness=sharpness).mean())


def fitted_log_loss(evolved: Tensor, initial: Tensor, features: Features, *, to_evolved: bool = False) -> float:
    """At the sharpness under which this checkpoint's left-out logits are likeliest."""
    sharpness = fitted_sharpness(evolved if to_evolved else initial, features.labels)
    return log_loss(evolved, initial, features, sharpness=sharpness)


def mean_accuracy(evolved: Tensor, initial: Tensor, features: Features) -> float:
    del initial
    return float((evolved.argmax(dim=1) == features.labels).double().mean())


def negative_brier(evolved: Tensor, initial: Tensor, features: Features) -> float:
    del initial
    return -float(((8 * evolved).softmax(dim=1) - features.targets).square().sum(dim=1).mean())


def negative_squared_error(evolved: Tensor, initial: Tensor, features: Features) -> float:
    del initial
    return -float((evolved - features.targets).square().sum(dim=1).mean())


QUANTITY: dict[str, Callable[[Tensor, Tensor, Features], float]] = {
    "log loss, sharpness fitted": fitted_log_loss,
    "log loss, fitted after evolution": partial(fitted_log_loss, to_evolved=True),
    "log loss, sharpness 4": partial(log_loss, sharpness=4.0),
    "log loss, sharpness 8": log_loss,
    "log loss, sharpness 16": partial(log_loss, sharpness=16.0),
    "accuracy": mean_accuracy,
    "Brier": negative_brier,
    "squared error": negative_squared_error,
}

FREE = {"ridge", "kernel ridge"}  # every evolution from these, none from the others

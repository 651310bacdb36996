"""Which LEAD agrees best with fine-tuning: every choice that LEAD.md leaves open, on the study half of the matrix.

    python -m tests.benchmarks.lead_study [--half study|held-out|all] [--keep FOLDER] [--output ablation.csv]

The default LEAD was chosen by what this prints for the study half; the other half was looked at afterwards, once.
"""

import argparse
import csv
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import one_hot

from lead_hub.rank_agreement import regret_at, weighted_kendall_tau
from lead_hub.transferability.evolution import evolve, evolve_at_rates
from lead_hub.transferability.head_kernel import infinite_head_kernel
from lead_hub.transferability.lead import fitted_sharpness, log_likelihoods
from lead_hub.transferability.leave_one_out import (
    RELATIVE_STRENGTHS,
    explained_share,
    leave_one_out_logits,
    standardised,
)

MATRIX = Path(__file__).parents[2] / "lead_hub" / "bench" / "matrix"
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


def scores_of(path: Path) -> dict[tuple[str, str, str, str], float]:
    """(checkpoint, initial, evolution, quantity) -> score, for one target's outputs."""
    torch.set_num_threads(1)
    tensors = load_file(path)
    labels = torch.unique(tensors.pop("labels").long(), return_inverse=True)[1]
    scores = {}
    for name, rows in tensors.items():
        if not name.endswith(".features"):
            continue
        features = Features(rows.double(), labels)
        for initial, start in INITIAL.items():
            first = start(features)
            for evolution, change in EVOLUTION.items() if initial in FREE else [("none", still)]:
                evolved = change(first, features)
                for quantity, measure in QUANTITY.items():
                    key = (name.removesuffix(".features"), initial, evolution, quantity)
                    scores[key] = measure(evolved, first, features)
    return scores


@cache
def published_accuracies(folder: Path) -> dict[tuple[str, str], float]:
    """(target, checkpoint) -> mean test accuracy in percent at the rate that is best on validation."""
    runs: dict[tuple[str, str], dict[float, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    with (folder / "finetuned_accuracy.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            pair = row["target"], row["checkpoint"]
            runs[pair][float(row["learning_rate"])].append(
                (float(row["validation_accuracy"]), float(row["test_accuracy"]))
            )
    chosen = {}
    for pair, rates in runs.items():
        best = max(sorted(rates), key=lambda rate: statistics.fmean(run[0] for run in rates[rate]))
        chosen[pair] = 100 * statistics.fmean(run[1] for run in rates[best])
    return chosen


def targets_of(folder: Path, half: str) -> list[str]:
    with (folder / "targets.csv").open(newline="") as stream:
        return [row["target"] for row in csv.DictReader(stream) if half in {"all", row["half"]}]


def all_scores(folder: Path, targets: Sequence[str], keep: Path) -> dict[str, dict[tuple[str, ...], float]]:
    """Scores of every variant by target, computed once and kept: they do not depend on the accuracies."""
    keep.mkdir(parents=True, exist_ok=True)
    todo = [target for target in targets if not (keep / f"{target}.csv").exists()]
    with ProcessPoolExecutor(2) as pool:
        found = pool.map(scores_of, [folder / "outputs" / f"{target}.safetensors" for target in todo])
        for target, scores in zip(todo, found, strict=True):
            with (keep / f"{target}.csv").open("w", newline="") as stream:
                csv.writer(stream).writerows((*key, repr(score)) for key, score in scores.items())
    by_target = {}
    for target in targets:
        with (keep / f"{target}.csv").open(newline="") as stream:
            by_target[target] = {tuple(key): float(score) for *key, score in csv.reader(stream)}
    return by_target


def table(folder: Path, half: str, keep: Path) -> list[tuple[str, str, str, float, float, float]]:
    """(initial, evolution, quantity, mean weighted tau, mean regret@1, mean regret@3), best tau first."""
    found = all_scores(folder, targets_of(folder, half), keep)
    accuracy = published_accuracies(folder)
    rows = []
    for variant in dict.fromkeys(key[1:] for scores in found.values() for key in scores):
        figures = []
        for target, scores in found.items():
            names = [key[0] for key in scores if key[1:] == variant and (target, key[0]) in accuracy]
            if len(names) < 2:  # not fine-tuned yet
                continue
            pairs = [scores[(name, *variant)] for name in names], [accuracy[target, name] for name in names]
            tau = weighted_kendall_tau(*pairs) if len(set(pairs[0])) > 1 else 0.0  # all equal says nothing
            figures.append((tau, regret_at(1, *pairs), regret_at(3, *pairs)))
        rows.append((*variant, *(statistics.fmean(column) for column in zip(*figures, strict=True))))
    return sorted(rows, key=lambda row: -row[3])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.lead_study", description=__doc__)
    parser.add_argument("--matrix", type=Path, default=MATRIX)
    parser.add_argument("--half", choices=["study", "held-out", "all"], default="study")
    parser.add_argument("--keep", type=Path, default=Path("lead_study"), help="folder for the scores of all variants")
    parser.add_argument("--output", type=Path, help="csv of all variants")
    options = parser.parse_args()
    rows = table(options.matrix, options.half, options.keep)
    header = ("initial", "evolution", "quantity", "weighted_tau", "regret_at_1", "regret_at_3")
    if options.output:
        with options.output.open("w", newline="") as stream:
            csv.writer(stream).writerows([header, *rows])
    for row in (header, *rows):
        sys.stdout.write(" | ".join(cell if isinstance(cell, str) else f"{cell:.3f}" for cell in row) + "\n")


if __name__ == "__main__":
    main()

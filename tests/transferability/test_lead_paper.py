import math

import numpy as np
import pytest
import torch
from torch import Tensor

from lead_hub.transferability import score, transferability
from lead_hub.transferability.lead_paper import LeadPaperSettings, class_samples, lead_paper
from lead_hub.transferability.score_inputs import ScoreInputs
from tests.transferability.made_features import balanced_labels, clusters, noise


def naive_svm_scores(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """One-vs-rest squared hinge, C = 1, by plain Newton steps on the full Hessian, halved until they descend."""
    rows = np.column_stack([features, np.ones(len(features))])
    columns = []
    for target_class in range(labels.max() + 1):
        signs = np.where(labels == target_class, 1.0, -1.0)
        weights = np.zeros(rows.shape[1])
        for _ in range(100):
            support = signs * (rows @ weights) < 1
            hessian = np.eye(rows.shape[1]) + 2 * rows[support].T @ rows[support]
            goal = np.linalg.solve(hessian, 2 * rows[support].T @ signs[support])
            length = 1.0
            while length > 1e-6 and hinge(rows, signs, weights + length * (goal - weights)) > hinge(
                rows, signs, weights
            ):
                length /= 2
            weights = weights + length * (goal - weights)
        columns.append(rows @ weights)
    return np.stack(columns, axis=1)


def hinge(rows: np.ndarray, signs: np.ndarray, weights: np.ndarray) -> float:
    return float(weights @ weights / 2 + np.square(np.maximum(0, 1 - signs * (rows @ weights))).sum())


def naive_lead_paper(features: Tensor, labels: Tensor, *, seed: int, widths: tuple[int, int], sample: int) -> float:
    n_images, n_features = features.shape
    n_classes = int(labels.max()) + 1
    scores = naive_svm_scores(features.numpy(), labels.numpy())
    generator = torch.Generator().manual_seed(seed)
    sizes = [n_features, *widths, n_classes]
    weights = []
    for layer in range(3):
        draws = torch.randn(sizes[layer + 1], sizes[layer], generator=generator, dtype=torch.float64)
        weights.append((draws * math.sqrt(2 / sizes[layer])).requires_grad_())
    order = torch.randperm(n_images, generator=torch.Generator().manual_seed(seed)).tolist()
    spectra = []
    for target_class in range(n_classes):
        chosen = [image for image in order if labels[image] == target_class][:sample]
        gradients = []
        for image in chosen:
            hidden = torch.relu(weights[0] @ features[image])
            logits = weights[2] @ torch.relu(weights[1] @ hidden)
            gradients.append([part.flatten() for part in torch.autograd.grad(logits.sum(), weights)])
        gram = [[sum(float(a @ b) for a, b in zip(u, v, strict=True)) for v in gradients] for u in gradients]
        spectra.append(np.linalg.eigvalsh(np.array(gram)))
    eta = 1 / max(spectrum[-1] for spectrum in spectra)
    total = 0.0
    for image in range(n_images):
        label = int(labels[image])
        powers = [math.exp(value) for value in scores[image]]
        initial = powers[label] / sum(powers)
        decay = math.exp(-eta * spectra[label].mean() * 1.0)
        total += math.log((1 - decay) * 1 + decay * initial)
    return total / n_images


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_images", "n_features", "n_classes", "widths", "sample"),
    [(24, 5, 3, (16, 24), 4), (18, 40, 2, (32, 8), 64), (12, 3, 4, (1024, 2048), 64)],
)
@pytest.mark.parametrize("seed", [0, 5])
def test_equals_the_naive_definition(n_images, n_features, n_classes, widths, sample, seed) -> None:
    labels = balanced_labels(n_images, n_classes)
    features = 2 * clusters(labels, n_features, distance=1.0)
    settings = LeadPaperSettings(images_per_class=sample, widths=widths)
    found = lead_paper(ScoreInputs(features, labels, seed=seed), settings=settings)
    expected = naive_lead_paper(features, labels, seed=seed, widths=widths, sample=sample)
    assert found.value == pytest.approx(expected, abs=1e-10)
    assert found.value == pytest.approx(float(found.per_image.mean()), abs=1e-14)


@pytest.mark.slow
def test_takes_noise_for_signal_where_lead_does_not() -> None:
    """The trap of in-sample logits: 2,048 numbers of noise separate 200 images as well as true centres do."""
    labels = balanced_labels(200, 10)
    bad, good = noise(200, 2048), clusters(labels, 2048, distance=30.0)
    true_share = {
        name: math.exp(score(bad, labels, name) - score(good, labels, name)) for name in ("lead-paper", "lead")
    }
    assert true_share["lead-paper"] > 0.8
    assert true_share["lead"] < 0.6
    # In-sample, the noise has no image on the wrong side; left out, it is right as often as chance.
    assert transferability(bad, labels).companions["loo_accuracy"] < 0.15


def test_samples_follow_the_images_when_classes_are_renamed() -> None:
    labels = torch.tensor([0, 0, 0, 1, 1, 1, 1, 2, 2])
    renamed = torch.tensor([2, 0, 1])[labels]
    before = class_samples(labels, seed=0, images_per_class=2)
    after = class_samples(renamed, seed=0, images_per_class=2)
    for old, new in enumerate((2, 0, 1)):
        assert torch.equal(before[old], after[new])
    assert [len(sample) for sample in before] == [2, 2, 2]
    assert all(bool((labels[sample] == old).all()) for old, sample in enumerate(before))


def test_the_seed_draws_the_head() -> None:
    labels = balanced_labels(40, 4)
    features = clusters(labels, 6, distance=1.5)
    values = [score(features, labels, "lead-paper", seed=seed) for seed in (0, 0, 1)]
    assert values[0] == values[1] != values[2]
    assert values[0] == pytest.approx(values[2], abs=0.1)

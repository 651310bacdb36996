"""Features whose usefulness is known, because they were made that way."""

import torch
from torch import Tensor


def balanced_labels(n_images: int, n_classes: int) -> Tensor:
    """Classes 0..K-1 in turn."""
    return torch.arange(n_images) % n_classes


def noise(n_images: int, n_features: int, *, seed: int = 0) -> Tensor:
    """Says nothing of any label."""
    return torch.randn(n_images, n_features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def clusters(labels: Tensor, n_features: int, *, spread: float, seed: int = 0) -> Tensor:
    """One random centre of length about sqrt(n_features) per class, and noise of `spread` times that around it."""
    centres = noise(int(labels.max()) + 1, n_features, seed=seed + 1000)
    return centres[labels] + spread * noise(len(labels), n_features, seed=seed)


def rotation(n_features: int, *, seed: int = 0) -> Tensor:
    """A random orthogonal matrix."""
    return torch.linalg.qr(noise(n_features, n_features, seed=seed)).Q

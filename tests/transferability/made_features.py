"""Features whose quality is known by construction, for the tests of every score."""

import torch
from torch import Tensor


def balanced_labels(n_images: int, n_classes: int) -> Tensor:
    return torch.arange(n_images) % n_classes


def noise(n_images: int, n_features: int, *, seed: int = 0) -> Tensor:
    return torch.randn(n_images, n_features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def clusters(labels: Tensor, n_features: int, *, distance: float, seed: int = 0) -> Tensor:
    """Unit noise around one random centre per class, each `distance` from the origin."""
    centres = noise(int(labels.max()) + 1, n_features, seed=seed + 1000)
    centres = distance * centres / centres.norm(dim=1, keepdim=True)
    return noise(len(labels), n_features, seed=seed) + centres[labels]


def linear_kernel(features: Tensor) -> Tensor:
    """Centred inner products of the images, of mean eigenvalue 1 unless all are the same."""
    centred = features.double() - features[:1].double()
    centred -= centred.mean(dim=0)
    kernel = centred @ centred.T
    return kernel * len(kernel) / kernel.trace() if kernel.trace() > 0 else kernel


def rotation(n_features: int) -> Tensor:
    return torch.linalg.qr(noise(n_features, n_features, seed=77))[0]

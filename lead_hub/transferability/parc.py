"""PARC: do images look alike to the checkpoint when they have the same label?

Source: Bolya, Mittapalli, Hoffman, "Scalable Diverse Model Selection for Accessible Transfer Learning", NeurIPS 2021,
arXiv 2111.06977, with their reduction of the features to 32 principal axes, each brought to unit variance.

Departures from the authors' code:

1. The reduced features of two images are correlated about 0, which is their mean over the images. Pearson's correlation
   subtracts an image's mean over its axes, and principal axes have no sign: turning one round would move the score.
2. The value is the correlation itself, not a hundred times it.
3. More than 2,000 images are represented by 2,000 drawn at random, as the number of pairs grows with their square.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lead_hub.errors import ScoreError
from lead_hub.transferability.principal_axes import leading_coordinates, principal_coordinates, varying_spectrum
from lead_hub.transferability.score import ScoreMethod, TransferabilityScore
from lead_hub.transferability.score_inputs import ScoreInputs

N_AXES = 32
MOST_IMAGES = 2000
# Closer than this to the mean of all images, in units of an axis' standard deviation, an image has no direction.
SMALLEST_LENGTH = 1e-10
# Pairs at the same distance must have the same rank, and rounding tells them apart in the last digits.
DECIMALS = 12


def parc(inputs: ScoreInputs) -> TransferabilityScore:
    """Spearman correlation, over pairs of images, of their distances by features and by labels: in [-1, 1].

    Higher is better. A distance is 1 minus the correlation of two images' reduced features, or of their one-hot labels.
    The seed matters where there are more than 2,000 images: it draws those that are used.

    Raises:
        ScoreError: all pairs have the same distance, by labels or by features, as at most 33 images do that have at
            least as many features; or the features of some image are the mean of all, which has no direction.
    """
    features, labels, seed = inputs.features, inputs.labels, inputs.seed
    chosen = _chosen_images(len(features), seed=seed).to(features.device)
    labels = labels[chosen]
    if len(chosen) == len(features):
        rows = leading_coordinates(varying_spectrum(inputs), n_axes=N_AXES)
    else:
        rows = principal_coordinates(features[chosen], n_axes=N_AXES)
    first, second = torch.triu_indices(len(labels), len(labels), offset=1, device=features.device)
    # One-hot labels have two distances, 0 and 1 + 1 / (K - 1), and Spearman's correlation sees their order alone.
    differ = (labels[first] != labels[second]).to(features.dtype)
    if bool((differ == differ[:1]).all()):
        raise ScoreError(
            f"PARC needs pairs of images with the same and with different labels, found {len(differ)} pairs of one"
            " kind: use more images"
        )
    distances = _feature_distances(rows / rows.square().mean(dim=0).sqrt())[first, second]
    ranks, differ = average_ranks(distances), differ - differ.mean()
    ranks = ranks - ranks.mean()
    correlation = ranks @ differ / (ranks.norm() * differ.norm())
    return TransferabilityScore(float(correlation.clamp(min=-1, max=1)))


def average_ranks(values: Float[Tensor, " pair"]) -> Float[Tensor, " pair"]:
    """1 for the smallest value, and for equal values the mean of the ranks that they take up."""
    _, places, counts = torch.unique(values, return_inverse=True, return_counts=True)
    last_ranks = counts.cumsum(0).to(values.dtype)
    ranks: Tensor = (last_ranks - (counts - 1) / 2)[places]
    return ranks


def _chosen_images(n_images: int, *, seed: int) -> Int[Tensor, " chosen"]:
    if n_images <= MOST_IMAGES:
        return torch.arange(n_images)
    generator = torch.Generator().manual_seed(seed)
    drawn: Tensor = torch.randperm(n_images, generator=generator)[:MOST_IMAGES]
    return drawn


def _feature_distances(rows: Float[Tensor, "image axis"]) -> Float[Tensor, "image image"]:
    """Distances of images along axes of unit variance.

    With as many axes as there can be about the mean, one fewer than images, these are the corners of a regular simplex
    whatever the features were, and rounding alone would order the distances.
    """
    n_images, n_axes = rows.shape
    if n_axes >= n_images - 1:
        raise ScoreError(
            f"PARC needs at least two images more than principal axes, found {n_images} images and {n_axes} axes, where"
            f" any two are at the same distance: use more than {N_AXES + 1} images"
        )
    lengths = rows.norm(dim=1, keepdim=True)
    n_without = int((lengths <= SMALLEST_LENGTH).sum())
    if n_without:
        raise ScoreError(
            "PARC needs images whose features differ from the mean of all,"
            f" found {n_without} of {n_images} images equal to it: leave them out"
        )
    rows = rows / lengths
    return (1 - rows @ rows.T).round(decimals=DECIMALS)


PARC = ScoreMethod(
    name="parc",
    function=parc,
    title="PARC",
    paper="Bolya et al., Scalable Diverse Model Selection, NeurIPS 2021, arXiv 2111.06977",
    range="[-1, 1]",
    needs_logits=False,
    cost="one eigendecomposition of the smaller Gram matrix, a sort of the pairs of at most 2,000 images",
)

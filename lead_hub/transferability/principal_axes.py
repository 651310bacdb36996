"""Features along their axes of largest variance, for the scores that reduce them first."""

import dataclasses

import torch
from jaxtyping import Float
from torch import Tensor

from lead_hub.errors import ScoreError
from lead_hub.transferability.leave_one_out import standardised
from lead_hub.transferability.spectrum import gram_spectrum


def varying_rows(features: Float[Tensor, "image feature"]) -> Float[Tensor, "image feature"]:
    """Features without their mean, of which the largest is 1.

    Raises:
        ScoreError: all images have the same features.
    """
    rows = standardised(features, scaling="global")
    if not bool(rows.any()):
        raise ScoreError(
            f"features must differ between images, found the same {rows.shape[1]} numbers for all {len(rows)} images"
        )
    return rows


def principal_coordinates(
    features: Float[Tensor, "image feature"], *, n_axes: int | None = None, variance_share: float = 1.0
) -> Float[Tensor, "image axis"]:
    """Centred features along their first principal axes, in a unit in which those have a mean variance of 1.

    So the small constants that papers add to variances mean the same whatever the scale of the features. Axes
    without variance are left out, and the sign of an axis is arbitrary.

    Args:
        features: of any scale and mean.
        n_axes: at most this many axes, None for no limit.
        variance_share: as few axes as hold more than this share of the total variance; 1 for all of them.

    Raises:
        ScoreError: all images have the same features.
    """
    spectrum = gram_spectrum(varying_rows(features))
    variances = spectrum.eigenvalues.flip(0)
    n_kept = int((variances > 0).sum())
    if variance_share < 1:
        shares = variances.cumsum(0) / variances.sum()
        n_kept = min(n_kept, int((shares <= variance_share).sum()) + 1)
    if n_axes is not None:
        n_kept = min(n_kept, n_axes)
    leading = torch.arange(len(variances) - 1, len(variances) - 1 - n_kept, -1, device=features.device)
    kept = dataclasses.replace(
        spectrum, eigenvalues=spectrum.eigenvalues[leading], vectors=spectrum.vectors[:, leading]
    )
    unit = (kept.eigenvalues.mean() / len(features)).sqrt()
    return kept.coordinates() / unit

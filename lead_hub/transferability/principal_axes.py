"""Features along their axes of largest variance, for the scores that reduce them first."""

import dataclasses

import torch
from jaxtyping import Float
from torch import Tensor

from lead_hub.errors import ScoreError
from lead_hub.transferability.leave_one_out import standardised
from lead_hub.transferability.score_inputs import ScoreInputs
from lead_hub.transferability.spectrum import GramSpectrum, gram_spectrum


def varying_rows(features: Float[Tensor, "image feature"]) -> Float[Tensor, "image feature"]:
    """Features without their mean, of which the largest is 1.

    Raises:
        ScoreError: all images have the same features.
    """
    rows = standardised(features, scaling="global")
    refuse_equal(rows)
    return rows


def refuse_equal(rows: Float[Tensor, "image feature"]) -> None:
    """Refuse centred features that are all 0."""
    if not bool(rows.any()):
        raise ScoreError(
            f"features must differ between images, found the same {rows.shape[1]} numbers for all {len(rows)} images"
        )


def centred_spectrum(inputs: ScoreInputs) -> GramSpectrum:
    """The one decomposition of the centred features that scores share (by `ScoreInputs.once`); zeros have one, too."""
    return gram_spectrum(standardised(inputs.features, scaling="global"))


def varying_spectrum(inputs: ScoreInputs) -> GramSpectrum:
    """The same, of features that differ.

    Raises:
        ScoreError: all images have the same features.
    """
    spectrum = inputs.once(centred_spectrum)
    refuse_equal(spectrum.rows)
    return spectrum


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
    return leading_coordinates(gram_spectrum(varying_rows(features)), n_axes=n_axes, variance_share=variance_share)


def leading_coordinates(
    spectrum: GramSpectrum, *, n_axes: int | None = None, variance_share: float = 1.0
) -> Float[Tensor, "image axis"]:
    """`principal_coordinates` of features whose decomposition is there already."""
    variances = spectrum.eigenvalues.flip(0)
    n_kept = int((variances > 0).sum())
    if variance_share < 1:
        shares = variances.cumsum(0) / variances.sum()
        n_kept = min(n_kept, int((shares <= variance_share).sum()) + 1)
    if n_axes is not None:
        n_kept = min(n_kept, n_axes)
    leading = torch.arange(len(variances) - 1, len(variances) - 1 - n_kept, -1, device=variances.device)
    kept = dataclasses.replace(
        spectrum, eigenvalues=spectrum.eigenvalues[leading], vectors=spectrum.vectors[:, leading]
    )
    unit = (kept.eigenvalues.mean() / len(spectrum.rows)).sqrt()
    return kept.coordinates() / unit

"""Features of which ridge regression would see next to nothing but one number, or one image, and what is done then.

Ridge strengths are relative to the mean squared norm of the centred rows. Ordinary features do well with that, at one
scale for all of them (README.md), but two kinds of features do not:

1. A few features vary so much more than all others that even the weakest strength on offer wipes the others out.
   Remedy: every feature is brought to the same spread.
2. An image lies so far from all others that its own left-out error decides the strength, and the strongest wins.
   Remedy: it is brought as near as the furthest ordinary image.

What is remedied is said, and counts only where left-out images are then predicted better: where one loud feature is
what tells the classes apart, it is left alone. Features of neither kind are not touched, not even in the last bit: on
none of the 560 pairs of a checkpoint and a dataset of the ground-truth matrices does either bound come within reach.
A loud direction across many features is neither: no network is known to have one.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lead_hub.transferability.leave_one_out import leave_one_out_logits
from lead_hub.transferability.principal_axes import centred_spectrum
from lead_hub.transferability.score_inputs import ScoreInputs
from lead_hub.transferability.spectrum import GramSpectrum

# A feature that varies on its own has the eigenvalue n * variance, the weakest strength is 1e-6 of the total variance:
# below 1e-4 fewer than two decades of strengths are left to choose from, and half of the features are below that.
# 0.15 is the least of the matrices.
LEAST_VISIBLE = 1e-4
# In units of the median distance from the centre; 11 is the furthest of the matrices.
FURTHEST_ORDINARY = 16.0
CENTRING_STEPS = 5
MARGIN = 1e-6  # for the rounding of the two ways to compute the same
# What is left of a constant feature by rounding, as a share of its size.
ROUNDING = 1e-13


@dataclass(frozen=True, eq=False)
class LeftOutPredictions:
    """What every image is taken for when it is left out, and by which features.

    Attributes:
        logits: one row per image; about 0 for a wrong and 1 for the right class.
        features: that the predictions were made from: those that came in, unless a note says otherwise.
        notes: what was unusual about the features and what was done about it, in words.
    """

    logits: Float[Tensor, "image target_class"]
    features: Float[Tensor, "image feature"]
    notes: tuple[str, ...] = ()


def left_out_predictions(inputs: ScoreInputs) -> LeftOutPredictions:
    """Predict every image without its group, from remedied features where those predict better.

    Several scores begin with them, so it is asked for by `ScoreInputs.once`.
    """
    spectrum = inputs.once(centred_spectrum)
    plain = leave_one_out_logits(inputs.features, inputs.labels, groups=inputs.groups, spectrum=spectrum)
    if are_ordinary(spectrum):
        return LeftOutPredictions(plain.logits, inputs.features)
    near, far_note = without_far_images(inputs.features)
    even, loud_note = without_loud_features(near)
    found = [note for note in (far_note, loud_note) if note]
    if not found:
        return LeftOutPredictions(plain.logits, inputs.features)
    remedied = leave_one_out_logits(even, inputs.labels, groups=inputs.groups)
    if remedied.squared_error < plain.squared_error:
        return LeftOutPredictions(remedied.logits, even, tuple(found))
    kept = "left-out images are predicted no better then, so the score is that of the features as they are"
    return LeftOutPredictions(plain.logits, inputs.features, (*found, kept))


def are_ordinary(spectrum: GramSpectrum) -> bool:
    """Whether the decomposition of the centred features proves already that neither kind is among them.

    Half of the images or more have a mean no further from the mean of all than one standard deviation along the axis of
    the largest variance: by so much at most differ the centre of `without_far_images` and that mean, and with it every
    distance. And features that vary by rounding alone, which `without_loud_features` does not count, can only lower the
    median spread.
    """
    squares = spectrum.rows.square()
    distances, variances = squares.sum(dim=1).sqrt(), squares.mean(dim=0)
    shift = (spectrum.eigenvalues[-1] / len(squares)).sqrt()
    none_far = distances.max() + shift <= (1 - MARGIN) * FURTHEST_ORDINARY * (distances.median() - shift)
    none_loud = len(squares) * variances.median() >= (1 + MARGIN) * LEAST_VISIBLE * variances.sum()
    return bool(none_far) and bool(none_loud)


def without_far_images(features: Float[Tensor, "image feature"]) -> tuple[Float[Tensor, "image feature"], str]:
    """The features with far images brought near, and a note; the features themselves and no note without any.

    Far: more than FURTHEST_ORDINARY times the median distance away from the centre, which is the mean of the nearer
    half of the images (found in a few steps from the median of every feature): far ones do not draw it to themselves.
    """
    centre = features.median(dim=0).values
    for _ in range(CENTRING_STEPS):
        distances = torch.linalg.vector_norm(features - centre, dim=1)
        nearer = distances <= distances.median()
        centre = features[nearer].mean(dim=0)
    distances = torch.linalg.vector_norm(features - centre, dim=1)
    median = float(distances.median())
    far = distances > FURTHEST_ORDINARY * median
    if median == 0 or not bool(far.any()):
        return features, ""
    furthest = float(distances[~far].max())
    near = features.clone()
    near[far] = centre + (features[far] - centre) * (furthest / distances[far])[:, None]
    return near, (
        f"{int(far.sum())} of {len(features)} images ({_listed(far)} of the sample) lie up to"
        f" {float(distances.max()) / median:,.0f} times as far from the others as is usual, and would decide the score"
        " alone: they count as near as the furthest of the others"
    )


def without_loud_features(features: Float[Tensor, "image feature"]) -> tuple[Float[Tensor, "image feature"], str]:
    """The features at equal spread where a few drown the others, and a note; themselves and no note otherwise."""
    centred = features - features[0]
    variances = (centred - centred.mean(dim=0)).square().mean(dim=0)
    spreads = variances.sqrt()
    varying = spreads > ROUNDING * features.abs().amax(dim=0)
    if not bool(varying.any()):
        return features, ""
    median = float(spreads[varying].median())
    if len(features) * median**2 >= LEAST_VISIBLE * float(variances.sum()):
        return features, ""
    n_loud = int((len(features) * median**2 < LEAST_VISIBLE * variances).sum())
    return features / torch.where(varying, spreads, 1.0), (
        f"{max(1, n_loud)} of {features.shape[1]} features have up to {float(spreads.max()) / median:,.0f} times the"
        " spread that is usual among them, and the score would see little else: all count at the same spread"
    )


def _listed(chosen: Bool[Tensor, " image"], *, at_most: int = 3) -> str:
    numbers = (torch.nonzero(chosen)[:, 0] + 1).tolist()
    return "number " + ", ".join(map(str, numbers[:at_most])) + (", ..." if len(numbers) > at_most else "")

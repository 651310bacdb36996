"""PED: the classes push each other apart before another score looks at the features.

Source: Li, Hu, Ge, Shan, Duan, "Exploring Model Transferability through the Lens of Potential Energy", ICCV 2023,
arXiv 2308.15074, with the constants of the authors' released code.

Every class is a ball around its mean, as wide as its images spread. Two balls that overlap repel each other as strongly
as they overlap, and move as bodies at rest do under that force in a short time, with all of their images; again, until
they hardly move any more or six times have passed.

Departures from that code:

1. Features are standardised by the mean and spread of the images that are scored. The code takes those of the ImageNet
   validation set under the same checkpoint, which a user's run does not have.
2. The spread has no lower limit of 0.001, of which the unit of the features would decide; a feature that is constant
   stays as it is.
3. Two classes with the same mean have no direction to part along and exert no force, where the code divides by 0.
"""

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lead_hub.transferability.discriminant import class_means
from lead_hub.transferability.logme import logme
from lead_hub.transferability.score import ScoreFunction, ScoreMethod, TransferabilityScore
from lead_hub.transferability.score_inputs import ScoreInputs
from lead_hub.transferability.sfda import sfda

# A ball's radius, in units of the root of the summed variances of its class. The authors use 0.3 or 0.6.
RADIUS = 0.6
TIME_STEP = 0.1
MAX_MOVES = 6
# A move no longer than this, relative to the first one, is not made and ends the motion.
LEAST_RELATIVE_MOVE = 0.5
# Of the sum of two radii: means closer than this are the same but for rounding.
DISTANCE_TOLERANCE = 1e-12


def parted_inputs(inputs: ScoreInputs) -> ScoreInputs:
    """The inputs with the features after the motion."""
    return replace(inputs, features=parted(inputs.features, inputs.labels))


def ped_sfda(inputs: ScoreInputs) -> TransferabilityScore:
    """SFDA of the features after the motion: in [0, 1], higher is better; no seed matters.

    Raises:
        ScoreError: where SFDA is undefined.
    """
    return sfda(inputs.once(parted_inputs))


def ped_logme(inputs: ScoreInputs) -> TransferabilityScore:
    """LogME of the features after the motion: any real number, higher is better; no seed matters.

    Raises:
        ScoreError: where LogME is undefined.
    """
    return logme(inputs.once(parted_inputs))


def parted(features: Float[Tensor, "image feature"], labels: Int[Tensor, " image"]) -> Float[Tensor, "image feature"]:
    """The features after the motion, in their own unit again. Only whole classes move, so no image leaves its class."""
    # Minus the first row first: features that are constant become 0 exactly and get no spread of rounding errors.
    centred = features - features[0]
    centred -= centred.mean(dim=0)
    unit = centred.abs().max()
    spread = (centred / torch.where(unit > 0, unit, 1.0)).square().mean(dim=0).sqrt() * unit
    rows = centred / torch.where(spread > 0, spread, 1.0)
    start = class_means(rows, labels)
    variances = class_means((rows - start[labels]).square(), labels)
    motion = _means_after(start, radii=RADIUS * variances.sum(dim=1).sqrt()) - start
    return features + motion[labels] * spread


def _means_after(
    means: Float[Tensor, "target_class feature"], *, radii: Float[Tensor, " target_class"]
) -> Float[Tensor, "target_class feature"]:
    first_length = 0.0
    for _ in range(MAX_MOVES):
        move = _move(means, radii=radii)
        length = float(move.abs().sum())
        first_length = first_length or length
        if length <= LEAST_RELATIVE_MOVE * first_length:
            break
        means = means + move
    return means


def _move(
    means: Float[Tensor, "target_class feature"], *, radii: Float[Tensor, " target_class"]
) -> Float[Tensor, "target_class feature"]:
    """Sum over all other classes of the unit vector away from it times force * time^2 / 2, at unit mass.

    The force is the overlap of the two balls, so no move passes the point where they only touch.
    """
    reach = radii[:, None] + radii
    distances = torch.cdist(means, means, compute_mode="donot_use_mm_for_euclid_dist")
    overlaps = (reach - distances).clamp(min=0)
    apart = distances > DISTANCE_TOLERANCE * reach
    weights = torch.where(apart, TIME_STEP**2 / 2 * overlaps / distances, 0.0)
    return weights.sum(dim=1, keepdim=True) * means - weights @ means


def _method(name: str, function: ScoreFunction, *, score: str, value_range: str) -> ScoreMethod:
    return ScoreMethod(
        name=name,
        function=function,
        title=f"{score} after PED",
        paper="Li et al., PED, ICCV 2023, arXiv 2308.15074; departures listed in transferability/ped.py",
        range=value_range,
        needs_logits=False,
        cost=f"as {score}, and up to six distance matrices between classes; no seed",
    )


PED_SFDA = _method("ped-sfda", ped_sfda, score="SFDA", value_range="[0, 1]")
PED_LOGME = _method("ped-logme", ped_logme, score="LogME", value_range="any real number")

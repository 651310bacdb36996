"""LEAD with what is known of the checkpoint elsewhere: its mean standing on other datasets, at a fixed weight.

Other datasets say something of a checkpoint that this one's images do not: how good a start it is anywhere. The study
behind it (this room's README) found the weight of 0.3, in standard deviations of the score among checkpoints, before
any of it was computed here; it is no part of LEAD, which judges by the images alone, and so it goes under its own name.
"""

import math
from dataclasses import replace

from lead_hub.errors import ScoreError
from lead_hub.transferability.lead import LEAD, lead
from lead_hub.transferability.score import ScoreMethod, TransferabilityScore
from lead_hub.transferability.score_inputs import ScoreInputs

WEIGHT = 0.3
# Standard deviation of LEAD among checkpoints as a share of log(classes), mean over the study targets of the matrix;
# tests/transferability/test_lead_prior.py computes it again.
SPREAD = 0.142
MOST_STANDING = 3.0  # what others tell of a checkpoint moves it by no more than this


def lead_prior(inputs: ScoreInputs) -> TransferabilityScore:
    """LEAD plus 0.3 standard deviations for each one that the checkpoint stands above others elsewhere.

    Where nothing is known of it elsewhere, it counts as average there, and a note says so.

    Raises:
        ScoreError: a standing that is no finite number.
    """
    found = inputs.once(lead)
    if inputs.standing is None:
        unknown = "its standing on other datasets is unknown (`lead-hub calibrate --cards` learns it): average assumed"
        return replace(found, notes=(*found.notes, unknown))
    if not math.isfinite(inputs.standing):
        raise ScoreError(f"the standing on other datasets must be a finite number, found {inputs.standing}")
    standing = min(max(inputs.standing, -MOST_STANDING), MOST_STANDING)
    shift = standing * prior_shift(int(inputs.labels.max()) + 1)
    companions = {**found.companions, "lead": found.value, "standing": standing}
    assert found.per_image is not None
    return replace(found, value=found.value + shift, per_image=found.per_image + shift, companions=companions)


def prior_shift(n_classes: int) -> float:
    """What one standard deviation above others elsewhere is worth on a dataset of so many classes, in LEAD's unit."""
    return WEIGHT * SPREAD * math.log(n_classes)


LEAD_PRIOR = ScoreMethod(
    name="lead+prior",
    function=lead_prior,
    title="LEAD over several depths, plus the checkpoint's mean standing on other datasets",
    paper="none: LEAD with a prior of 0.3 standard deviations, see transferability/lead_prior.py",
    range="(-inf, inf)",
    needs_logits=False,
    uses_kernels=LEAD.uses_kernels,
    cost="that of lead",
    version=LEAD.version,
    uses_standing=True,
    leaves_out=True,
)

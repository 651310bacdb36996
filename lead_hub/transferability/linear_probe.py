"""Accuracy of a linear classifier on the frozen features, every image predicted by one that was trained without it."""

from jaxtyping import Float, Int
from torch import Tensor

from lead_hub.transferability.discriminant import own_class
from lead_hub.transferability.outliers import left_out_predictions
from lead_hub.transferability.score import ScoreMethod, TransferabilityScore
from lead_hub.transferability.score_inputs import ScoreInputs

# Of predictions of about 0 and 1: less than this between two classes is rounding.
TIE_TOLERANCE = 1e-10


def linear_probe(inputs: ScoreInputs) -> TransferabilityScore:
    """Share of images that ridge regression gets right when they are left out: in [0, 1], higher is better; no seed.

    An image counts as right if its own class is predicted more strongly than every other one; a tie is wrong. With
    groups, an image is left out together with its group.
    """
    left = inputs.once(left_out_predictions)
    per_image = ahead(left.logits, inputs.labels, tolerance=TIE_TOLERANCE)
    return TransferabilityScore(
        float(per_image.mean()), per_image, predicted=left.logits.argmax(dim=1), notes=left.notes
    )


def ahead(
    values: Float[Tensor, "image target_class"], labels: Int[Tensor, " image"], *, tolerance: float
) -> Float[Tensor, " image"]:
    """1 where the own class's value is above every other class's by more than the tolerance, else 0.

    So a tie is never decided by which class has the smaller number.
    """
    rivals = values.scatter(1, labels[:, None], float("-inf")).amax(dim=1)
    return (own_class(values, labels) - rivals > tolerance).to(values.dtype)


LINEAR_PROBE = ScoreMethod(
    name="linear-probe",
    function=linear_probe,
    title="leave-one-out accuracy of ridge regression",
    paper="Allen, The relationship between variable selection and data augmentation, Technometrics 1974 (PRESS)",
    range="[0, 1]",
    needs_logits=False,
    cost="one eigendecomposition of the smaller Gram matrix; no seed",
    leaves_out=True,
)

"""The record that every transferability score returns: finite, or a ScoreError."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lead_hub.errors import ScoreError


@dataclass(frozen=True, eq=False)
class TransferabilityScore:
    """One checkpoint's score on one set of labelled images. Higher always predicts better fine-tuning.

    Attributes:
        value: the score itself.
        per_image: terms whose mean is `value`, in image order, or None where a score has no such terms.
        companions: figures reported beside the score, by name, e.g. the plain leave-one-out log-loss.
        predicted: the class that each image is taken for when it is left out, as the position 0..K-1 of its label
            among those that occur, or None where a score predicts no classes.
    """

    value: float
    per_image: Float[Tensor, " image"] | None = None
    companions: Mapping[str, float] = field(default_factory=dict)
    predicted: Int[Tensor, " image"] | None = None

    def __post_init__(self) -> None:
        figures = {"the score": self.value, **self.companions}
        for name, figure in figures.items():
            if not math.isfinite(figure):
                raise ScoreError(f"{name} must be a finite number, found {figure}")
        if self.per_image is not None and not bool(torch.isfinite(self.per_image).all()):
            raise ScoreError("every image's term must be finite, found NaN or infinity")

"""The record that every transferability score returns: finite, or a ScoreError."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from lead_hub.errors import ScoreError


@dataclass(frozen=True, eq=False)
class TransferabilityScore:
    """One checkpoint's score on one set of labelled images. Higher always predicts better fine-tuning.

    Attributes:
        value: the score itself.
        per_image: terms whose mean is `value`, in image order, or None where a score has no such terms.
        companions: figures reported beside the score, by name, e.g. the plain leave-one-out log-loss.
    """

    value: float
    per_image: Float[Tensor, " image"] | None = None
    companions: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        figures = {"the score": self.value, **self.companions}
        for name, figure in figures.items():
            if not math.isfinite(figure):
                raise ScoreError(f"{name} must be a finite number, found {figure}")
        if self.per_image is not None and not bool(torch.isfinite(self.per_image).all()):
            raise ScoreError("every image's term must be finite, found NaN or infinity")

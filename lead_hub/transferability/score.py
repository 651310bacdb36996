"""The record that every transferability score returns, and what the list of scores knows about each of them."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lead_hub.errors import ScoreError
from lead_hub.transferability.score_inputs import KernelName, ScoreInputs


@dataclass(frozen=True, eq=False)
class TransferabilityScore:
    """One checkpoint's score on one set of labelled images. Higher always predicts better fine-tuning.

    Attributes:
        value: the score itself.
        per_image: terms whose mean is `value`, in image order, or None where a score has no such terms.
        companions: figures reported beside the score, by name, e.g. the plain leave-one-out log-loss.
        predicted: the class that each image is taken for when it is left out, as the position 0..K-1 of its label
            among those that occur, or None where a score predicts no classes.
        notes: what was unusual about the features and what was done about it, in words; empty for ordinary ones.
    """

    value: float
    per_image: Float[Tensor, " image"] | None = None
    companions: Mapping[str, float] = field(default_factory=dict)
    predicted: Int[Tensor, " image"] | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        figures = {"the score": self.value, **self.companions}
        for name, figure in figures.items():
            if not math.isfinite(figure):
                raise ScoreError(f"{name} must be a finite number, found {figure}")
        if self.per_image is not None and not bool(torch.isfinite(self.per_image).all()):
            raise ScoreError("every image's term must be finite, found NaN or infinity")


ScoreFunction: TypeAlias = Callable[[ScoreInputs], TransferabilityScore]


@dataclass(frozen=True)
class ScoreMethod:
    """One way to score a checkpoint, and what a reader of a leaderboard must know of it.

    Attributes:
        name: what the user types, e.g. "logme".
        function: computes it from checked inputs; None for a score that is a fact.
        title: name for people.
        paper: where it was defined.
        range: the values it can take.
        version: raised whenever the same features would score differently; results of two versions never mix.
        direction: which way is better; the same for every score, so that one sort order fits all.
        needs_logits: whether it needs the outputs of the checkpoint's own trained head.
        needs_kernels: which kernels between the images it needs beside the features.
        uses_kernels: which others it takes into account where there are any.
        uses_standing: whether it takes into account how the checkpoint stands on other datasets.
        cost: what the time depends on, in words.
        fact: name of what must be known of the checkpoint, e.g. "parameters", for a score that is nothing but that
            and looks at no image; None for all others.
        leaves_out: whether every image is predicted without itself, and so without its whole group where there are
            groups; the others take copies of an image for further images.
    """

    name: str
    function: ScoreFunction | None
    title: str
    paper: str
    range: str
    needs_logits: bool
    cost: str
    version: int = 1
    direction: str = "higher is better"
    fact: str | None = None
    leaves_out: bool = False
    needs_kernels: tuple[KernelName, ...] = ()
    uses_kernels: tuple[KernelName, ...] = ()
    uses_standing: bool = False

    def __post_init__(self) -> None:
        if (self.function is None) == (self.fact is None):
            raise ValueError(f"the score {self.name} must have either a function or a fact, found both or neither")

"""How to fine-tune: what a call asks for, checked before anything is read."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from lead_hub.errors import LeadHubError
from lead_hub.finetuning.adapters import require_peft

Mode = Literal["full", "lora", "probe"]
MODES: tuple[Mode, ...] = get_args(Mode)

# The middle rate first: where a budget drops trainings, the most likely one to be right has been done.
LEARNING_RATES: dict[Mode, tuple[float, ...]] = {
    "full": (2e-4, 1e-3, 3e-5),
    "lora": (1e-3, 3e-4, 3e-3),
    "probe": (1e-2, 1e-3),
}
EPOCHS: dict[Mode, int] = {"full": 12, "lora": 12, "probe": 60}
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class FineTuningSettings:
    """What is trained, how often, and for how long.

    Attributes:
        mode: "full" trains all weights, "lora" low-rank adapters within the backbone, "probe" the new head alone.
        learning_rates: peak rates of AdamW, tried in this order.
        epochs: most passes over the training part; early stopping may end a training before.
        seeds: one training a rate and seed; a seed draws the validation part, the head and the order of the images.
        flip: whether training images are mirrored at random; not for letters, digits and the like.
    """

    mode: Mode
    learning_rates: tuple[float, ...]
    epochs: int
    seeds: tuple[int, ...]
    flip: bool = True

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise LeadHubError(f"mode must be one of {', '.join(MODES)}, found {self.mode!r}")
        _check_choices("learning_rates", self.learning_rates)
        if not all(math.isfinite(rate) and rate > 0 for rate in self.learning_rates):
            raise LeadHubError(f"learning rates must be above 0, found {list(self.learning_rates)}")
        if self.epochs < 1:
            raise LeadHubError(f"epochs must be at least 1, found {self.epochs}")
        _check_choices("seeds", self.seeds)
        if min(self.seeds) < 0:
            raise LeadHubError(f"seeds must be 0 or more, found {list(self.seeds)}")

    @property
    def trainings(self) -> tuple[tuple[float, int], ...]:
        """Learning rate and seed of every training, in the order that they are done: seed by seed."""
        return tuple((rate, seed) for seed in self.seeds for rate in self.learning_rates)


def settings_of(
    mode: str,
    *,
    learning_rates: Sequence[float | int] | None,
    epochs: int | None,
    seeds: Sequence[int] | None,
    flip: bool,
) -> FineTuningSettings:
    """The settings of a call; None means what suits the mode.

    Raises:
        LeadHubError: an unknown mode, no or doubled rates or seeds, a rate of 0 or less, fewer than one epoch, or mode
            "lora" without the peft library.
    """
    known = next((known for known in MODES if known == mode), None)
    if known is None:
        raise LeadHubError(f"mode must be one of {', '.join(MODES)}, found {mode!r}")
    if known == "lora":
        require_peft()
    return FineTuningSettings(
        mode=known,
        learning_rates=LEARNING_RATES[known] if learning_rates is None else tuple(map(float, learning_rates)),
        epochs=EPOCHS[known] if epochs is None else epochs,
        seeds=SEEDS if seeds is None else tuple(seeds),
        flip=flip,
    )


def _check_choices(name: str, values: Sequence[float | int]) -> None:
    if not values or len(set(values)) < len(values):
        raise LeadHubError(f"{name} must hold at least one value, each once, found {list(values)}")

"""How to fine-tune, and how long all of it may take: what a call asks for, checked before anything is read.

Of a budget whole trainings are left out, none is cut in the middle.
"""

import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal, get_args

from lead_hub.errors import LeadHubError
from lead_hub.finetuning.network import require_peft

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
LARGEST_SEED = 2**32 - 1  # times the number of processes, it is still one of torch's


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
        if min(self.seeds) < 0 or max(self.seeds) > LARGEST_SEED:
            raise LeadHubError(f"seeds must be from 0 to {LARGEST_SEED}, found {list(self.seeds)}")

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


SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smh]?)", re.IGNORECASE)


def parse_budget(budget: float | int | str | None) -> float | None:
    """Seconds of a number, or of words such as "90s", "30m", "1.5h"; None is no limit.

    Raises:
        LeadHubError: neither, or not above 0.
    """
    if budget is None:
        return None
    match = _DURATION.fullmatch(budget.strip()) if isinstance(budget, str) else None
    seconds = float(match[1]) * SECONDS[match[2].lower()] if match else budget
    if isinstance(seconds, (str, bool)) or not (math.isfinite(seconds) and seconds > 0):
        raise LeadHubError(f"budget must be a number of seconds above 0 or a time such as '30m', found {budget!r}")
    return float(seconds)


class Budget:
    """Seconds that are there for a series of trainings, and how long one takes as measured so far."""

    def __init__(self, limit_s: float | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit_s = limit_s
        self._clock = clock
        self._start_s = clock()
        self._durations_s: list[float] = []

    @property
    def left_s(self) -> float | None:
        """What remains, at least 0; None without a limit."""
        return None if self.limit_s is None else max(0.0, self.limit_s - (self._clock() - self._start_s))

    def took(self, duration_s: float) -> None:
        """Note how long a training took, also one that an earlier run did."""
        self._durations_s.append(duration_s)

    def allows_another(self) -> bool:
        """Whether one more training is expected to end in time; the first one always may begin."""
        left_s = self.left_s
        return left_s is None or not self._durations_s or fmean(self._durations_s) <= left_s

    def share(self, parts: int) -> float | None:
        """Seconds for the next of `parts` equal parts of what is left; never 0, so that each may begin."""
        left_s = self.left_s
        return None if left_s is None else max(left_s / parts, 1e-3)

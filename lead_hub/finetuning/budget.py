"""How long all trainings of a call may take: whole trainings are left out, none is cut in the middle."""

import math
import re
import time
from collections.abc import Callable
from statistics import fmean

from lead_hub.errors import LeadHubError

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

"""What a run may cost: minutes, gigabytes of downloads, or a share of the full run's forward passes; and who enters.

"auto" is none of the three: it becomes a time, or no budget, once the images are known (`estimate.too_long_s`). What of
the disk a run may take is no budget: nobody races for it.
"""

import re
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from lead_hub.candidates import Candidate
from lead_hub.errors import LeadHubError

SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600}
BYTES = {"MB": 10**6, "GB": 10**9, "TB": 10**12}
LEVEL_POINTS = 2.0  # ImageNet accuracies that differ by less say nothing of another dataset
LEVEL_DEVIATIONS = 0.5  # nor standings that differ by less
BYTES_PER_PARAMETER = 4
AMOUNT = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*([a-zA-Z]+|%)")
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", re.IGNORECASE)
AUTO = "auto"
AUTO_BUDGET_S = 15 * 60
# Of it, where the images took so long to read that less was left: a race that ends before its first row helps nobody.
LEAST_LEFT_S = AUTO_BUDGET_S / 2


@dataclass(frozen=True)
class RaceBudget:
    """One of three kinds; the other two are None.

    Attributes:
        text: as the user gave it.
        duration_s: seconds of the whole run, by the clock on the wall.
        download_bytes: of weights.
        passes_share: of candidates times images, above 0 to 1.
    """

    text: str
    duration_s: float | None = None
    download_bytes: int | None = None
    passes_share: float | None = None


AUTO_BUDGET = RaceBudget("15min", duration_s=AUTO_BUDGET_S)


def parse_race_budget(text: str | None) -> RaceBudget | None:
    """Read "10min", "2h", "5GB" or "20%"; None is no budget.

    Raises:
        LeadHubError: none of these, or nothing at all.
    """
    if text is None:
        return None
    match = AMOUNT.fullmatch(text.strip()) if isinstance(text, str) else None
    amount, unit = (float(match[1]), match[2]) if match else (0.0, "")
    if amount > 0 and unit.lower() in SECONDS:
        return RaceBudget(text, duration_s=amount * SECONDS[unit.lower()])
    if amount > 0 and unit.upper() in BYTES:
        return RaceBudget(text, download_bytes=int(amount * BYTES[unit.upper()]))
    if 0 < amount <= 100 and unit == "%":
        return RaceBudget(text, passes_share=amount / 100)
    raise LeadHubError(
        "budget must be a time such as '10min' or '2h', a size of downloads such as '5GB', a share of the full run's"
        f" forward passes such as '20%', or 'auto', found {text!r}"
    )


def parse_size(size: int | str | None) -> int | None:
    """Bytes of a number, or of words such as "20GB" (decimal units).

    Raises:
        LeadHubError: neither.
    """
    if size is None or (isinstance(size, int) and not isinstance(size, bool) and size > 0):
        return size
    match = SIZE.fullmatch(size.strip()) if isinstance(size, str) else None
    if match is None or float(match[1]) == 0:
        raise LeadHubError(f"max_disk must be a number of bytes above 0 or a size such as '20GB', found {size!r}")
    return int(float(match[1]) * UNITS[match[2].upper()])


class SpentBudget:
    """What has been spent of a budget since the run began; all is allowed while there is none."""

    def __init__(
        self, budget: RaceBudget | None, *, n_candidates: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._budget = budget
        self._n_candidates = n_candidates
        self._clock = clock
        self._start_s = clock()
        self._n_passes = 0

    def becomes(self, budget: RaceBudget, *, least_left_s: float = LEAST_LEFT_S) -> None:
        """There is a budget from now on; its time counts from the start, but so many seconds of it are left."""
        latest_start_s = self._clock() + least_left_s - (budget.duration_s or 0.0)
        self._budget, self._start_s = budget, max(self._start_s, latest_start_s)

    @property
    def left_s(self) -> float | None:
        """Seconds that are left of it, at least 0; None where it is none of time."""
        limit_s = self._budget.duration_s if self._budget else None
        return None if limit_s is None else max(0.0, limit_s - (self._clock() - self._start_s))

    @property
    def budget(self) -> RaceBudget | None:
        """What may be spent; None while there is no limit."""
        return self._budget

    @property
    def is_time_over(self) -> bool:
        """Whether it is one of time, and that is over."""
        return self.left_s == 0.0

    def run(self, n_images: int) -> None:
        """So many images have run through a checkpoint."""
        self._n_passes += n_images

    def n_left(self, *, n_images_of_run: int) -> int | None:
        """How many more images may run through checkpoints; None where it is none of passes."""
        share = self._budget.passes_share if self._budget else None
        return None if share is None else int(share * self._n_candidates * n_images_of_run) - self._n_passes

    def allows(self, n_images: int, *, n_images_of_run: int) -> bool:
        """Whether so many more images may run through a checkpoint."""
        n_left = self.n_left(n_images_of_run=n_images_of_run)
        return not self.is_time_over and (n_left is None or n_images <= n_left)


def within_downloads(
    candidates: Sequence[Candidate], most_bytes: int | None, *, is_here: Callable[[Candidate], bool]
) -> tuple[list[Candidate], list[Candidate]]:
    """The candidates, in their order, whose weights fit into so many bytes together, and those that are left out.

    One that does not fit makes room for smaller ones behind it. One of unknown size is left out where there is a limit,
    unless its weights are here already, which take nothing.
    """
    if most_bytes is None:
        return list(candidates), []
    taken, left_out, total = [], [], 0
    for candidate in candidates:
        size = 0 if is_here(candidate) else known_weight_bytes(candidate)
        if size is None or total + size > most_bytes:
            left_out.append(candidate)
        else:
            taken.append(candidate)
            total += size
    return taken, left_out


def by_prior(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates as a race lets them in.

    By their standing on other datasets, as score cards and this machine's own runs tell, else as average; then by
    accuracy on ImageNet, without a known one as the median of the others; on one level small ones first, then those of
    more downloads.
    """
    known = [each.imagenet_top1_percent for each in candidates if each.imagenet_top1_percent is not None]
    median = statistics.median(known) if known else 0.0

    def place(candidate: Candidate) -> tuple[float, float, float, int]:
        accuracy = candidate.imagenet_top1_percent
        level = (median if accuracy is None else accuracy) // LEVEL_POINTS
        known = [one for one in (candidate.standing, candidate.standing_here) if one is not None]
        standing = round((statistics.fmean(known) if known else 0.0) / LEVEL_DEVIATIONS)
        size = known_weight_bytes(candidate)
        return -standing, -level, float("inf") if size is None else float(size), -(candidate.downloads or 0)

    return sorted(candidates, key=place)


def known_weight_bytes(candidate: Candidate) -> int | None:
    """Size of a candidate's weights: as its folder or an index tells, else 4 bytes a parameter, else unknown.

    Of a folder whose files cannot be looked at it is unknown: what is wrong with it is said when its turn comes.
    """
    if candidate.folder is not None:
        with suppress(OSError):
            return sum(path.stat().st_size for path in candidate.folder.glob("*.safetensors")) or None
        return None
    if candidate.weight_bytes is not None:
        return candidate.weight_bytes
    return None if candidate.parameters is None else BYTES_PER_PARAMETER * candidate.parameters

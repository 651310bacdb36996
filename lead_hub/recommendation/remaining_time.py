"""How long the rest of a run takes: as estimated at first, as measured from the first finished checkpoint on."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lead_hub.candidates import Candidate
from lead_hub.recommendation.estimate import MachineSpeed, checkpoint_s, multiply_adds_of_all


@dataclass(frozen=True)
class StagesAhead:
    """What is expected of a race after its present stage.

    Attributes:
        candidates: of the present stage, as far as more images cost them something.
        n_images: that each stage ahead adds.
        going_on: share of the candidates that is expected in each of them.
        n_allowed: images that the budget lets run through checkpoints from the present turn on; None without a limit.
    """

    candidates: tuple[Candidate, ...] = ()
    n_images: tuple[int, ...] = ()
    going_on: float = 1.0
    n_allowed: int | None = None


NO_STAGES = StagesAhead()


class RemainingTime:
    """Seconds that are left of a run, the later stages of a race included.

    What is known beforehand says how long each candidate takes in comparison with the others. How long that is on this
    machine, busy as it is, the finished ones say: the estimate times what they took over what they were estimated at.
    """

    def __init__(self, speed: Callable[[], MachineSpeed], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._get_speed, self._clock = speed, clock
        self._speed: MachineSpeed | None = None  # one for the whole run: what it took is compared with it
        self._estimated_s = self._took_s = 0.0  # of finished candidates
        self._current_s = self._afterwards_s = 0.0  # as estimated
        self._start_s = 0.0

    def begins(
        self,
        candidate: Candidate,
        following: Sequence[Candidate],
        *,
        n_images: int,
        n_sharing: int = 1,
        ahead: StagesAhead = NO_STAGES,
    ) -> None:
        """A candidate has its turn, and these come after it, on as many images.

        Args:
            candidate: whose turn it is.
            following: the others that are left, in a race of its stage.
            n_images: that run through each.
            n_sharing: processes that take those that come after it.
            ahead: what is expected after them.
        """
        costs = multiply_adds_of_all((candidate, *following))
        speed = self._speed = self._speed or self._get_speed()
        self._current_s, *others = (checkpoint_s(cost, n_images=n_images, speed=speed) for cost in costs)
        later = multiply_adds_of_all(ahead.candidates)
        later_s = sum(checkpoint_s(cost, n_images=more, speed=speed) for more in ahead.n_images for cost in later)
        afterwards_s = sum(others) / n_sharing + ahead.going_on * later_s
        n_afterwards = n_images * len(following) + ahead.going_on * len(ahead.candidates) * sum(ahead.n_images)
        allowed = 1.0
        if ahead.n_allowed is not None and n_afterwards:
            allowed = min(1.0, max(0, ahead.n_allowed - n_images) / n_afterwards)
        self._afterwards_s, self._start_s = allowed * afterwards_s, self._clock()

    def ends(self, *, has_run: bool) -> None:
        """The candidate is done with; one whose images did not have to run says nothing of the machine."""
        if has_run:
            self._estimated_s += self._current_s
            self._took_s += self._clock() - self._start_s
        self._current_s = 0.0

    def left_s(self, share_done: float) -> float:
        """Seconds until the run is over.

        Args:
            share_done: of the present candidate's images, from 0 to 1.
        """
        correction = self._took_s / self._estimated_s if self._estimated_s else 1.0
        return correction * ((1 - share_done) * self._current_s + self._afterwards_s)

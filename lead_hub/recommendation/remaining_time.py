"""How long the rest of a run takes: as estimated at first, as measured from the first finished checkpoint on."""

import time
from collections.abc import Callable, Sequence

from lead_hub.candidates import Candidate
from lead_hub.recommendation.estimate import MachineSpeed, checkpoint_s, multiply_adds_of_all


class RemainingTime:
    """Seconds that are left of a run, or of a stage of a race.

    What is known beforehand says how long each candidate takes in comparison with the others. How long that is on this
    machine, busy as it is, the finished ones say: the estimate times what they took over what they were estimated at.
    """

    def __init__(self, speed: Callable[[], MachineSpeed], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._get_speed, self._clock = speed, clock
        self._speed: MachineSpeed | None = None  # one for the whole run: what it took is compared with it
        self._estimated_s = self._took_s = 0.0  # of finished candidates
        self._current_s = self._following_s = 0.0  # as estimated
        self._start_s = 0.0

    def begins(
        self, candidate: Candidate, following: Sequence[Candidate], *, n_images: int, n_sharing: int = 1
    ) -> None:
        """A candidate has its turn, and these come after it, on as many images.

        Args:
            candidate: whose turn it is.
            following: the others that are left.
            n_images: that run through each.
            n_sharing: processes that take those that come after it.
        """
        costs = multiply_adds_of_all((candidate, *following))
        speed = self._speed = self._speed or self._get_speed()
        self._current_s, *others = (checkpoint_s(cost, n_images=n_images, speed=speed) for cost in costs)
        self._following_s, self._start_s = sum(others) / n_sharing, self._clock()

    def ends(self, *, has_run: bool) -> None:
        """The candidate is done with; one whose images did not have to run says nothing of the machine."""
        if has_run:
            self._estimated_s += self._current_s
            self._took_s += self._clock() - self._start_s
        self._current_s = 0.0

    def left_s(self, share_done: float) -> float:
        """Seconds until the last candidate is done with.

        Args:
            share_done: of the present candidate's images, from 0 to 1.
        """
        correction = self._took_s / self._estimated_s if self._estimated_s else 1.0
        return correction * ((1 - share_done) * self._current_s + self._following_s)

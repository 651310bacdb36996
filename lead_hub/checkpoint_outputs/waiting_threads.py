"""How the threads of a pass on a processor wait for each other: spinning or asleep, whichever is faster at present.

At the end of each step a thread waits for the others. OpenMP lets it spin for a while, which is faster on an idle
machine. Where another program has taken the core of one of them, the rest spin in vain. They sleep at once where a
process has more of such threads than there are cores, which a further thread with helpers of its own sees to.
`python -m tests.benchmarks.preparing_speed` tells what comes of the choice, on the machine as it is at the moment.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import torch

# Whether threads spin in the first batches, of which the very first does not count: it prepares what the others use.
TRIED = (False, False, True, False, True)
FAR_SLOWER = 1.3  # times as long: not tried again
# Of the processor's time that they could have. Those that sleep while they wait do not have all on an idle machine.
LEAST_HAD = 0.75
SHARED_BY_THREADS = 1 << 20  # numbers, more than torch leaves to one thread


@dataclass(frozen=True)
class Took:
    """Seconds of a batch.

    Attributes:
        clock_s: by the clock.
        processor_s: of the processor, all threads together.
    """

    clock_s: float
    processor_s: float


def now() -> Took:
    """Seconds since some moment."""
    return Took(time.perf_counter(), time.process_time())


class Waiting:
    """What the batches of one network have shown.

    Args:
        get_now: tells the time.
    """

    def __init__(self, get_now: Callable[[], Took] = now) -> None:
        self._get_now = get_now
        self._took: list[Took] = []
        self._helped: ThreadPoolExecutor | None = None
        # Once it is known what is faster; a thread that computes alone waits for nobody.
        self.spins: bool | None = True if torch.get_num_threads() == 1 else None

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Within the block a batch is computed, its threads waiting as is to be tried, or as was faster."""
        self._let(spin=TRIED[len(self._took)] if self.spins is None else self.spins)
        start = self._get_now()
        yield
        if self.spins is None:
            end = self._get_now()
            self._took.append(Took(end.clock_s - start.clock_s, end.processor_s - start.processor_s))
            self.spins = faster(self._took, n_threads=torch.get_num_threads())

    def _let(self, *, spin: bool) -> None:
        if spin:
            self.close()
        elif self._helped is None:
            self._helped = ThreadPoolExecutor(1, "lead-hub-helped")
            self._helped.submit(lambda: torch.ones(SHARED_BY_THREADS).add_(1)).result()

    def close(self) -> None:
        """Leave no thread behind."""
        if self._helped is not None:
            self._helped.shutdown()
            self._helped = None


def faster(took: Sequence[Took], *, n_threads: int) -> bool | None:
    """Whether threads had better spin, by what the batches of TRIED took; None: not known yet."""
    tried = list(zip(TRIED, took, strict=False))[1:]
    asleep = [each for spins, each in tried if not spins]
    spinning_s = min((each.clock_s for spins, each in tried if spins), default=0.0)
    asleep_s = min((each.clock_s for each in asleep), default=0.0)
    others_compute = any(each.processor_s < LEAST_HAD * n_threads * each.clock_s for each in asleep)
    if others_compute or spinning_s > FAR_SLOWER * asleep_s:
        return False
    return spinning_s < asleep_s if len(took) == len(TRIED) else None

"""Whether a pass's threads spin or sleep: as the first batches show, by a clock of the test's own."""

import threading
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest
import torch

from lead_hub.checkpoint_outputs import Preparation, prepared_batches
from lead_hub.checkpoint_outputs.waiting_threads import Took, Waiting


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def are_made_to_sleep() -> bool:
    return any(thread.name.startswith("lead-hub-helped") for thread in threading.enumerate())


def slept(*took_s: float, cores: float = 1.8) -> tuple[list[bool], bool | None]:
    """Whether the threads slept in each batch, where batches take so long on so many cores; and what was faster."""
    now_s, found = 0.0, []
    waiting = Waiting(lambda: Took(now_s, cores * now_s))
    try:
        for each_s in took_s:
            with waiting.batch():
                found.append(are_made_to_sleep())
                now_s += each_s
    finally:
        waiting.close()
    return found, waiting.spins


def test_where_spinning_is_faster_they_spin_after_five_batches() -> None:
    # The first prepares what the others use: it takes long, and counts for nothing.
    assert slept(9.0, 1.0, 0.9, 1.0, 0.9, 5.0, 5.0) == ([True, True, False, True, False, False, False], True)


def test_where_sleeping_is_faster_they_sleep() -> None:
    assert slept(0.1, 1.0, 1.1, 1.0, 1.1, 1.0) == ([True, True, False, True, False, True], False)


def test_one_slow_batch_decides_nothing_where_the_others_agree() -> None:
    assert slept(1.0, 1.0, 1.2, 1.0, 0.9) == ([True, True, False, True, False], True)


def test_where_other_programs_have_the_cores_it_is_not_tried() -> None:
    """1.4 of two cores: three quarters are 1.5. What comes later is not looked at."""
    assert slept(1.0, 1.0, 0.5, 0.5, cores=1.4) == ([True, True, True, True], False)
    assert slept(1.0, 1.0, 0.5, 0.5, cores=1.6) == ([True, True, False, True], None)


def test_far_slower_is_tried_once() -> None:
    assert slept(1.0, 1.0, 3.0, 1.0, 1.0) == ([True, True, False, True, True], False)


def test_of_few_batches_nothing_is_concluded() -> None:
    assert slept(1.0, 1.0, 0.9) == ([True, True, False], None)


def test_no_thread_is_left_behind_whatever_happens() -> None:
    def failing() -> None:
        with closing(Waiting()) as waiting, waiting.batch():
            raise ValueError(f"failed, asleep: {are_made_to_sleep()}")

    with pytest.raises(ValueError, match="failed, asleep: True"):
        failing()
    assert not are_made_to_sleep()


def test_nothing_is_tried_where_one_thread_computes() -> None:
    torch.set_num_threads(1)
    assert slept(*[1.0] * 6) == ([False] * 6, True)


@pytest.mark.parametrize("beside", [False, True])
def test_what_is_done_with_prepared_batches_is_tried_on_a_processor(*, beside: bool) -> None:
    prepared = Preparation([np.zeros((2, 2, 3), dtype=np.uint8)] * 8, lambda some: torch.zeros(len(some), 1))
    batches = prepared_batches(prepared, range(8), 4, beside=beside)
    assert [are_made_to_sleep() for _ in batches] == [not beside] * 2
    assert not are_made_to_sleep()

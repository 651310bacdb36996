"""Which runs are shared by whole checkpoints, and in which order."""

import pytest

from lead_hub.candidates import Candidate
from lead_hub.recommendation.estimate import POSITIONS, multiply_adds_of_all
from lead_hub.recommendation.shared_run import longest_first, takes_whole


@pytest.mark.parametrize(
    ("many", "n_processes", "whole"),
    [
        ([1.0] * 4, 2, True),  # two each
        ([1.0] * 3, 2, False),  # one process would have nothing to do for a third of the time
        ([1.0] * 5, 2, True),  # 3 where an even share is 2.5
        ([1.0] * 9, 2, True),  # 5 where an even share is 4.5
        ([4.0, 1.0, 1.0, 1.0, 1.0], 2, True),  # the long one first: 4 and 4
        ([9.0, 1.0, 1.0, 1.0, 1.0], 2, False),  # 9 where an even share is 6.5
        ([1.0] * 71, 8, True),
        ([1.0] * 15, 8, False),  # fewer than two each
    ],
)
def test_whole_checkpoints_where_they_keep_all_busy(many: list[float], n_processes: int, whole: bool) -> None:
    assert takes_whole(many, n_processes) is whole


def test_the_longest_is_first_and_the_unknown_is_average() -> None:
    sizes = {"a": 1, "b": None, "c": 5, "d": 3, "e": 3}
    candidates = [Candidate(name, parameters=size) for name, size in sizes.items()]
    assert multiply_adds_of_all(candidates) == [number * POSITIONS for number in (1, 3, 5, 3, 3)]
    assert [candidate.checkpoint for candidate in longest_first(candidates)] == ["c", "b", "d", "e", "a"]

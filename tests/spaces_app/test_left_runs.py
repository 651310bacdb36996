"""Runs whose page was left: few, not for ever, and their owner's alone."""

import threading

import pytest

from spaces_app.left_runs import LONGEST_LEFT_S, MOST_LEFT, LeftRun, LeftRuns
from spaces_app.request import RunRequest
from spaces_app.runs import RunsUnderWay

FIRST, SECOND = "a" * 32, "b" * 32


class Clock:
    """The time, as the test wants it."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def run(run_id: str, owner: str) -> LeftRun:
    return LeftRun(run_id, owner, RunRequest("org/flowers"), is_of_zip=False, cancelled=threading.Event())


def test_it_is_found_by_its_owner_alone_and_until_it_is_over() -> None:
    runs, one = LeftRuns(), run(FIRST, "hub:alice")
    runs.add(one)
    assert runs.find(FIRST, owners=("hub:alice", "browser:x")) is one
    assert runs.find(FIRST, owners=("hub:bob",)) is None
    assert runs.find(SECOND, owners=("hub:alice",)) is None
    runs.end(one)
    assert runs.find(FIRST, owners=("hub:alice",)) is None


@pytest.mark.parametrize("owners", [("",), ()])
def test_what_nobody_owns_nobody_finds(owners: tuple[str, ...]) -> None:
    runs = LeftRuns()
    runs.add(run(FIRST, ""))
    assert runs.find(FIRST, owners=owners) is None


def test_another_one_of_the_same_owner_stops_the_first() -> None:
    runs, first, second = LeftRuns(), run(FIRST, "hub:alice"), run(SECOND, "hub:alice")
    runs.add(first)
    runs.add(second)
    assert (first.cancelled.is_set(), second.cancelled.is_set()) == (True, False)


def test_there_are_few_of_them_and_the_oldest_stops() -> None:
    runs = LeftRuns()
    added = [run(f"{number:032x}", f"hub:user-{number}") for number in range(MOST_LEFT + 2)]
    for one in added:
        runs.add(one)
    assert [one.cancelled.is_set() for one in added] == [True, True, *[False] * MOST_LEFT]


def test_none_goes_on_for_ever() -> None:
    clock = Clock()
    runs, one = LeftRuns(now=clock), run(FIRST, "machine")
    runs.add(one)
    clock.now_s += LONGEST_LEFT_S
    runs.tell(one, "still here")
    assert (one.status, one.cancelled.is_set()) == ("still here", False)
    clock.now_s += 1
    runs.tell(one, "too long")
    assert one.cancelled.is_set()


def test_what_has_begun_goes_on_when_its_page_is_left_and_what_waits_does_not() -> None:
    runs = RunsUnderWay()
    begun, _ = runs.announce("alice")
    waiting, _ = runs.announce("bob")
    with runs.started(begun) as cancelled:
        runs.leave("alice")
        assert not cancelled.is_set()
        assert not runs.is_shown(begun)
        assert not runs.goes_on("alice")
        assert runs.announce("carol")[1] == 2  # it still takes its turn
    runs.leave("bob")
    with runs.started(waiting) as cancelled:
        assert cancelled.is_set()

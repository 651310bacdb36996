"""A queue in a real TCPStore, each of its processes by a connection of its own."""

import gc
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from torch.distributed import TCPStore

from lead_hub import LeadHubError
from lead_hub.recommendation.work_queue import WorkQueue

Member = Callable[..., WorkQueue]


@pytest.fixture
def store() -> TCPStore:
    return TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)


def member(
    store: TCPStore, process: int, *, n_pieces: int = 3, clock: Callable[[], float] = time.monotonic
) -> WorkQueue:
    connection = TCPStore("127.0.0.1", store.port, is_master=False)
    queue = WorkQueue(connection, process_index=process, n_processes=3, lost_s=15.0, clock=clock)
    if queue.is_main:
        queue.add([f"work {piece}" for piece in range(n_pieces)])
    return queue


def test_each_piece_is_taken_once_and_in_order(store: TCPStore) -> None:
    main, second, third = (member(store, process) for process in range(3))
    assert [second.take(), third.take(), main.take()] == [0, 1, 2]
    assert [main.take(), second.take(), third.take()] == [None, None, None]


def test_what_is_larger_than_a_message_comes_whole(store: TCPStore) -> None:
    """As the answer of half a million images and more, each with its term."""
    main, second, _ = (member(store, process) for process in range(3))
    terms = np.arange(3_000_000, dtype=np.float64)  # 24 MB; of one message the store breaks the connection at 8 MiB
    assert second.take() == 0
    before = store.num_keys()
    second.answer(0, terms)
    [(piece, content)] = main.answers()
    assert piece == 0
    assert np.array_equal(content, terms)
    assert store.num_keys() == before + 1  # that it is answered


def test_the_piece_of_a_lost_process_is_taken_again_by_one(store: TCPStore) -> None:
    now = [0.0]
    main, second, third = (member(store, process, n_pieces=2, clock=lambda: now[0]) for process in range(3))
    assert [second.take(), main.take()] == [0, 1]
    main.answer(1, "one")
    assert main.take() is None  # seen for the first time now
    assert third.take() is None
    now[0] = 15.0
    assert main.take() is None
    now[0] = 15.1
    assert third.take() == 0
    assert main.take() is None  # it is the third one's now, which has just been seen
    assert [main.n_takers(0), main.n_takers(1)] == [2, 1]


def test_a_process_that_beats_keeps_its_piece(store: TCPStore) -> None:
    now = [0.0]
    main, second, _ = (member(store, process, n_pieces=1, clock=lambda: now[0]) for process in range(3))
    assert second.take() == 0
    assert main.take() is None
    with second.running():
        # Until the beat that `running` starts with, by the real clock.
        deadline = time.monotonic() + 60
        while store.add("beat 1", 0) == 0:
            assert time.monotonic() < deadline
        now[0] = 16.0
        assert main.take() is None
    now[0] = 20.0
    assert main.take() is None
    now[0] = 40.0
    assert main.take() == 0


def test_a_piece_is_not_lost_whose_taker_died_before_it_said_so(store: TCPStore) -> None:
    main = member(store, 0, n_pieces=2)
    store.add("taken", 1)
    assert main.take() == 1
    assert main.take() == 0


def test_further_pieces_are_taken_by_whoever_found_none_before(store: TCPStore) -> None:
    main, second, third = (member(store, process, n_pieces=2) for process in range(3))
    assert [second.take(), third.take(), main.take(), second.take()] == [0, 1, None, None]
    assert second.works() == ["work 0", "work 1"]
    second.answer(0, "done")
    third.answer(1, "done")
    assert main.add(["more", "and more"]) == 2
    assert [main.take(), third.take(), second.take()] == [2, 3, None]
    assert second.works() == ["work 0", "work 1", "more", "and more"]
    assert main.add([]) == 4
    assert third.take() is None


def test_a_piece_that_was_counted_before_it_was_there_is_taken(store: TCPStore) -> None:
    """Three processes that count at the same moment, where one piece is left."""
    main, second, _ = (member(store, process, n_pieces=1) for process in range(3))
    assert second.take() == 0
    store.add("taken", 2)
    second.answer(0, "done")
    main.add(["b", "c", "d"])
    assert [main.take(), second.take(), main.take(), second.take()] == [1, 2, 3, None]


def test_the_first_answer_counts(store: TCPStore) -> None:
    main, second, third = (member(store, process) for process in range(3))
    third.answer(0, "by the third")
    assert list(main.answers()) == [(0, "by the third")]
    second.answer(0, "by the second, which had been taken for lost")
    second.answer(1, ["anything", 1.5])
    main.answer(2, None)
    assert list(main.answers()) == [(2, None), (1, ["anything", 1.5])]
    assert list(main.answers()) == []


def test_what_was_answered_by_one_that_died_before_it_said_so_is_not_taken_again(store: TCPStore) -> None:
    now = [0.0]
    main, second, third = (member(store, process, n_pieces=1, clock=lambda: now[0]) for process in range(3))
    assert second.take() == 0
    assert (main.take(), third.take()) == (None, None)  # seen for the first time now
    second.answer(0, "done")
    store.delete_key("answered 0")
    assert list(main.answers()) == [(0, "done")]
    now[0] = 100.0
    assert (main.take(), third.take()) == (None, None)


def test_nothing_that_is_answered_is_taken_again(store: TCPStore) -> None:
    now = [0.0]
    main, second = (member(store, process, n_pieces=1, clock=lambda: now[0]) for process in range(2))
    assert second.take() == 0
    assert main.take() is None
    second.answer(0, "done")
    now[0] = 100.0
    assert main.take() is None
    assert list(main.answers()) == [(0, "done")]


@pytest.mark.slow
def test_all_hear_that_it_is_over_and_what_came_of_it(store: TCPStore) -> None:
    main, second, third = (member(store, process) for process in range(3))
    heard: list[object] = []

    def follow(one: WorkQueue) -> None:
        with one.running():
            while not one.is_over():
                time.sleep(0.01)
            heard.append(one.last())

    others = [threading.Thread(target=follow, args=(one,)) for one in (second, third)]
    for other in others:
        other.start()
    with main.running():
        assert not main.is_over()
        main.over("the board")
        assert main.is_over()
    for other in others:
        other.join()
    assert heard == ["the board", "the board"]


def test_one_that_stops_stops_all(store: TCPStore) -> None:
    main, second = (member(store, process) for process in range(2))
    with main.running():
        second.stop()
        deadline = time.monotonic() + 60
        while not main.is_over():
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.mark.slow
def test_the_others_end_without_the_main_process() -> None:
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    second = member(store, 1)
    with second.running():
        assert not second.is_over()
        del store
        gc.collect()
        deadline = time.monotonic() + 60
        while not second.is_over():
            assert time.monotonic() < deadline
            time.sleep(0.01)
    with pytest.raises(LeadHubError, match="the main process of the run must live until its end, it is gone"):
        second.last()

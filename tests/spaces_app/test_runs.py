"""Runs as visitors meet them: followed, cancelled before or after their turn, each in its own place on the disk."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import gradio as gr
import pytest

from spaces_app.programs import answers_of
from spaces_app.request import MOST_IMAGES, RunRequest
from spaces_app.runs import Images, RunState, RunsUnderWay, followed_run
from spaces_app.status import state_html
from spaces_app.visitors import Deployment, Visitor
from spaces_app.zero_gpu import (
    ENDING_S,
    LONGEST_S,
    SHORTEST_S,
    as_carried_out,
    computing_device,
    follow_here,
    lent,
    on_borrowed_gpu,
    on_lent_gpu,
    seconds_to_borrow,
    seconds_to_lend,
    within_loan,
)

SHARED = Deployment(is_shared=True, has_sign_in=True)
NOBODY = Visitor(token=False)


@pytest.fixture(autouse=True)
def own_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Whatever a run keeps is below this folder."""
    monkeypatch.setenv("HF_ASSETS_CACHE", str(tmp_path / "assets"))
    monkeypatch.setattr("huggingface_hub.constants.HF_ASSETS_CACHE", str(tmp_path / "assets"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    return tmp_path


def demo(score: str = "logme", target: str = "scripts") -> RunRequest:
    return RunRequest(f"demo:{target}", source="demo", score=score, max_images=60)


def ended(states: Iterator[RunState]) -> RunState:
    *_, last = states
    return last


@pytest.mark.slow
def test_rows_come_one_by_one_and_the_last_moment_has_them_all() -> None:
    states = list(followed_run(demo(), NOBODY, deployment=SHARED, cancelled=threading.Event()))
    n_rows = [len(state.board.rows) for state in states if state.board]
    assert n_rows == sorted(n_rows)
    assert n_rows[-1] == 14
    assert len(set(n_rows)) > 3
    assert [state.outcome for state in states[:-1]] == ["running"] * (len(states) - 1)
    assert states[-1].outcome == "finished"


@pytest.mark.slow
def test_a_run_is_a_race_where_the_full_run_takes_long(
    colour_folder: Path, tiny_pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [{"id": str(folder), "multiply_adds": 10**18} for folder in sorted(tiny_pool.iterdir())]
    (tmp_path / "index.json").write_text(json.dumps({"schema_version": 1, "candidates": entries}))
    monkeypatch.setenv("LEAD_HUB_MODEL_INDEX", str(tmp_path / "index.json"))
    question = RunRequest(str(colour_folder))
    budgets = {}
    for budget in ("auto", "none", "1h"):
        asked = replace(question, budget=budget)
        last = ended(followed_run(asked, NOBODY, deployment=Deployment(), cancelled=threading.Event()))
        assert last.board is not None
        assert last.outcome == "finished"
        budgets[budget] = last.board.settings.get("budget")
    assert budgets == {"auto": "15min", "none": None, "1h": "1h"}


@pytest.mark.slow
def test_a_run_stops_when_it_is_cancelled_and_keeps_its_rows() -> None:
    cancelled = threading.Event()
    for state in followed_run(demo(), NOBODY, deployment=SHARED, cancelled=cancelled):
        if state.board and state.board.rows:
            cancelled.set()
    assert state.outcome == "cancelled"
    assert state.board is not None
    assert 1 <= len(state.board.rows) < 14


@pytest.mark.slow
def test_a_cancel_after_the_last_row_takes_nothing_from_it() -> None:
    cancelled = threading.Event()
    for state in followed_run(demo(), NOBODY, deployment=SHARED, cancelled=cancelled):
        if state.board and state.board.is_complete:
            cancelled.set()
    assert state.outcome == "finished"


@pytest.mark.slow
def test_a_race_that_is_cancelled_is_not_finished_though_every_checkpoint_has_a_row() -> None:
    cancelled = threading.Event()
    question = replace(demo(score="lead"), budget="1h")
    for state in followed_run(question, NOBODY, deployment=SHARED, cancelled=cancelled):
        if state.board and state.board.is_complete:  # as after the first stage
            cancelled.set()
    assert state.board is not None
    assert state.board.is_complete
    assert state.outcome == "cancelled"


@pytest.mark.slow
@pytest.mark.parametrize("has_own_images", [False, True])
def test_a_cancelled_run_says_whether_the_next_one_goes_on_from_it(
    colour_folder: Path, *, has_own_images: bool
) -> None:
    cancelled = threading.Event()
    cancelled.set()
    images = Images(colour_folder, "colours of alice") if has_own_images else None
    last = ended(followed_run(demo(), NOBODY, deployment=SHARED, cancelled=cancelled, images=images))
    assert (last.outcome, last.stays) == ("cancelled", not has_own_images)
    assert ("goes on from here" in state_html(last, SHARED)) is not has_own_images
    assert ("is not kept here" in state_html(last, SHARED)) is has_own_images


@pytest.mark.slow
def test_closing_the_iterator_stops_the_run() -> None:
    cancelled = threading.Event()
    states = followed_run(demo(), NOBODY, deployment=SHARED, cancelled=cancelled)
    next(states)
    next(states)
    states.close()  # type: ignore[attr-defined]
    assert cancelled.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("lead-hub-run")]


def test_an_error_is_the_last_moment_in_words() -> None:
    state = ended(followed_run(RunRequest("/etc"), NOBODY, deployment=SHARED, cancelled=threading.Event()))
    assert state.outcome == "failed"
    assert "by its id on the Hub" in str(state.error)


@pytest.mark.slow
def test_images_that_a_visitor_brought_leave_nothing_behind(own_caches: Path, colour_folder: Path) -> None:
    request = RunRequest("", source="demo", score="logme")
    images = Images(colour_folder, "colours of alice")
    state = ended(followed_run(request, NOBODY, deployment=SHARED, cancelled=threading.Event(), images=images))
    assert state.outcome == "finished"
    assert state.board is not None
    assert state.board.dataset.is_private
    assert not list((own_caches / "tmp").iterdir())
    kept = [path for path in own_caches.rglob("*") if path.is_file() and colour_folder not in path.parents]
    assert [path for path in kept if "outputs" in path.parts] == []


def test_a_ticket_is_for_one_run_and_the_last_of_a_session() -> None:
    runs = RunsUnderWay()
    first, _ = runs.announce("alice")
    other, others = runs.announce("bob")
    assert others == 1
    second, others = runs.announce("alice")
    assert others == 1
    with runs.started(first) as cancelled, runs.started(second) as cancelled_second, runs.started(other) as of_bob:
        assert cancelled.is_set()
        assert not cancelled_second.is_set()
        assert runs.cancel("alice")
        assert cancelled_second.is_set()
        assert not of_bob.is_set()
    assert not runs.cancel("alice")


def test_a_run_that_was_cancelled_or_left_before_its_turn_never_begins() -> None:
    runs = RunsUnderWay()
    waiting, _ = runs.announce("alice")
    assert not runs.cancel("alice")
    with runs.started(waiting) as cancelled:
        assert cancelled.is_set()
    left, _ = runs.announce("bob")
    runs.forget("bob")
    assert runs.announce("carol")[1] == 0
    with runs.started(left) as cancelled:
        assert cancelled.is_set()


def test_only_the_last_run_of_a_page_is_shown() -> None:
    runs = RunsUnderWay()
    first, _ = runs.announce("alice")
    with runs.started(first) as cancelled:
        assert runs.is_shown(first)
        second, others = runs.announce("alice")
        assert others == 0
        assert cancelled.is_set()
        assert not runs.is_shown(first)
        assert runs.is_shown(second)
        assert runs.goes_on("alice")
        assert not runs.cancel("alice")  # it has not begun, though the first has not ended yet
        assert not runs.goes_on("alice")
    third, _ = runs.announce("alice")
    with runs.started(third):
        assert runs.cancel("alice")
        assert runs.is_shown(third)  # its end
        assert not runs.goes_on("alice")
        runs.forget("alice")
        assert not runs.is_shown(third)


def test_a_ticket_begins_one_run() -> None:
    """Also where two presses in a row read the same one."""
    runs = RunsUnderWay()
    ticket, _ = runs.announce("alice")
    with runs.started(ticket) as cancelled:
        with runs.started(ticket) as again:
            assert again.is_set()
        assert not cancelled.is_set()
        assert runs.is_shown(ticket)
    assert not runs.is_shown(ticket)


def test_a_cancelled_run_ends_at_once() -> None:
    cancelled = threading.Event()
    cancelled.set()
    state = ended(followed_run(demo(), NOBODY, deployment=SHARED, cancelled=cancelled))
    assert (state.outcome, state.board) == ("cancelled", None)


def test_a_gpu_is_borrowed_for_as_long_as_a_run_may_take() -> None:
    assert [seconds_to_borrow(estimated_s) for estimated_s in (0.1, 45.0, 46.0, 134.6, 135.0, 1e6)] == [
        *(120, 120, 122, 299, 300, 300)
    ]
    assert seconds_to_borrow(None) == LONGEST_S
    # What a run is estimated to take depends on how fast this machine prepares images, just now.
    assert SHORTEST_S <= seconds_to_lend(demo()) <= LONGEST_S
    large = RunRequest("org/birds", max_images=MOST_IMAGES)
    assert seconds_to_lend(large) == LONGEST_S
    # Where a race may be, it is borrowed for no longer than that; where none may be, for the full run.
    assert seconds_to_lend(replace(large, budget="50s")) == 130
    assert seconds_to_lend(replace(large, score="knn")) == LONGEST_S


@pytest.mark.parametrize(
    ("question", "budget"),
    [
        (RunRequest("org/birds", max_images=MOST_IMAGES), "240s"),  # by default, and long
        (RunRequest("org/birds", max_images=MOST_IMAGES, score="knn"), "auto"),  # cannot race
        (RunRequest("org/birds", max_images=MOST_IMAGES, budget="none"), "none"),  # shall not race
        (RunRequest("org/birds", budget="15min"), "240s"),
        (RunRequest("org/birds", budget="241s"), "240s"),
        (RunRequest("org/birds", budget="240s"), "240s"),
        (RunRequest("org/birds", budget="20%"), "20%"),
        (RunRequest("org/birds", budget="5GB"), "5GB"),
        (replace(demo(), score="lead", max_images=4), "auto"),  # by default, and short
    ],
)
def test_a_race_on_a_lent_gpu_ends_before_the_loan(question: RunRequest, budget: str) -> None:
    """A loan is of 300 seconds at the most: 30 of them are to end the run in, 30 for what comes before the race."""
    assert within_loan(question) == replace(question, budget=budget)
    assert as_carried_out(question) == question  # there is no ZeroGPU here
    assert computing_device() == "auto"


@pytest.mark.slow
def test_where_a_loan_ends_first_the_board_so_far_is_shown() -> None:
    last = ended(on_borrowed_gpu(demo(), NOBODY, SHARED, None, ENDING_S))  # no second of it is left to run in
    assert (last.outcome, last.loan_s) == ("cancelled", 30)
    assert "The GPU was lent for 30 seconds and went back, with 0 checkpoints ranked." in state_html(last, SHARED)
    whole = ended(on_borrowed_gpu(demo(), NOBODY, SHARED, None, 10**6))
    assert (whole.outcome, whole.loan_s) == ("finished", None)
    assert "Finished: 14 checkpoints ranked" in state_html(whole, SHARED)


def test_a_program_is_told_where_a_loan_ended_before_the_first_row() -> None:
    shown: list[RunState] = []
    states = on_borrowed_gpu(demo(), NOBODY, SHARED, None, ENDING_S)
    with pytest.raises(gr.Error, match="within the 30 seconds that a GPU was lent for, and were not: ask for fewer"):
        list(answers_of(states, demo(), SHARED, full_board=False, show=shown.append))
    assert shown[-1].outcome == "cancelled"


@pytest.mark.slow
def test_on_zero_gpu_a_run_is_the_same() -> None:
    pytest.importorskip("spaces")
    assert follow_here() is followed_run  # there is no ZeroGPU here, so runs are carried out as anywhere
    assert lent() is not None
    assert ended(on_lent_gpu(demo(), NOBODY, deployment=SHARED, cancelled=threading.Event())).outcome == "finished"

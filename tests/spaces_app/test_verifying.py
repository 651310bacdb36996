"""Fine-tuning from the page: on one's own machine alone, with progress, by keyboard, stopped, and what came of it."""

import re
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lead_hub.demo import pool, target_folder
from lead_hub.errors import DatasetError
from lead_hub.leaderboard import FineTunedAccuracy, Leaderboard
from lead_hub.verification import VerificationProgress
from spaces_app.example import example_board
from spaces_app.request import RunRequest
from spaces_app.shown import Shown
from spaces_app.verification_runs import (
    VerificationChoices,
    VerificationState,
    board_to_verify,
    followed_verification,
    with_outcomes,
)
from spaces_app.verifying import VerificationsUnderWay, outcome_html, progress_html
from tests.leaderboard.made_boards import FAIR, GOOD, board_of, text_of
from tests.spaces_app.served import ServedSpace

pytest.importorskip("playwright", reason="no playwright: pip install lead-hub[test]")
from playwright.sync_api import expect

from tests.spaces_app import visiting
from tests.spaces_app.test_page import focus_by_tab
from tests.spaces_app.visiting import RUN_MS, Window

CHOICES = VerificationChoices(1, "probe", "10m", flip=True)
OUTCOME = FineTunedAccuracy("full", 0.8, None, 0.8, 1e-3, 1, 1, 0, 80, 20, 30, "split 'test'", 9.0, "cpu")
BOARD = board_of(GOOD, FAIR)
SHOWN = Shown(RunRequest("org/flowers"), BOARD)


def test_what_comes_with_lead_hub_goes_by_its_place_again() -> None:
    shown = Shown(RunRequest("demo:photographs", source="demo"), example_board())
    board = board_to_verify(shown)
    assert board.dataset.dataset == str(target_folder("photographs"))
    assert {row.checkpoint for row in board.rows} == {one.checkpoint for one in pool("photographs")}
    assert board_to_verify(SHOWN) is BOARD
    with pytest.raises(DatasetError, match="unpack it, and rank on the folder"):
        board_to_verify(replace(SHOWN, brought="flags"))


def test_outcomes_come_under_the_names_that_the_visitor_knows() -> None:
    rows = [replace(row, checkpoint=f"/elsewhere/{row.checkpoint}", finetuned=OUTCOME) for row in BOARD.rows]
    found = with_outcomes(SHOWN, replace(BOARD, rows=tuple(rows)))
    assert [row.checkpoint for row in found.board.rows] == [row.checkpoint for row in BOARD.rows]
    assert [row.finetuned for row in found.board.rows] == [OUTCOME, OUTCOME]
    assert outcome_html(SHOWN, mode="full") == ""
    assert "Of 2 fine-tuned checkpoints" in text_of(outcome_html(found, mode="full"))
    assert "fine-tuned checkpoints:" not in text_of(outcome_html(found, mode="probe"))


def test_how_far_it_is() -> None:
    begun = VerificationState("running", SHOWN)
    assert "Reading the images" in text_of(progress_html(begun, mode="full"))
    at = VerificationProgress("org/good", 2, 4, n_epochs=9, total_epochs=36)
    training = replace(begun, progress=at)
    assert training.share_done == (1 + 1 / 4) / 4
    assert "Fine-tuning 2 of 4: good, epoch 9 of at most 36" in text_of(progress_html(training, mode="full"))
    stopped = text_of(progress_html(replace(training, outcome="cancelled"), mode="full"))
    assert "Stopped with 0 checkpoints fine-tuned. Finished trainings are kept" in stopped
    failed = replace(begun, outcome="failed", error=DatasetError("the images must be here, found <none>"))
    assert "Fine-tuning stopped: the images must be here, found <none>." in text_of(progress_html(failed, mode="full"))
    noted = replace(GOOD, note="from cache; fine-tuning failed at load: broken")
    over = VerificationState("finished", replace(SHOWN, board=board_of(noted)))
    assert "0 checkpoints fine-tuned; fine-tuning failed at load: broken" in text_of(progress_html(over, mode="full"))


def test_it_ends_with_its_outcome_in_words() -> None:
    missing = replace(BOARD, dataset=replace(BOARD.dataset, dataset="/no/such-folder", is_local=True))
    *_, last = followed_verification(replace(SHOWN, board=missing), CHOICES, cancelled=threading.Event())
    assert (last.outcome, "must be here" in str(last.error) or "must say" in str(last.error)) == ("failed", True)


def test_another_one_of_the_same_page_stops_the_first() -> None:
    under_way = VerificationsUnderWay()
    assert not under_way.stop("a")
    with under_way.started("a") as first:
        with under_way.started("b") as other, under_way.started("a") as second:
            assert (first.is_set(), second.is_set(), other.is_set()) == (True, False, False)
            assert under_way.stop("a")
            assert (second.is_set(), other.is_set()) == (True, False)
        assert not under_way.stop("a")


def test_the_outcome_stands_beside_the_prediction(
    laptop: ServedSpace, visit: Callable[..., Window], tmp_path: Path
) -> None:
    page = visit(laptop.url).page
    page.get_by_role("button", name="Photographs").click()
    expect(visiting.status(page)).to_contain_text("Finished", timeout=RUN_MS)
    names = visiting.column(page, "checkpoint")
    page.get_by_role("button", name="Fine-tune the first ones and compare").click()
    page.get_by_label("a linear head alone, quick").check()
    page.locator("#verify-top input[type=number]").fill("2")
    page.locator("#verify-top input[type=number]").blur()
    focus_by_tab(page, "Fine-tune them here")
    page.keyboard.press("Enter")
    progress, outcome = page.locator("#verify-progress"), page.locator("#verify-outcome")
    expect(progress).to_contain_text(re.compile(r"Reading the images|Fine-tuning \d of 2|Done"))
    expect(progress).to_contain_text("Done: 2 checkpoints fine-tuned", timeout=RUN_MS)
    expect(outcome.locator("tbody th")).to_have_text([f"1. {names[0]}", f"2. {names[1]}"])
    expect(outcome).to_contain_text("Of 2 fine-tuned checkpoints")
    expect(page.get_by_role("button", name="Stop", exact=True)).to_have_count(0)
    assert visiting.overflow_px(page) <= 0
    with page.expect_download() as download:
        page.get_by_role("button", name="Download JSON").click()
    download.value.save_as(tmp_path / "board.json")
    board = Leaderboard.load(tmp_path / "board.json")
    assert [row.finetuned is not None and row.finetuned.mode for row in board.rows[:3]] == ["probe", "probe", False]
    page.reload()
    expect(visiting.status(page)).to_contain_text("Found again", timeout=RUN_MS)
    page.get_by_role("button", name="Fine-tune the first ones and compare").click()
    expect(outcome.locator("tbody th")).to_have_text([f"1. {names[0]}", f"2. {names[1]}"])
    expect(outcome).to_contain_text("Of 2 fine-tuned checkpoints")


def test_it_can_be_stopped(laptop: ServedSpace, visit: Callable[..., Window]) -> None:
    page = visit(laptop.url).page
    page.get_by_role("button", name="Photographs").click()
    expect(visiting.status(page)).to_contain_text("Finished", timeout=RUN_MS)
    page.get_by_role("button", name="Fine-tune the first ones and compare").click()
    page.get_by_role("button", name="Fine-tune them here").click()
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator("#verify-progress")).to_contain_text("Stopped with 0 checkpoints", timeout=RUN_MS)
    expect(page.get_by_role("button", name="Fine-tune them here")).to_be_enabled()


@pytest.mark.usefixtures("seeded")
def test_a_machine_of_many_offers_none_of_it(space: ServedSpace, visit: Callable[..., Window]) -> None:
    page = visit(space.url).page
    page.get_by_role("button", name="Photographs").click()
    expect(visiting.status(page)).to_contain_text("Finished", timeout=RUN_MS)
    expect(page.get_by_role("button", name="Compare with the second")).to_be_visible()
    expect(page.get_by_text("Fine-tune the first ones and compare")).to_have_count(0)
    expect(page.locator("#verify-begin")).to_have_count(0)

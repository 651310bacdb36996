"""Two checkpoints side by side, from the verdict's button, by keyboard, with the images that only one gets right."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from lead_hub.recommendation import PredictedClasses, RunPictures
from spaces_app.comparing import compared_html
from spaces_app.request import RunRequest
from spaces_app.shown import Shown
from tests.leaderboard.made_boards import FAIR, GOOD, HOSTILE, board_of, parsed, text_of
from tests.spaces_app.served import ServedSpace

pytest.importorskip("playwright", reason="no playwright: pip install lead-hub[test]")
from playwright.sync_api import Browser, Page, expect

from tests.spaces_app import visiting
from tests.spaces_app.test_page import focus_by_tab
from tests.spaces_app.visiting import RUN_MS, Window

LABELS = np.array([0, 0, 1, 1])


def predictions(sha: str, predicted: list[int]) -> PredictedClasses:
    given = np.array(predicted)
    jpegs = dict.fromkeys(np.flatnonzero(given != LABELS).tolist(), b"x")
    return PredictedClasses(sha, ("rose", "tulip"), np.arange(4), LABELS, given, jpegs)


def seen(*, first: list[int], second: list[int]) -> Shown:
    board = board_of(replace(GOOD, sha="1" * 40), replace(FAIR, sha="2" * 40))
    left_out = {"1" * 40: predictions("1" * 40, first), "2" * 40: predictions("2" * 40, second)}
    return Shown(RunRequest("org/flowers"), board, pictures=RunPictures(None, left_out))


def test_where_two_disagree_is_shown_to_whoever_ranked() -> None:
    # The first is wrong on the second image, the second on the third and the fourth.
    shown = seen(first=[0, 1, 1, 1], second=[0, 0, 0, 0])
    text = text_of(compared_html(shown, 0, 1))
    assert "of 4 images, each left out, both get 1 right; 2 only org/good; 1 only org/fair@v1; 0 neither." in text
    assert len(list(parsed(compared_html(shown, 0, 1)).iter("img"))) == 3
    assert re.search("Wrong by org/fair@v1 alone:.*tulip.*taken for rose.*Wrong by org/good alone:", text)
    found_again = Shown(shown.question, shown.board)
    assert "Where they disagree" not in compared_html(found_again, 0, 1)
    assert "Choose two" in compared_html(found_again, 0, None)
    assert "Choose two" in compared_html(None, 0, 1)
    assert "different" in compared_html(shown, 1, 1)


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_text(name: str) -> None:
    board = board_of(replace(GOOD, checkpoint=name, sha="1" * 40), replace(FAIR, sha="2" * 40))
    shown = replace(seen(first=[1, 0, 1, 1], second=[0, 0, 0, 1]), board=board)
    tags = {element.tag for element in parsed(compared_html(shown, 0, 1)).iter()}
    assert not tags & {"script", "iframe", "object", "b1"}
    assert all("onerror" not in element.attrib for element in parsed(compared_html(shown, 0, 1)).iter())


@pytest.fixture(scope="module")
def finished(browser: Browser, laptop: ServedSpace) -> Iterator[Page]:
    """The page after "Try it"."""
    window = visiting.open_window(browser)
    window.page.goto(laptop.url)
    expect(visiting.status(window.page)).to_contain_text("Nothing ranked yet")
    window.page.get_by_role("button", name="Writing systems").click()
    expect(visiting.status(window.page)).to_contain_text("Finished", timeout=RUN_MS)
    yield window.page
    window.page.context.close()
    assert window.troubles == []


def test_the_first_against_the_second_by_keyboard(finished: Page) -> None:
    names = visiting.column(finished, "checkpoint")
    focus_by_tab(finished, "Compare with the second")
    finished.keyboard.press("Enter")
    compared = finished.locator("#compared")
    expect(compared).to_be_focused()
    expect(compared).to_be_in_viewport()
    heads = compared.get_by_role("table", name="Two checkpoints side by side").get_by_role("columnheader")
    expect(heads).to_have_text(names[:2])
    expect(compared).to_contain_text("Where they disagree: of 512 images")
    assert compared.locator("img").count() > 0
    counts = re.search(r"both get (\d+) right; (\d+) only .*?; (\d+) only .*?; (\d+) neither", compared.inner_text())
    assert sum(map(int, counts.groups())) == 512
    choice = finished.locator("#compare-second input")
    choice.focus()
    finished.keyboard.press("ArrowDown")
    finished.get_by_role("option", name=f"3. {names[2]}", exact=True).click()
    expect(heads).to_have_text([names[0], names[2]])
    assert visiting.overflow_px(finished) <= 0


def test_a_board_that_was_found_again_compares_without_pictures(finished: Page, visit: Callable[..., Window]) -> None:
    other = visit(finished.url, viewport=visiting.PHONE).page
    expect(visiting.status(other)).to_contain_text("Found again", timeout=RUN_MS)
    other.get_by_role("button", name="Compare with the second").click()
    expect(other.locator("#compared table").first).to_be_visible()
    expect(other.locator("#compared img")).to_have_count(0)
    assert visiting.overflow_px(other) <= 0

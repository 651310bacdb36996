"""The page on a laptop that has no Hub and no token, visited by somebody to whom nobody has explained anything."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from lead_hub.demo import pool
from lead_hub.leaderboard import Leaderboard
from tests.spaces_app.served import ServedSpace

pytest.importorskip("playwright", reason="no playwright: pip install lead-hub[test]")
from playwright.sync_api import Browser, Page, expect

from tests.spaces_app import visiting
from tests.spaces_app.visiting import RUN_MS, Window

N_DEMO = len(pool("scripts"))


@pytest.fixture(scope="module")
def finished(browser: Browser, laptop: ServedSpace) -> Iterator[Page]:
    """The page after "Try it"; its rows came one after the other."""
    window = visiting.open_window(browser)
    window.page.goto(laptop.url)
    expect(visiting.status(window.page)).to_contain_text("Nothing ranked yet")
    window.page.get_by_role("button", name="Writing systems").click()
    counts = []
    until = time.monotonic() + RUN_MS / 1000
    while "Finished" not in visiting.status(window.page).inner_text() and time.monotonic() < until:
        counts.append(visiting.row_count(window.page))
        window.page.wait_for_timeout(100)
    expect(visiting.status(window.page)).to_contain_text(f"Finished: {N_DEMO} checkpoints ranked")
    assert visiting.row_count(window.page) == N_DEMO
    assert counts == sorted(counts)
    assert len({*counts} - {0, N_DEMO}) >= 3
    yield window.page
    window.page.context.close()
    assert window.troubles == []


def test_every_control_can_be_named_by_a_screen_reader(finished: Page) -> None:
    visiting.unfold(finished)
    for folded in finished.locator("button.label-wrap").all():  # what is folded away has controls too
        if folded.is_visible():
            folded.click()
    expect(finished.get_by_label("Image column")).to_be_visible()
    assert visiting.nameless_controls(finished) == []
    tree = finished.locator("body").aria_snapshot()
    for control in (
        'textbox "Dataset Hub id',
        'combobox "Split',
        'combobox "Budget',
        'textbox "Revision',
        'spinbutton "number input for Most images',
    ):
        assert f"- {control}" in tree
    assert '- combobox "Checkpoint to explain' in tree
    assert '- textbox "Dataset repository of yours' in tree


def choose(page: Page, dropdown: str, option: str) -> None:
    """By keyboard alone."""
    page.locator(f"#{dropdown} input").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type(option)
    page.keyboard.press("Enter")
    expect(page.locator(f"#{dropdown} input")).to_have_value(option)


def test_the_form_says_what_a_race_and_what_the_full_run_would_take(
    laptop: ServedSpace, visit: Callable[..., Window]
) -> None:
    page = visit(laptop.url).page
    page.get_by_role("button", name="Size, licence and family").click()
    estimate = page.locator("#estimate")
    expect(page.get_by_label("Preset")).to_be_visible()
    choose(page, "preset", "best")
    # What is best is larger than what the form asks for at first.
    expect(page.locator("#max-parameters input")).to_have_value("any size")
    page.locator("#max-images input[type=number]").fill("5000")
    page.locator("#limit input[type=number]").fill("100")
    page.keyboard.press("Tab")
    expect(estimate).to_contain_text(re.compile(r"on up to 5,000 images: .*, ready in about 15 min; the full run \d"))
    choose(page, "budget", "none")
    expect(estimate).to_contain_text("of computing here")
    choose(page, "budget", "10min")
    expect(estimate).to_contain_text("ready in about 10 min; the full run")
    choose(page, "budget", "auto")
    expect(estimate).to_contain_text("ready in about 15 min; the full run")
    choose(page, "score", "knn")
    expect(estimate).to_contain_text("of computing here")
    choose(page, "budget", "soon")
    expect(estimate).to_contain_text("budget must be a time such as '10min' or '2h'")


def test_a_link_carries_budget_and_preset(laptop: ServedSpace, visit: Callable[..., Window]) -> None:
    page = visit(f"{laptop.url}/?dataset=org/birds&budget=20%25&preset=small").page
    page.get_by_role("button", name="Size, licence and family").click()
    expect(page.locator("#budget input")).to_have_value("20%")
    expect(page.locator("#preset input")).to_have_value("small")


def test_numbers_sort_as_numbers(finished: Page) -> None:
    names = visiting.figures(finished, "checkpoint")
    visiting.sort(finished, "parameters", "Sort ascending")
    ascending = [float(cell) for cell in visiting.figures(finished, "parameters")]
    assert ascending == sorted(ascending)
    visiting.sort(finished, "parameters", "Sort descending")
    descending = [float(cell) for cell in visiting.figures(finished, "parameters")]
    assert descending == sorted(descending, reverse=True)
    assert visiting.figures(finished, "checkpoint") != names
    visiting.sort(finished, "parameters", "Clear sort")
    assert visiting.figures(finished, "checkpoint") == names


def test_the_table_is_searched(finished: Page) -> None:
    visiting.open_tab(finished, "All figures")
    search = finished.locator("#figures").get_by_role("textbox")
    search.fill("mobilenet")
    expect(finished.get_by_role("grid", name="All figures")).to_have_attribute("aria-rowcount", "3")
    assert all("mobilenet" in name for name in visiting.figures(finished, "checkpoint"))
    search.fill("")
    expect(finished.get_by_role("grid", name="All figures")).to_have_attribute("aria-rowcount", str(N_DEMO + 1))


def test_a_row_explains_itself(finished: Page) -> None:
    third = visiting.column(finished, "checkpoint")[2]
    finished.locator("#board").get_by_role("row", name=third).click()
    expect(finished.get_by_role("tab", name="Explain")).to_have_attribute("aria-selected", "true")
    expect(finished.locator("#choice input")).to_have_value(f"3. {third}")
    expect(finished.locator("#confusion")).to_contain_text("Arabic")
    expect(finished.locator("#snippet")).to_contain_text("Trainer")
    for tab in visiting.tabs(finished):
        visiting.open_tab(finished, tab)
        expect(finished.get_by_role("tabpanel").locator("visible=true").first).not_to_be_empty()
    expect(finished.locator("#intervals")).to_contain_text(third)
    expect(finished.locator("#python")).to_contain_text("recommend(")
    expect(finished.locator("#python")).to_contain_text('budget="auto"')


def test_the_files_hold_the_board(finished: Page, tmp_path: Path) -> None:
    files = {}
    for kind in ("CSV", "JSON", "HTML"):
        with finished.expect_download() as download:
            finished.get_by_role("button", name=f"Download {kind}").click()
        name = download.value.suggested_filename
        assert re.fullmatch(rf"lead-hub-demo-scripts-20\d\d-\d\d-\d\d\.{kind.lower()}", name)
        files[kind] = tmp_path / name
        download.value.save_as(files[kind])
    table = pd.read_csv(files["CSV"])
    board = Leaderboard.load(files["JSON"])
    assert len(table) == len(board.rows) == N_DEMO
    assert table["checkpoint"].tolist() == [row.checkpoint for row in board.rows]
    assert visiting.column(finished, "checkpoint") == table["checkpoint"].tolist()
    scores = [float(cell) for cell in visiting.figures(finished, "score")]
    assert scores == pytest.approx(table["score"].tolist()[: len(scores)], rel=1e-4)
    page = files["HTML"].read_text(encoding="utf-8")
    assert "Which checkpoint to fine-tune on demo:scripts" in page
    for text in (files["JSON"].read_text(encoding="utf-8"), page):
        assert str(Path.cwd()) not in text


def test_without_a_token_pushing_says_what_to_do(finished: Page) -> None:
    finished.get_by_label("Dataset repository of yours").fill("me/scores")
    finished.get_by_role("button", name="Push score cards").click()
    expect(finished.locator("#pushed")).to_contain_text("hf auth login")


def focus_by_tab(page: Page, name: str) -> None:
    """Press Tab until the button of that name has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText || ''").strip() == name:
            return
    raise AssertionError(f"{name} cannot be reached with Tab")


def test_cancel_stops_and_another_run_starts_by_keyboard_alone(
    laptop: ServedSpace, visit: Callable[..., Window], finished: Page
) -> None:
    page = visit(laptop.url).page
    expect(page.get_by_role("button", name="Emoji")).to_be_visible()
    focus_by_tab(page, "Emoji")
    page.keyboard.press("Enter")
    visiting.begun(page)
    focus_by_tab(page, "Cancel")
    page.keyboard.press("Enter")
    expect(visiting.status(page)).to_contain_text("Cancelled", timeout=RUN_MS)
    n_rows = visiting.row_count(page)
    assert 0 < n_rows < N_DEMO
    before_s = laptop.processor_s
    page.wait_for_timeout(2000)
    assert laptop.processor_s - before_s < 1  # of 2 seconds of 2 or more cores
    assert visiting.row_count(page) == n_rows
    page.evaluate("document.activeElement.blur()")
    focus_by_tab(page, "Writing systems")
    page.keyboard.press("Enter")
    expect(visiting.status(page)).to_contain_text(f"Finished: {N_DEMO}", timeout=RUN_MS)


def test_a_phone_never_scrolls_sideways(laptop: ServedSpace, visit: Callable[..., Window], finished: Page) -> None:
    page = visit(laptop.url, viewport=visiting.PHONE).page
    expect(visiting.status(page)).to_contain_text("Nothing ranked yet")
    overflows = {"empty": visiting.overflow_px(page)}
    visiting.dataset_box(page).fill("no/such-folder")
    page.get_by_role("button", name="Rank checkpoints").click()
    expect(visiting.status(page)).to_contain_text("The run stopped", timeout=RUN_MS)
    overflows["error"] = visiting.overflow_px(page)
    page.get_by_role("button", name="Writing systems").click()
    expect(page.get_by_role("progressbar")).to_be_visible(timeout=RUN_MS)
    overflows["running"] = visiting.overflow_px(page)
    expect(visiting.status(page)).to_contain_text("Finished", timeout=RUN_MS)
    for tab in visiting.tabs(page):
        visiting.open_tab(page, tab)
        overflows[tab] = visiting.overflow_px(page)
    assert overflows == dict.fromkeys(overflows, 0)


def test_a_newcomer_sees_what_an_answer_looks_like(laptop: ServedSpace, visit: Callable[..., Window]) -> None:
    for size in (visiting.DESKTOP, visiting.PHONE):
        page = visit(laptop.url, viewport=size).page
        example = page.locator("#example")
        expect(example).to_contain_text("An example: which of 5 checkpoints")
        expect(example.get_by_role("table", name="Example of a leaderboard")).to_be_visible()
        assert visiting.row_count(page) == 0
        ends = example.locator("td").evaluate_all(
            "cells => cells.filter(e => e.checkVisibility()).map(e => e.getBoundingClientRect().right)"
        )
        assert max(ends) <= size["width"]


def test_the_answer_stands_on_top_when_it_is_there(
    finished: Page, laptop: ServedSpace, visit: Callable[..., Window]
) -> None:
    """The form is one line, the answer is seen without scrolling and has the focus, on a phone too."""
    for size in ({"width": 1280, "height": 800}, visiting.PHONE):
        page = visit(laptop.url, viewport=size).page
        expect(visiting.status(page)).to_contain_text("Nothing ranked yet")
        page.get_by_role("button", name="Writing systems").click()
        expect(page.locator("#asked-text")).to_contain_text("demo:scripts, split train, the small demo checkpoints")
        expect(page.locator("#form")).not_to_be_visible()
        expect(page.locator("#example")).not_to_be_visible()
        assert page.evaluate("document.activeElement.id") == "status"
        expect(visiting.status(page)).to_contain_text("Finished", timeout=RUN_MS)
        page.wait_for_function("document.activeElement.id == 'verdict'")
        for part in (".lh-winner", ".lh-number"):
            box = page.locator(f"#verdict {part}").first.bounding_box()
            assert box is not None
            assert box["y"] >= 0
            assert box["y"] + box["height"] <= size["height"]
        assert page.locator("#verdict .lh-winner").inner_text() == visiting.column(page, "checkpoint")[0]


def test_the_table_fits_and_explains_its_headers(finished: Page) -> None:
    headers = finished.locator("#board thead th")
    assert [text.splitlines()[0] for text in headers.all_inner_texts()] == [
        *("rank", "checkpoint", "chance to be best", "expected accuracy", "size", "licence"),
    ]
    ends = finished.locator("#board td").evaluate_all("cells => cells.map(e => e.getBoundingClientRect().right)")
    assert max(ends) <= visiting.DESKTOP["width"]
    for tip in finished.locator("#board .lh-tip").all():
        tip.focus()
        box = tip.get_by_role("tooltip").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= visiting.DESKTOP["width"]
    chances = visiting.column(finished, "chance")
    assert all(re.fullmatch(r"\d+\.\d%|<0\.1%", chance) for chance in chances)


def test_the_table_is_ordered_and_filtered(finished: Page) -> None:
    names = visiting.column(finished, "checkpoint")
    if not finished.locator("#order").is_visible():
        finished.get_by_role("button", name="Order, filter and columns").click()
    finished.get_by_label("Order by").click()
    finished.get_by_role("option", name="size, smallest first").click()
    expect(finished.locator("#board tbody tr").first).to_contain_text("regnet-emoji-small")
    finished.get_by_label("Kinds").click()
    finished.get_by_role("option", name="vit", exact=True).click()
    expect(finished.locator("#board tbody tr")).to_have_count(3)
    assert all("vit" in name for name in visiting.column(finished, "checkpoint"))
    expect(finished.locator("#board")).to_contain_text("11 of 14 are not shown.")
    finished.locator("#board tbody tr").first.click()
    expect(finished.locator("#choice input")).to_have_value(re.compile(r"^12\. vit-simclr-drawings"))
    finished.locator("#kinds").get_by_role("button", name="Clear").click()
    expect(finished.locator("#board tbody tr")).to_have_count(N_DEMO)
    finished.get_by_label("Order by").click()
    finished.get_by_role("option", name="rank", exact=True).click()
    expect(finished.locator("#board tbody tr")).to_have_count(N_DEMO)
    expect(finished.locator("#board tbody tr").first).to_contain_text(names[0])
    assert visiting.column(finished, "checkpoint") == names
    finished.get_by_label("More columns").click()
    finished.get_by_role("option", name="kind", exact=True).click()
    expect(finished.locator("#board thead th")).to_have_count(7)
    kinds = dict(zip(names, visiting.column(finished, "kind"), strict=True))
    assert kinds["regnet-emoji-small"] == "regnet"
    finished.get_by_role("option", name="number format", exact=True).click()
    finished.get_by_role("option", name="note", exact=True).click()
    expect(finished.locator("#board thead th")).to_have_count(9)
    assert visiting.overflow_px(finished) <= 0
    finished.locator("#further").get_by_role("button", name="Clear").click()
    expect(finished.locator("#board thead th")).to_have_count(6)


def test_the_answers_buttons_lead_to_what_they_say(finished: Page) -> None:
    for name, place in (
        ("Fine-tune it", "snippet"),
        ("Why it stands there", "confusion"),
        ("Push to the Hub", "push-card"),
    ):
        finished.get_by_role("button", name=name).click()
        finished.wait_for_function("place => document.activeElement.id == place", arg=place)
        expect(finished.locator(f"#{place}")).to_be_in_viewport()

"""axe-core finds nothing to complain of, in every state of the page, on a desktop and a phone, light and dark."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.spaces_app.served import ServedSpace

pytest.importorskip("playwright", reason="no playwright: pip install lead-hub[test]")
pytest.importorskip("axe_playwright_python", reason="no axe-core: pip install lead-hub[test]")
import axe_playwright_python
from playwright.sync_api import Locator, Page, expect

from tests.spaces_app import visiting
from tests.spaces_app.visiting import RUN_MS, Window

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
COMPLAINTS = "axe.run(document, {resultTypes: ['violations']}).then(found => found.violations.flatMap("
COMPLAINTS += "one => one.nodes.map(node => `${one.id}: ${node.target} ${node.failureSummary}`)))"


def complaints(page: Page) -> list[str]:
    """What axe-core says of the page as it is."""
    page.wait_for_timeout(1000)  # what fades in is there
    page.evaluate(AXE)
    return page.evaluate(COMPLAINTS)


@pytest.mark.parametrize(
    ("viewport", "scheme"),
    [(visiting.DESKTOP, "light"), (visiting.DESKTOP, "dark"), (visiting.PHONE, "light"), (visiting.PHONE, "dark")],
    ids=["desktop-light", "desktop-dark", "phone-light", "phone-dark"],
)
def test_every_state_is_for_everybody(
    laptop: ServedSpace, visit: Callable[..., Window], viewport: dict[str, int], scheme: str
) -> None:
    page = visit(f"{laptop.url}/?__theme={scheme}", viewport=viewport, color_scheme=scheme).page
    expect(visiting.status(page)).to_contain_text("Nothing ranked yet")
    found = {"empty": complaints(page)}
    for folded in page.locator("#form button.label-wrap").all():
        folded.click()
    found["form"] = complaints(page)
    visiting.dataset_box(page).press_sequentially("some-birds")
    expect(page.locator("#datasets-found")).to_contain_text("type the whole id", timeout=RUN_MS)
    found["searched"] = complaints(page)
    visiting.dataset_box(page).fill("demo:photographs")
    visiting.dataset_box(page).blur()
    expect(page.locator("#pictures img").first).to_be_visible(timeout=RUN_MS)
    found["pictures"] = complaints(page)
    visiting.dataset_box(page).fill("no/such-folder")
    page.get_by_role("button", name="Rank checkpoints").click()
    expect(visiting.status(page)).to_contain_text("The run stopped", timeout=RUN_MS)
    expect(page.get_by_role("button", name="Rank checkpoints")).to_be_enabled()
    found["error"] = complaints(page)
    page.get_by_role("button", name="Writing systems").click()
    visiting.begun(page)
    found["running"] = complaints(page)
    expect(visiting.status(page)).to_contain_text("Finished", timeout=RUN_MS)
    for fold in ("Order, filter and columns", "The images that are ranked on", "Fine-tune the first ones and compare"):
        page.get_by_role("button", name=fold).click()
    for tab in visiting.tabs(page):
        visiting.open_tab(page, tab)
        found[tab] = complaints(page)
    assert found == {state: [] for state in found}


def test_a_dropdown_that_tab_passes_stays_closed(laptop: ServedSpace, visit: Callable[..., Window]) -> None:
    page = visit(laptop.url).page
    split, options = page.locator("#split input"), page.get_by_role("listbox")
    visiting.dataset_box(page).focus()
    page.keyboard.press("Tab")  # to the place for a zip, which stands beside the id
    page.keyboard.press("Tab")
    expect(split).to_be_focused()
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    expect(options).to_have_count(0)
    expect(split).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("ArrowDown")  # whoever asks gets them
    expect(options).to_be_visible()
    page.keyboard.press("Escape")
    expect(options).to_have_count(0)
    visiting.dataset_box(page).focus()
    split.click()
    expect(options).to_be_visible()


def test_colours_can_be_chosen_and_stay_without_a_reload(laptop: ServedSpace, visit: Callable[..., Window]) -> None:
    page = visit(laptop.url, color_scheme="light").page
    body, dark = page.locator("body"), re.compile(r"\bdark\b")

    def button(name: str) -> Locator:
        return page.get_by_role("group", name="Colours").get_by_role("button", name=name)

    expect(button("As the system")).to_have_attribute("aria-pressed", "true")
    page.evaluate("window.isTheSamePage = true")
    button("Dark").click()
    expect(body).to_have_class(dark)
    expect(button("Dark")).to_have_attribute("aria-pressed", "true")
    expect(button("As the system")).to_have_attribute("aria-pressed", "false")
    assert page.evaluate("window.isTheSamePage")
    page.reload()
    expect(button("Dark")).to_have_attribute("aria-pressed", "true")
    expect(body).to_have_class(dark)
    button("As the system").click()
    expect(body).not_to_have_class(dark)
    page.emulate_media(color_scheme="dark")
    expect(body).to_have_class(dark)
    button("Light").click()
    expect(body).not_to_have_class(dark)


def test_the_head_says_what_a_link_leads_to(laptop: ServedSpace, visit: Callable[..., Window]) -> None:
    page = visit(laptop.url).page
    expect(visiting.status(page)).to_contain_text("Nothing ranked yet")
    told = page.locator('meta[property="og:title"]').evaluate_all("all => all.map(tag => tag.content)")
    assert "lead-hub: which pretrained checkpoint to fine-tune on your images" in told

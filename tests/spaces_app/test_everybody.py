"""axe-core finds nothing to complain of, in every state of the page, on a desktop and a phone, light and dark."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.spaces_app.served import ServedSpace

pytest.importorskip("playwright", reason="no playwright: pip install lead-hub[test]")
pytest.importorskip("axe_playwright_python", reason="no axe-core: pip install lead-hub[test]")
import axe_playwright_python
from playwright.sync_api import Page, expect

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
    visiting.dataset_box(page).fill("no/such-folder")
    page.get_by_role("button", name="Rank checkpoints").click()
    expect(visiting.status(page)).to_contain_text("The run stopped", timeout=RUN_MS)
    expect(page.get_by_role("button", name="Rank checkpoints")).to_be_enabled()
    found["error"] = complaints(page)
    page.get_by_role("button", name="Writing systems").click()
    visiting.begun(page)
    found["running"] = complaints(page)
    expect(visiting.status(page)).to_contain_text("Finished", timeout=RUN_MS)
    page.get_by_role("button", name="Order and filter").click()
    for tab in visiting.tabs(page):
        visiting.open_tab(page, tab)
        found[tab] = complaints(page)
    assert found == {state: [] for state in found}

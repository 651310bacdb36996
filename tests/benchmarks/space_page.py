"""The page as somebody meets it: how soon it is there, how soon and where the answer is, and how many keys that takes.

    python -m tests.benchmarks.space_page

Prints one line a figure. Needs Chromium; the app runs as on a laptop, with nothing in its caches.
"""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.spaces_app import visiting
from tests.spaces_app.served import ServedSpace, check_log, served_space
from tests.spaces_app.visiting import PHONE, RUN_MS

SIZES = {"1280 x 800": {"width": 1280, "height": 800}, "390 x 844": PHONE}
MOST_TABS = 60


def main() -> None:
    started = time.perf_counter()
    with served_space(Path(tempfile.mkdtemp())) as space:
        print(f"server ready after {time.perf_counter() - started:.1f} s")
        with visiting.open_browser() as browser:
            for name, viewport in SIZES.items():
                for line in met(browser, space, viewport):
                    print(f"{name}: {line}", flush=True)
    check_log(space.log)


def met(browser: Browser, space: ServedSpace, viewport: dict[str, int]) -> Iterator[str]:
    """One visitor's way from opening the page to the answer."""
    page = visiting.open_window(browser, viewport=viewport).page
    started = time.perf_counter()
    page.goto(space.url)
    page.get_by_role("button", name="Writing systems").wait_for()
    yield f"usable after {time.perf_counter() - started:.2f} s"
    paint_ms = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    yield f"first paint after {paint_ms / 1000:.2f} s"
    expect(visiting.status(page)).to_contain_text("Nothing ranked yet")
    yield f"example's verdict within the first screen: {is_seen(page, '#example .lh-winner')}"
    for goal, selector in (("a demo's button", "#try-scripts"), ("the dataset", "#dataset *"), ("Rank", "#rank")):
        yield f"presses of Tab from opening to {goal}: {tabs_to(page, selector)}"
    started = time.perf_counter()
    page.locator("#try-scripts").press("Enter")
    expect(visiting.status(page)).to_contain_text("Finished", timeout=RUN_MS)
    page.wait_for_function("document.activeElement.id == 'verdict'")
    yield f"from the press to the answer: {time.perf_counter() - started:.1f} s"
    for part, selector in (
        ("name", ".lh-winner"),
        ("chance", ".lh-number >> nth=0"),
        ("accuracy", ".lh-number >> nth=1"),
    ):
        yield f"{part} seen without scrolling: {is_seen(page, f'#verdict {selector}')}"
    page.locator("#verdict").focus()
    yield f"presses of Tab from the answer to Push score cards: {tabs_on_to(page, '#push')}"
    yield f"too wide by {max(0, visiting.overflow_px(page))} px"
    page.context.close()


def is_seen(page: Page, selector: str) -> str:
    """Whether all of it lies within the window."""
    box, size = page.locator(selector).first.bounding_box(), page.viewport_size
    is_within = box and size and box["y"] >= 0 and box["y"] + box["height"] <= size["height"]
    return "yes" if is_within else "no"


def tabs_to(page: Page, selector: str) -> int:
    """How often Tab is pressed, from the top of the page, until the focus is there."""
    page.evaluate("document.activeElement.blur(), window.getSelection().removeAllRanges(), scrollTo(0, 0)")
    page.mouse.click(2, 2)
    return tabs_on_to(page, selector)


def tabs_on_to(page: Page, selector: str) -> int:
    """How often Tab is pressed, from where the focus is."""
    for number in range(1, MOST_TABS):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return number
    raise RuntimeError(f"{selector} cannot be reached with Tab")


if __name__ == "__main__":
    main()

"""A visitor's browser: Chromium without a window, and what its console says."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Route,
    TimeoutError,  # noqa: A004 - of playwright
    expect,
    sync_playwright,
)

from tests.browser import find_browser

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
# A run of a few small checkpoints on busy cores.
RUN_MS = 540_000  # a guard against hanging; a busy machine may take long
STEP_MS = 180_000  # the same, of what takes no time

# Console errors that are nobody's fault, each with its reason.
ALLOWED = (
    # Gradio, in a Space, puts the Hub's bar on top: it asks huggingface.co for the Space's name and avatar, and Google
    # for two fonts. No outside address is answered here.
    re.compile(r"^Space not found"),
    re.compile(r"net::ERR_BLOCKED_BY_CLIENT.*huggingface\.co/api/spaces/"),
    re.compile(r"net::ERR_BLOCKED_BY_CLIENT.*fonts\.googleapis\.com/css2\?family=Source\+Sans\+Pro:ital,"),
    re.compile(r"net::ERR_BLOCKED_BY_CLIENT.*fonts\.googleapis\.com/css2\?family=IBM\+Plex\+Mono:wght@400;600;700&"),
    # Whoever leaves the page (for the Hub's sign-in) cuts the streams that Gradio holds open.
    re.compile(r"^AbortError: (signal is aborted without reason|BodyStreamBuffer was aborted)"),
    re.compile(r"^Unexpected error Connection errored out"),
)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Without a sandbox, so that it starts in a container too."""
    expect.set_options(timeout=STEP_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Window:
    """One visitor's page, with cookies of their own.

    Attributes:
        page: to be driven.
        troubles: errors of its console, script errors, dialogs and requests to the outside, that are not allowed.
    """

    page: Page
    troubles: list[str] = field(default_factory=list)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._note(f"{message.text} {message.location.get('url', '')}")

    def _note(self, text: str) -> None:
        if not any(pattern.search(text) for pattern in ALLOWED):
            self.troubles.append(text)

    def _outside(self, route: Route) -> None:
        self._note(f"net::ERR_BLOCKED_BY_CLIENT {route.request.url}")
        route.abort("blockedbyclient")

    def watch(self) -> "Window":
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self._note(str(error)))
        self.page.on("dialog", lambda dialog: (self._note(f"dialog: {dialog.message}"), dialog.dismiss()))
        self.page.context.route(re.compile(r"^https?://(?!localhost[:/]|127\.0\.0\.1[:/])"), self._outside)
        return self


def open_window(browser: Browser, **settings: object) -> Window:
    """A visitor whom nobody knows yet."""
    context: BrowserContext = browser.new_context(**{"viewport": DESKTOP, "accept_downloads": True, **settings})
    context.set_default_timeout(STEP_MS)
    return Window(context.new_page()).watch()


def sign_in(page: Page, user: str, *, url: str) -> None:
    """Through the page of the test Hub, and back."""
    for _ in range(3):
        # Gradio's page reloads itself when its stream breaks off, which may overtake the way to a slow Hub.
        page.get_by_role("button", name="Sign in").click()
        with suppress(TimeoutError):
            page.wait_for_url(re.compile("/oauth/authorize"), timeout=60_000)
            break
    page.get_by_role("button", name=user, exact=True).click()
    page.wait_for_url(f"{url}/**")
    expect(page.get_by_role("button", name=f"Logout ({user})")).to_be_visible()


def row_count(page: Page) -> int:
    """Rows of the leaderboard; 0 while there is none."""
    return page.locator("#board tbody tr").count()


def begun(page: Page) -> None:
    """Wait for the first row."""
    expect(page.get_by_role("table", name="Leaderboard", exact=True)).to_be_visible(timeout=RUN_MS)


def column(page: Page, header: str) -> list[str]:
    """One column of the leaderboard, by the beginning of its header."""
    headers = page.locator("#board thead th").evaluate_all("cells => cells.map(cell => cell.innerText)")
    (place,) = (place for place, title in enumerate(headers) if title.startswith(header))
    rows = page.locator("#board tbody tr").evaluate_all("rows => rows.map(row => [...row.cells].map(c => c.innerText))")
    return [row[place].strip() for row in rows]


def figures(page: Page, header: str) -> list[str]:
    """One column of the table of all figures, by the beginning of its header, as far down as its window shows."""
    open_tab(page, "All figures")
    expect(page.locator('#figures [role="gridcell"]').first).to_be_visible()
    headers = page.locator('#figures [role="columnheader"]').evaluate_all("cells => cells.map(cell => cell.title)")
    (place,) = (place for place, title in enumerate(headers) if title.startswith(header))
    rows = page.locator('#figures [role="row"]:has([role="gridcell"])').evaluate_all(
        """rows => rows.map(row => [...row.querySelectorAll('[role="gridcell"]')].map(cell => cell.innerText.trim()))"""
    )
    return [row[place] for row in rows]


def status(page: Page) -> Locator:
    """The line that says where the run is."""
    return page.locator("#status")


def dataset_box(page: Page) -> Locator:
    """Where the dataset is named, in the form, which is folded away after a run has begun."""
    unfold(page)
    return page.get_by_role("textbox", name=re.compile("^Dataset Hub id"))


def unfold(page: Page) -> None:
    """Show the form, which also shows itself where a run stops without a row: whoever presses may come too late."""
    form, change = page.locator("#dataset"), page.locator("#change")
    expect(form.or_(change).first).to_be_visible()
    if not form.is_visible():
        with suppress(TimeoutError):
            change.click(timeout=5_000)
    expect(form).to_be_visible()


def sort(page: Page, header: str, how: str) -> None:
    """By a column; how is "Sort ascending", "Sort descending" or "Clear sort"."""
    head = page.locator(f'#figures [role="columnheader"][title^="{header}"]')
    head.hover()  # its menu shows up only then
    head.get_by_role("button").click()
    page.get_by_role("menuitem", name=how).click()
    expect(page.get_by_role("menu")).to_have_count(0)


def own_list(page: Page, *checkpoints: str) -> None:
    """Candidates typed in by the visitor."""
    unfold(page)
    page.get_by_label("My own list").check()
    page.get_by_label("Your checkpoints").fill("\n".join(checkpoints))


def nameless_controls(page: Page) -> list[str]:
    """Lines of the accessibility tree with a control that a screen reader could not name."""
    control = re.compile(
        r"^\s*- (textbox|combobox|checkbox|radio|slider|spinbutton|searchbox|button|tab|link)\b(?! \")"
    )
    return [line for line in page.locator("body").aria_snapshot().splitlines() if control.match(line)]


def overflow_px(page: Page) -> int:
    """How far the page can be scrolled sideways."""
    return page.evaluate("document.scrollingElement.scrollWidth - window.innerWidth")


def tabs(page: Page) -> list[str]:
    """Names of the tabs below the leaderboard, those that a narrow page keeps behind "More tabs" included."""
    measured = page.locator(".tab-wrapper").first.locator('[aria-hidden="true"] button')
    return [name.strip() for name in measured.all_text_contents()]


def open_tab(page: Page, name: str) -> None:
    """Show one of them."""
    tab = page.get_by_role("tab", name=name, exact=True)
    if not tab.is_visible():
        page.get_by_role("button", name="More tabs").click()
        tab = page.locator(".overflow-dropdown button", has_text=name)
    tab.click()

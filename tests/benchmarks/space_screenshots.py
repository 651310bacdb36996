"""Pictures of every state of the Space's page, for people to look at: light, dark, and as wide as a phone.

    python -m tests.benchmarks.space_screenshots FOLDER [--only light]

The app runs as a Space of the test Hub, so that the states after signing in are there too; then once more as on one's
own machine, where the first checkpoints can be fine-tuned. Needs Chromium.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.loopback_hub import HubServer
from tests.spaces_app import visiting
from tests.spaces_app.seeds import seed
from tests.spaces_app.served import ServedSpace, served_space
from tests.spaces_app.visiting import DESKTOP, PHONE, RUN_MS

LOOKS = {
    "light": {"viewport": DESKTOP, "color_scheme": "light"},
    "dark": {"viewport": DESKTOP, "color_scheme": "dark"},
    "phone": {"viewport": PHONE, "color_scheme": "light"},
    "phone-dark": {"viewport": PHONE, "color_scheme": "dark"},
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("folder", type=Path, help="where the pictures go")
    options.add_argument("--only", choices=LOOKS, help="one look instead of all")
    chosen = options.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    checkpoints = tiny_checkpoint_folders(Path(tempfile.mkdtemp()))
    with visiting.open_browser() as browser:
        for look in [chosen.only] if chosen.only else LOOKS:
            # A server for each look, so that each run is the first one and takes long enough to be seen under way.
            with HubServer() as hub, served_space(Path(tempfile.mkdtemp()), hub=hub) as space:
                seed(hub, checkpoints)
                photograph(browser, space, look, chosen.folder)
            with served_space(Path(tempfile.mkdtemp())) as space:
                photograph_verified(browser, space, look, chosen.folder)


def tiny_checkpoint_folders(folder: Path) -> Path:
    """The three that the test Hub holds."""
    from tests.tiny_checkpoints import save_checkpoint, tiny_processor
    from tests.tiny_families import FAMILIES

    for name, head in (("resnet", True), ("vit", True), ("dinov2", False)):
        family = FAMILIES[name]
        save_checkpoint(folder / name, family.build(head=head), tiny_processor(family.processor))
    return folder


def photograph(browser: Browser, space: ServedSpace, look: str, folder: Path) -> None:
    """One visitor's way through the page, a picture at every step."""
    window = visiting.open_window(browser, **LOOKS[look])
    page, theme = window.page, theme_of(look)

    def take(state: str) -> None:
        take_picture(page, folder / f"{look}-{state}.png")

    page.goto(space.url + theme)
    expect(visiting.status(page)).to_contain_text("Nothing ranked yet")
    page.wait_for_timeout(1500)  # until what a link may have asked for is filled in
    take("1-empty")
    found_and_seen(page, take)
    wrong_dataset(page, take)
    the_demo(page, take)
    signed_in(page, space, take, theme)
    page.context.close()
    for trouble in window.troubles:
        print("  trouble:", trouble)


def theme_of(look: str) -> str:
    return "?__theme=dark" if LOOKS[look]["color_scheme"] == "dark" else ""


def take_picture(page: Page, path: Path) -> None:
    page.wait_for_timeout(400)  # what fades in is there
    page.screenshot(path=path, full_page=True)
    print(path, f"{visiting.overflow_px(page)} px too wide" if visiting.overflow_px(page) > 0 else "")


def photograph_verified(browser: Browser, space: ServedSpace, look: str, folder: Path) -> None:
    """The first checkpoints fine-tuned, under way and done."""
    window = visiting.open_window(browser, **LOOKS[look])
    page = window.page
    page.goto(space.url + theme_of(look))
    page.get_by_role("button", name="Photographs").click()
    expect(visiting.status(page)).to_contain_text("Finished", timeout=RUN_MS)
    expect(page.locator("#verdict")).to_be_focused(timeout=RUN_MS)
    page.screenshot(path=folder / f"{look}-first-screen.png")  # the README's is the light one
    page.get_by_role("button", name="Fine-tune the first ones and compare").click()
    page.get_by_label("a linear head alone, quick").check()
    page.get_by_role("button", name="Fine-tune them here").click()
    expect(page.locator("#verify-progress")).to_contain_text("Fine-tuning", timeout=RUN_MS)
    take_picture(page, folder / f"{look}-9-fine-tuning.png")
    expect(page.locator("#verify-progress")).to_contain_text("Done", timeout=RUN_MS)
    take_picture(page, folder / f"{look}-9-verified.png")
    page.context.close()
    for trouble in window.troubles:
        print("  trouble:", trouble)


def found_and_seen(page: Page, take: Callable[[str], None]) -> None:
    visiting.dataset_box(page).press_sequentially("org/", delay=20)
    expect(page.get_by_role("list", name="Datasets found")).to_be_visible(timeout=RUN_MS)
    take("1-searched")
    visiting.dataset_box(page).fill("demo:photographs")
    visiting.dataset_box(page).blur()
    expect(page.locator("#pictures img").first).to_be_visible(timeout=RUN_MS)
    take("1-seen")


def wrong_dataset(page: Page, take: Callable[[str], None]) -> None:
    visiting.dataset_box(page).fill("nobody/nothing")
    visiting.dataset_box(page).blur()
    expect(page.locator("#dataset-status")).to_contain_text("nobody/nothing", timeout=RUN_MS)
    page.locator("#rank").click()
    expect(visiting.status(page)).to_contain_text("The run stopped", timeout=RUN_MS)
    take("2-error")


def the_demo(page: Page, take: Callable[[str], None]) -> None:
    page.get_by_role("button", name="Emoji").click()
    visiting.begun(page)
    page.wait_for_timeout(1500)
    take("3-running")
    page.locator("#cancel").click()
    expect(visiting.status(page)).to_contain_text("Cancelled", timeout=RUN_MS)
    take("4-cancelled")
    page.get_by_role("button", name="Writing systems").click()
    expect(visiting.status(page)).to_contain_text("Finished", timeout=RUN_MS)
    take("5-finished")
    page.get_by_role("button", name="The images that are ranked on").click()
    take("5-images")
    page.get_by_role("button", name="The images that are ranked on").click()
    page.get_by_role("button", name="Order, filter and columns").click()
    page.get_by_label("More columns").click()
    page.get_by_role("option", name="kind", exact=True).click()
    page.get_by_role("option", name="note", exact=True).click()
    expect(page.locator("#board thead th")).to_have_count(8)
    page.keyboard.press("Escape")
    take("5-columns")
    page.locator("#board tbody tr").nth(2).click()
    for number, tab in enumerate(visiting.tabs(page)):
        visiting.open_tab(page, tab)
        take(f"6-tab-{number}")


def signed_in(page: Page, space: ServedSpace, take: Callable[[str], None], theme: str) -> None:
    visiting.sign_in(page, "alice", url=space.url)
    page.goto(space.url + theme)
    expect(page.get_by_role("navigation", name="Your last runs")).to_be_visible(timeout=RUN_MS)
    visiting.own_list(page, "org/resnet", "org/vit", "org/dinov2", "org/missing")
    visiting.dataset_box(page).fill("alice/secret")
    visiting.dataset_box(page).blur()
    expect(page.locator("#dataset-status")).to_contain_text("Found", timeout=RUN_MS)
    page.wait_for_timeout(1000)
    take("7-signed-in")
    page.locator("#rank").click()
    expect(visiting.status(page)).to_contain_text("Finished", timeout=RUN_MS)
    page.locator("#push").click()
    expect(page.locator("#pushed")).to_contain_text("Pushed", timeout=RUN_MS)
    take("8-pushed")


if __name__ == "__main__":
    main()

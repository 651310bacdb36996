"""What visitors press and when: in the middle of a run, while one waits, with nothing named, with a zip."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lead_hub.demo import pool
from tests.spaces_app.asking import asking_client
from tests.spaces_app.seeds import CHECKPOINTS
from tests.spaces_app.served import ServedSpace
from tests.spaces_app.test_uploads import zipped

pytest.importorskip("playwright", reason="no playwright: pip install lead-hub[test]")
pytest.importorskip("gradio_client", reason="no gradio_client: pip install lead-hub[space,test]")
from playwright.sync_api import Page, expect

from tests.spaces_app import visiting
from tests.spaces_app.visiting import RUN_MS, Window, begun

pytestmark = pytest.mark.usefixtures("seeded")

N_DEMO = len(pool("scripts"))
MISSING = ("nobody/one", "nobody/two")


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).click()


def is_idle(page: Page) -> None:
    """Nothing can be cancelled, and a run can be started."""
    expect(page.get_by_role("button", name="Cancel")).not_to_be_visible(timeout=RUN_MS)
    visiting.unfold(page)
    expect(page.get_by_role("button", name="Rank checkpoints")).to_be_enabled(timeout=RUN_MS)


def test_a_run_goes_on_whose_first_candidate_is_skipped(space: ServedSpace, visit: Callable[..., Window]) -> None:
    page = visit(space.url).page
    visiting.dataset_box(page).fill("org/colours")
    visiting.own_list(page, MISSING[0], "org/resnet")
    press(page, "Rank checkpoints")
    expect(visiting.status(page)).to_contain_text("Finished: 1 checkpoint ranked, 1 skipped", timeout=RUN_MS)
    assert visiting.column(page, "checkpoint") == ["org/resnet"]
    page.get_by_role("button", name="Skipped checkpoints: 1").click()
    expect(page.locator("#skipped-rows")).to_contain_text(f"check the spelling of {MISSING[0]}", timeout=RUN_MS)
    is_idle(page)


def test_where_none_could_be_ranked_the_page_says_so_and_why(space: ServedSpace, visit: Callable[..., Window]) -> None:
    page = visit(space.url).page
    visiting.dataset_box(page).fill("org/colours")
    visiting.own_list(page, *MISSING)
    press(page, "Rank checkpoints")
    expect(visiting.status(page)).to_contain_text("No checkpoint could be ranked", timeout=RUN_MS)
    expect(page.locator("#verdict")).to_contain_text("None of the 2 checkpoints could be")
    for name in MISSING:
        expect(page.locator("#verdict")).to_contain_text(f"check the spelling of {name}")
    expect(page.locator("#verdict")).to_contain_text("sign in at the top of the page")
    is_idle(page)
    press(page, "Emoji")  # and the page goes on working
    begun(page)
    press(page, "Cancel")
    expect(visiting.status(page)).to_contain_text("Cancelled", timeout=RUN_MS)
    is_idle(page)


def test_a_demo_that_is_pressed_in_the_middle_of_another_can_be_cancelled(
    space: ServedSpace, visit: Callable[..., Window]
) -> None:
    page = visit(space.url).page
    press(page, "Emoji")
    begun(page)
    press(page, "Clip art")
    expect(page.locator("#summary")).to_contain_text("demo:clipart", timeout=RUN_MS)
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    visiting.unfold(page)
    expect(page.get_by_role("button", name="Rank checkpoints")).to_be_disabled()
    press(page, "Cancel")
    expect(visiting.status(page)).to_contain_text("Cancelled", timeout=RUN_MS)
    assert 0 < visiting.row_count(page) < N_DEMO
    is_idle(page)


def test_a_demo_that_is_pressed_twice_begins_anew(space: ServedSpace, visit: Callable[..., Window]) -> None:
    page = visit(space.url).page
    press(page, "Emoji")
    begun(page)
    press(page, "Emoji")
    press(page, "Emoji")
    expect(visiting.status(page)).to_contain_text(f"Finished: {N_DEMO}", timeout=RUN_MS)
    assert visiting.row_count(page) == N_DEMO
    is_idle(page)


def test_a_run_that_waits_gives_way_to_a_later_one_and_to_a_cancel(
    space: ServedSpace, visit: Callable[..., Window]
) -> None:
    page = visit(space.url).page
    program = asking_client(space.url)
    # Of these two run at once, and the others wait as well; no other run has such samples, so none is kept on the disk.
    others = [
        program.submit("demo:clipart", ["demo"], max_images=number, api_name="/recommend") for number in range(151, 157)
    ]
    next(iter(others[0]))
    press(page, "Emoji")
    expect(visiting.status(page)).to_contain_text("begins when its turn comes", timeout=RUN_MS)
    press(page, "Cancel")
    expect(visiting.status(page)).to_contain_text("Cancelled with 0 checkpoints", timeout=RUN_MS)
    is_idle(page)
    press(page, "Emoji")
    expect(visiting.status(page)).to_contain_text("begins when its turn comes", timeout=RUN_MS)
    press(page, "Writing systems")
    expect(visiting.status(page)).to_contain_text("begins when its turn comes", timeout=RUN_MS)
    for job in others:
        job.cancel()
    expect(visiting.status(page)).to_contain_text(f"Finished: {N_DEMO}", timeout=RUN_MS)
    expect(page.locator("#summary")).to_contain_text("demo:scripts")
    is_idle(page)


def test_a_run_that_goes_on_without_its_page_keeps_nobody_waiting(
    space: ServedSpace, visit: Callable[..., Window]
) -> None:
    page, other = visit(space.url).page, visit(space.url).page
    press(page, "Emoji")
    begun(page)
    page.goto(space.url)
    expect(visiting.status(page)).to_contain_text("Nothing ranked yet")
    press(page, "Clip art")
    press(other, "Clip art")
    for each in (page, other):
        begun(each)
        press(each, "Cancel")
        expect(visiting.status(each)).to_contain_text("Cancelled with", timeout=RUN_MS)
        is_idle(each)


def test_with_nothing_named_nothing_is_ranked(space: ServedSpace, visit: Callable[..., Window]) -> None:
    page = visit(space.url).page
    press(page, "Rank checkpoints")
    expect(visiting.status(page)).to_contain_text("a dataset must be named, found none", timeout=RUN_MS)
    is_idle(page)


def drop(page: Page, archive: Path) -> None:
    """Let the page have a zip."""
    visiting.unfold(page)
    page.locator("#upload input[type=file]").set_input_files(archive)
    expect(page.locator("#upload")).to_contain_text(archive.name[:5])


def rank_zip(page: Page, n_checkpoints: int) -> None:
    """With another number of checkpoints than the run before, so that its end is not taken for this one's."""
    visiting.own_list(page, *CHECKPOINTS[:n_checkpoints])
    press(page, "Rank checkpoints")
    expect(visiting.status(page)).to_contain_text(f"Finished: {n_checkpoints} checkpoint", timeout=RUN_MS)
    expect(page.locator("#summary")).to_contain_text("flags")
    expect(page.locator("#summary")).to_contain_text("36 images of 3 classes")


def test_two_visitors_rank_the_same_zip_as_often_as_they_like(
    space: ServedSpace, visit: Callable[..., Window], colour_folder: Path, tmp_path: Path
) -> None:
    files = {str(path.relative_to(colour_folder)): path.read_bytes() for path in colour_folder.rglob("*.png")}
    archive = zipped(tmp_path / "flags.zip", files)
    first, second = visit(space.url), visit(space.url)
    for page in (first.page, second.page):
        drop(page, archive)
    rank_zip(first.page, 2)
    rank_zip(first.page, 1)
    rank_zip(second.page, 2)
    first.page.get_by_role("tab", name="Repeat").click()
    expect(first.page.locator("#python")).to_contain_text('recommend("./flags"')
    first.page.goto("about:blank")
    rank_zip(second.page, 1)
    assert [path.name for path in (space.home / "gradio").rglob("flags.zip")] == ["flags.zip"]
    visiting.dataset_box(second.page).fill("demo:emoji")  # a zip is used instead of whatever is named
    rank_zip(second.page, 2)
    second.page.goto("about:blank")
    until_gone(second.page, space, "flags.zip")


def until_gone(page: Page, space: ServedSpace, name: str) -> None:
    """Wait until no file of that name is left on the server."""
    for _ in range(RUN_MS // 100):
        if not list(space.home.rglob(name)):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"{name} is still there: {list(space.home.rglob(name))}")


def drop_folder(page: Page, *folders: Path) -> None:
    """Let go of folders over the page's place for a zip, as a hand would."""
    visiting.unfold(page)
    page.wait_for_function("localStorage.getItem('lead-hub-browser')")  # the page's own scripts have begun
    box = page.locator("#upload").bounding_box()
    assert box is not None
    at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    held = {"items": [], "files": [str(folder) for folder in folders], "dragOperationsMask": 1}
    browser = page.context.new_cdp_session(page)
    for moment in ("dragEnter", "dragOver", "drop"):
        browser.send("Input.dispatchDragEvent", {"type": moment, **at, "data": held})


def test_a_dropped_folder_is_ranked_on(
    space: ServedSpace, visit: Callable[..., Window], colour_folder: Path, tmp_path: Path
) -> None:
    flags = shutil.copytree(colour_folder, tmp_path / "flags")
    (classes,) = {path.parent.parent for path in flags.rglob("*.png")}
    (classes / "notes.txt").write_text("no image")
    page = visit(space.url).page
    drop_folder(page, flags)
    expect(page.locator("#upload")).to_contain_text("flags")
    rank_zip(page, 1)
    # Its classes side by side, a name among them that is not ASCII.
    next(classes.glob("red")).rename(classes / "rouge é")
    other = visit(space.url).page
    drop_folder(other, *sorted(path for path in classes.iterdir() if path.is_dir()))
    expect(other.locator("#upload")).to_contain_text("images")
    visiting.own_list(other, CHECKPOINTS[0])
    press(other, "Rank checkpoints")
    expect(visiting.status(other)).to_contain_text("Finished: 1 checkpoint", timeout=RUN_MS)
    expect(other.locator("#summary")).to_contain_text("36 images of 3 classes")
    expect(other.locator("#summary")).to_contain_text("rouge é")


def test_a_zip_that_cannot_be_used_says_why_and_can_be_replaced(
    space: ServedSpace, visit: Callable[..., Window], tmp_path: Path
) -> None:
    page = visit(space.url).page
    drop(page, zipped(tmp_path / "texts.zip", {"a.txt": b"a"}))
    visiting.own_list(page, *CHECKPOINTS)
    press(page, "Rank checkpoints")
    expect(visiting.status(page)).to_contain_text("images in one folder a class", timeout=RUN_MS)
    is_idle(page)
    press(page, "Emoji")
    begun(page)
    until_gone(page, space, "texts.zip")
    press(page, "Cancel")
    expect(visiting.status(page)).to_contain_text("Cancelled with", timeout=RUN_MS)

"""Search as you type: a pause asks and not a keystroke, as the visitor, also by keyboard, and without a Hub."""

import re
from collections.abc import Callable

import pytest

from lead_hub.candidates import FoundCheckpoint
from lead_hub.labelled_images import FoundDataset
from spaces_app.found_html import checkpoints_html, datasets_html, silent_html
from spaces_app.searching import is_searched
from tests.leaderboard.made_boards import HOSTILE, parsed, text_of
from tests.loopback_hub import HubServer
from tests.spaces_app.seeds import COLOURS
from tests.spaces_app.served import ServedSpace

pytest.importorskip("playwright", reason="no playwright: pip install lead-hub[test]")
from playwright.sync_api import Page, expect

from tests.spaces_app import visiting
from tests.spaces_app.visiting import RUN_MS, Window


def test_what_was_found_can_be_pressed() -> None:
    found = (
        FoundDataset("org/pets", is_for_classification=True, downloads=1234, is_private=False),
        FoundDataset("me/pets", is_for_classification=False, downloads=None, is_private=True),
    )
    page = parsed(datasets_html(found, sought="pets"))
    assert [button.attrib["data-id"] for button in page.iter("button")] == ["org/pets", "me/pets"]
    assert [" ".join("".join(button.itertext()).split()) for button in page.iter("button")] == [
        "org/pets image classification, 1.2K downloads",
        "me/pets private",
    ]
    assert "2 datasets found, press one to take it:" in text_of(datasets_html(found, sought="pets"))
    one = (FoundCheckpoint("org/vit", 7, is_private=False, task="image-feature-extraction"),)
    assert "1 checkpoint found" in text_of(checkpoints_html(one, sought="vit"))
    assert "image feature extraction, 7 downloads" in text_of(checkpoints_html(one, sought="vit"))
    assert text_of(datasets_html((), sought="zzz")) == "No dataset of the Hub is called like zzz."
    assert "type the whole id" in text_of(silent_html())


@pytest.mark.parametrize("name", HOSTILE)
def test_names_and_words_by_others_are_text(name: str) -> None:
    found = (FoundDataset(name, is_for_classification=True, downloads=1, is_private=False),)
    assert not list(parsed(datasets_html(found, sought=name)).iter("button"))  # no name of the Hub
    checkpoints = (FoundCheckpoint("org/vit", 1, is_private=False, task=name),)
    tags = {element.tag for element in parsed(checkpoints_html(checkpoints, sought=name)).iter()}
    assert tags == {"page", "div", "p", "ul", "li", "button", "bdi", "span"}


def test_what_is_no_part_of_a_name_is_not_searched() -> None:
    assert is_searched("pets", paths_allowed=False)
    assert is_searched(" org/pets ", paths_allowed=True)
    for typed in ("", None, "pe", "demo:photographs", "/etc", "./pets", "~/pets", "org/vit@main", "x" * 500):
        assert not is_searched(typed, paths_allowed=True)
    assert not is_searched("tests", paths_allowed=True)  # a folder of this machine
    assert is_searched("tests", paths_allowed=False)


def searches(hub: HubServer) -> list[str]:
    return [request.path for request in list(hub.requests) if "search=" in request.path]


@pytest.mark.usefixtures("seeded")
def test_a_dataset_is_found_by_part_of_its_name_and_taken_by_keyboard(
    space: ServedSpace, space_hub: HubServer, visit: Callable[..., Window]
) -> None:
    page = visit(space.url).page
    box = visiting.dataset_box(page)
    expect(box).to_be_visible()
    space_hub.requests.clear()
    box.press_sequentially("colours", delay=20)
    found = page.get_by_role("list", name="Datasets found").get_by_role("button")
    expect(found).to_have_text([re.compile("^org/colours")], timeout=RUN_MS)
    assert len(searches(space_hub)) <= 4  # two listings each, of one pause; of two where this machine is slow
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.id || ''") == "org/colours":
            break
    page.keyboard.press("Enter")
    expect(box).to_have_value("org/colours")
    expect(page.locator("#dataset-status")).to_contain_text("Found, public on the Hub", timeout=RUN_MS)
    expect(page.locator("#pictures")).to_contain_text("36 images of 3 classes", timeout=RUN_MS)
    assert all(name in page.locator("#pictures").inner_text() for name in COLOURS)
    expect(found).to_have_count(0)
    assert visiting.overflow_px(page) <= 0


@pytest.mark.usefixtures("seeded")
def test_what_was_found_goes_with_the_text_that_it_was_found_for(
    space: ServedSpace, visit: Callable[..., Window]
) -> None:
    page = visit(space.url).page
    box, found = visiting.dataset_box(page), page.locator("#datasets-found")
    box.press_sequentially("colours", delay=20)
    expect(found.get_by_role("button")).to_have_text([re.compile("^org/colours")], timeout=RUN_MS)
    box.fill("demo:scripts")  # pasted: one event for the whole text
    expect(found.get_by_role("button")).to_have_count(0)
    box.fill("zzz-nothing")
    expect(found).to_contain_text("No dataset of the Hub is called like zzz-nothing.")


@pytest.mark.usefixtures("seeded")
def test_what_is_private_is_found_by_its_owner_alone(space: ServedSpace, visit: Callable[..., Window]) -> None:
    alice, bob = visit(space.url).page, visit(space.url).page
    visiting.sign_in(alice, "alice", url=space.url)
    for page in (alice, bob):
        visiting.dataset_box(page).press_sequentially("secret", delay=20)
    expect(alice.get_by_role("list", name="Datasets found")).to_contain_text("alice/secret", timeout=RUN_MS)
    expect(alice.get_by_role("list", name="Datasets found")).to_contain_text("private")
    expect(bob.locator("#datasets-found")).to_contain_text("No dataset of the Hub", timeout=RUN_MS)
    assert "alice/secret" not in bob.content()


def press_found(page: Page, name: str) -> None:
    page.get_by_role("list", name="Checkpoints found").get_by_role("button", name=name).click()


@pytest.mark.usefixtures("seeded")
def test_checkpoints_are_added_line_by_line(space: ServedSpace, space_hub: HubServer, visit: Callable) -> None:
    for name in ("org/searched-resnet", "org/searched-vit"):
        if ("model", name) not in space_hub.repositories:
            space_hub.add_repo(name, files={"README.md": b"---\npipeline_tag: image-classification\n---\n"})
    page = visit(space.url, viewport=visiting.PHONE).page
    visiting.own_list(page)
    box = page.get_by_label("Your checkpoints")
    box.press_sequentially("searched-r", delay=20)
    press_found(page, "org/searched-resnet")
    expect(box).to_have_value("org/searched-resnet\n")
    box.focus()
    page.keyboard.press("Control+End")
    box.press_sequentially("searched-v", delay=20)
    press_found(page, "org/searched-vit")
    expect(box).to_have_value("org/searched-resnet\norg/searched-vit\n")
    assert visiting.overflow_px(page) <= 0


def test_without_a_hub_the_name_can_still_be_typed(laptop: ServedSpace, visit: Callable[..., Window]) -> None:
    page = visit(laptop.url).page
    visiting.dataset_box(page).press_sequentially("some-dataset", delay=10)
    expect(page.locator("#datasets-found")).to_contain_text("The Hub does not answer just now", timeout=RUN_MS)
    expect(visiting.dataset_box(page)).to_have_value("some-dataset")

"""A result has an address: found again by reload and by others, but what is private by its owner alone."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lead_hub.demo import pool
from spaces_app.addresses import found_again_html, owners_of, readable, recent_html
from spaces_app.kept_boards import KeptBoard
from spaces_app.request import RunRequest
from spaces_app.shown import Shown
from spaces_app.visitors import Deployment, Visitor
from tests.leaderboard.made_boards import DATASET, GOOD, HOSTILE, board_of, parsed, text_of
from tests.loopback_hub import HubServer
from tests.spaces_app.seeds import CHECKPOINTS, SECRETS
from tests.spaces_app.served import ServedSpace

pytest.importorskip("playwright", reason="no playwright: pip install lead-hub[test]")
from playwright.sync_api import Page, expect

from tests.spaces_app import visiting
from tests.spaces_app.test_presses import drop
from tests.spaces_app.test_uploads import zipped
from tests.spaces_app.visiting import RUN_MS, Window

N_DEMO = len(pool("scripts"))
ID, OTHER = "a" * 32, "b" * 32
SHARED = Deployment(is_shared=True, has_sign_in=True)


def test_who_owns_a_run() -> None:
    assert owners_of(Visitor(None), ID, Deployment()) == ("machine",)
    assert owners_of(Visitor("hf_x", "alice"), ID, SHARED) == ("hub:alice", f"browser:{ID}")
    assert owners_of(Visitor(False), ID, SHARED) == (f"browser:{ID}",)
    assert owners_of(Visitor(False, "alice"), ID, SHARED) == (f"browser:{ID}",)  # a name without a token is nobody's
    for claimed in ("", "hub:alice", None, 7, "a" * 31, [ID]):
        assert owners_of(Visitor(False), claimed, SHARED) == ()


def test_what_a_browser_says_of_its_runs_is_not_trusted() -> None:
    assert readable([[ID, "org/flowers"], ["../x", "y"], [OTHER], "z", [OTHER, 7], [OTHER, "n" * 99]]) == [
        [ID, "org/flowers", ""],
        [OTHER, "n" * 60, ""],
    ]
    assert readable([[ID, "a", "Zm9v"], [ID, "b", 7], [ID, "c", "", ""], [ID, "d", "x" * 6001]]) == [
        [ID, "a", "Zm9v"],
        [ID, "d", ""],
    ]
    assert readable([[ID, "e", picture] for picture in ('" onerror="x', "<b>", "Zm9v\n", "é")]) == [[ID, "e", ""]] * 4
    assert readable({"a": 1}) == readable(None) == []
    assert len(readable([[ID, "x"]] * 50)) == 8


def test_the_last_runs_are_cards() -> None:
    html = recent_html([[ID, name, ""] for name in HOSTILE])
    assert [element.attrib["href"] for element in parsed(html).iter("a")] == [f"?run={ID}"] * len(HOSTILE)
    assert {element.tag for element in parsed(html).iter()} == {"page", "nav", "p", "ul", "li", "a", "span", "bdi"}
    cards = parsed(recent_html([[ID, "org/flowers", "Zm9v"], [OTHER, "demo:scripts", ""], [OTHER, "", ""]]))
    assert [image.attrib["src"] for image in cards.iter("img")] == ["data:image/jpeg;base64,Zm9v"]
    assert [letter.text for letter in cards.iter("span")] == ["S", None]
    assert recent_html([]) == ""


def test_how_long_it_is_kept_is_said() -> None:
    shown = Shown(RunRequest("org/flowers"), board_of(GOOD, dataset=replace(DATASET, is_private=False)))
    public = text_of(found_again_html(KeptBoard(shown, "finished", "")))
    assert public == "Found again: 1 checkpoint ranked. Kept for a week, for everybody with this address."
    private = replace(shown, brought="zip")
    assert "Kept for an hour, for you alone." in text_of(found_again_html(KeptBoard(private, "cancelled", "")))
    assert "stopped after its page was left" in text_of(found_again_html(KeptBoard(shown, "left", "")))
    assert "This run goes on, 1 checkpoint ranked so far." in text_of(found_again_html(KeptBoard(shown, "running", "")))
    assert "no result at this address" in text_of(found_again_html(None))


def address(page: Page) -> str:
    """Of the page's run."""
    page.wait_for_function("new URLSearchParams(location.search).has('run')")
    return page.url


def test_a_result_is_found_again_by_reload_by_others_and_in_the_list(
    laptop: ServedSpace, visit: Callable[..., Window]
) -> None:
    page = visit(laptop.url).page
    page.get_by_role("button", name="Writing systems").click()
    at = address(page)
    assert re.search(r"\?run=[0-9a-f]{32}$", at)
    expect(visiting.status(page)).to_contain_text("Finished", timeout=RUN_MS)
    expect(page.locator("#verdict")).to_be_focused(timeout=RUN_MS)  # all that the end of a run does is done
    names = visiting.column(page, "checkpoint")
    page.reload()
    expect(visiting.status(page)).to_contain_text(f"Found again: {N_DEMO} checkpoints ranked", timeout=RUN_MS)
    assert visiting.column(page, "checkpoint") == names
    expect(page.locator("#asked-text")).to_contain_text("demo:scripts")
    expect(page.locator("#form")).not_to_be_visible()
    expect(page.locator("#choice input")).to_have_value(f"1. {names[0]}")
    other = visit(at).page
    expect(visiting.status(other)).to_contain_text("for everybody with this address", timeout=RUN_MS)
    assert visiting.column(other, "checkpoint") == names
    page.goto(laptop.url)
    card = page.get_by_role("navigation", name="Your last runs").get_by_role("link", name="demo:scripts")
    assert card.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    card.click()
    expect(visiting.status(page)).to_contain_text("Found again", timeout=RUN_MS)
    assert page.url == at
    visiting.dataset_box(page).fill("no/such-folder")
    page.get_by_role("button", name="Rank checkpoints").click()
    expect(visiting.status(page)).to_contain_text("The run stopped", timeout=RUN_MS)
    links = page.get_by_role("navigation", name="Your last runs").get_by_role("link")
    expect(links).to_have_text(["demo:scripts"])
    page.goto(laptop.url)
    expect(links).to_have_text(["demo:scripts"])
    nobody = visit(f"{laptop.url}/?run={ID}").page
    expect(visiting.status(nobody)).to_contain_text("no result at this address", timeout=RUN_MS)
    expect(nobody.get_by_role("button", name="Rank checkpoints")).to_be_visible()


def test_a_run_goes_on_without_its_page_and_is_found_again(laptop: ServedSpace, visit: Callable[..., Window]) -> None:
    window = visit(laptop.url)
    window.page.get_by_role("button", name="Emoji").click()
    visiting.begun(window.page)
    at = address(window.page)
    window.page.goto("about:blank")
    page = visit(at).page  # another browser: on one's own machine it is the owner's all the same
    expect(visiting.status(page)).to_contain_text(re.compile("Checkpoint|goes on|Found again"), timeout=RUN_MS)
    expect(page.locator("#asked-text")).to_contain_text("demo:emoji")
    expect(visiting.status(page)).to_contain_text(f"Found again: {N_DEMO} checkpoints ranked", timeout=RUN_MS)
    assert visiting.row_count(page) == N_DEMO
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    expect(page.get_by_role("tab", name="Explain")).to_be_visible()


def test_a_run_whose_page_was_left_is_stopped_from_the_page_that_is_opened_again(
    laptop: ServedSpace, visit: Callable[..., Window]
) -> None:
    page = visit(laptop.url).page
    page.get_by_role("button", name="Clip art").click()
    visiting.begun(page)
    page.reload()
    page.get_by_role("button", name="Cancel").click(timeout=RUN_MS)
    expect(visiting.status(page)).to_contain_text("Found again: cancelled", timeout=RUN_MS)
    assert 0 < visiting.row_count(page) < N_DEMO
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)


@pytest.mark.usefixtures("seeded")
def test_a_private_result_is_found_by_its_owner_alone(
    space: ServedSpace, space_hub: HubServer, visit: Callable[..., Window], colour_folder: Path, tmp_path: Path
) -> None:
    alice, bob = visit(space.url).page, visit(space.url).page
    visiting.sign_in(alice, "alice", url=space.url)
    visiting.sign_in(bob, "bob", url=space.url)
    visiting.dataset_box(alice).fill("alice/secret")
    visiting.own_list(alice, *CHECKPOINTS)
    alice.get_by_role("button", name="Rank checkpoints").click()
    expect(visiting.status(alice)).to_contain_text("Finished", timeout=RUN_MS)
    at = address(alice)
    for stranger in (bob, visit(space.url).page):
        stranger.goto(at)
        expect(visiting.status(stranger)).to_contain_text("no result at this address", timeout=RUN_MS)
        assert not any(word in stranger.content() for word in (*SECRETS, "alice/secret"))
    alice.reload()
    expect(visiting.status(alice)).to_contain_text("for you alone", timeout=RUN_MS)
    expect(alice.locator("#summary")).to_contain_text("wolverine")
    assert space.files_with(*SECRETS, "alice/secret", "alice--secret") == []
    # Its card has a letter: a private picture is kept nowhere, not even in the browser of its owner.
    alice.goto(space.url)
    card = alice.get_by_role("navigation", name="Your last runs").get_by_role("link", name="alice/secret")
    expect(card.locator("span")).to_have_text("S")
    expect(card.locator("img")).to_have_count(0)
    # A zip belongs to the browser that brought it.
    files = {str(path.relative_to(colour_folder)): path.read_bytes() for path in colour_folder.rglob("*.png")}
    nobody = visit(space.url).page
    drop(nobody, zipped(tmp_path / "birds.zip", files))
    visiting.own_list(nobody, CHECKPOINTS[0])
    nobody.get_by_role("button", name="Rank checkpoints").click()
    expect(visiting.status(nobody)).to_contain_text("Finished", timeout=RUN_MS)
    bob.goto(address(nobody))
    expect(visiting.status(bob)).to_contain_text("no result at this address", timeout=RUN_MS)
    nobody.reload()
    expect(visiting.status(nobody)).to_contain_text("Found again: 1 checkpoint ranked", timeout=RUN_MS)

"""The Space and its test Hub: what strangers may see of each other, what is said when something is wrong, the push."""

import json
from collections.abc import Callable

import pytest
from huggingface_hub import HfApi

from tests.loopback_hub import HubServer
from tests.spaces_app.seeds import CHECKPOINTS, HOSTILE, SECRETS
from tests.spaces_app.served import ServedSpace

pytest.importorskip("playwright", reason="no playwright: pip install lead-hub[test]")
from playwright.sync_api import Page, expect

from tests.spaces_app import visiting
from tests.spaces_app.visiting import RUN_MS, Window

pytestmark = pytest.mark.usefixtures("seeded")


def say(page: Page, dataset: str) -> str:
    """What is said of a dataset when its box is left."""
    said = page.locator("#dataset-status p")
    before = said.inner_text() if said.count() else ""
    visiting.dataset_box(page).fill(dataset)
    visiting.dataset_box(page).blur()
    expect(said).not_to_have_text(before, timeout=RUN_MS)
    return said.inner_text()


def rank(page: Page, dataset: str) -> None:
    visiting.dataset_box(page).fill(dataset)
    visiting.own_list(page, *CHECKPOINTS)
    page.get_by_role("button", name="Rank checkpoints").click()


def finish(page: Page) -> None:
    expect(visiting.status(page)).to_contain_text(f"Finished: {len(CHECKPOINTS)} checkpoints", timeout=RUN_MS)


def test_what_is_wrong_with_a_dataset_is_said_when_its_box_is_left(
    space: ServedSpace, visit: Callable[..., Window]
) -> None:
    page = visit(space.url).page
    assert "Found, public on the Hub" in say(page, "org/colours")
    missing = say(page, "nobody/nothing")
    assert "nobody/nothing" in missing
    assert "sign in at the top of the page" in missing
    # looks the same: that it exists is nobody's business
    assert "sign in at the top of the page" in say(page, "alice/secret")
    texts = say(page, "org/texts")
    assert "sentence" in texts
    assert "mood" in texts
    for path in ("/etc", "../..", "demo:nothing", str(space.home)):
        assert "must" in say(page, path)
    rank(page, "nobody/nothing")
    expect(visiting.status(page)).to_contain_text("The run stopped", timeout=RUN_MS)
    expect(visiting.status(page)).to_contain_text("press Rank checkpoints again")
    rank(page, "/etc")
    expect(visiting.status(page)).to_contain_text("id on the Hub", timeout=RUN_MS)


def test_pickers_offer_what_the_dataset_has(space: ServedSpace, visit: Callable[..., Window]) -> None:
    page = visit(space.url).page
    assert "Splits: train (36); 2 configurations" in say(page, "org/two")
    page.get_by_label("Configuration").click()
    page.get_by_role("option", name="large").click()
    expect(page.locator("#dataset-status")).to_contain_text("Splits: learn (20)", timeout=RUN_MS)
    expect(page.locator("#split input")).to_have_value("learn")
    expect(page.locator("#estimate")).to_contain_text("on up to 20 images", timeout=RUN_MS)
    page.get_by_label("My own list").click()
    page.get_by_label("Your checkpoints").fill("org/resnet")
    page.get_by_role("button", name="Rank checkpoints").click()
    expect(visiting.status(page)).to_contain_text("Finished: 1 checkpoint ranked", timeout=RUN_MS)
    expect(page.locator("#summary")).to_contain_text("configuration large, split learn: 20 images of 2 classes")
    page.get_by_role("tab", name="Repeat").click()
    expect(page.locator("#python")).to_contain_text('config="large"')


def test_names_by_strangers_stay_text_and_pushing_asks_to_sign_in(
    space: ServedSpace, visit: Callable[..., Window]
) -> None:
    page = visit(
        f"{space.url}/?dataset=org%2Fhostile&source=own&own_candidates=org%2Fresnet&own_candidates=%3Cb%3E"
    ).page
    expect(visiting.dataset_box(page)).to_have_value("org/hostile")
    expect(page.get_by_label("Your checkpoints")).to_have_value("org/resnet\n<b>")
    page.get_by_label("Your checkpoints").fill("\n".join(CHECKPOINTS))
    page.get_by_role("button", name="Rank checkpoints").click()
    finish(page)
    for name in HOSTILE:
        expect(page.locator("#summary")).to_contain_text(name[:12])
        expect(page.locator("#confusion")).to_contain_text(name[:12])
    assert page.locator("img[src=x], a[href^=javascript]").count() == 0
    assert page.evaluate("[...document.scripts].filter(script => script.text.includes('alert(')).length") == 0
    page.get_by_label("Dataset repository of yours").fill("alice/lead-scores")
    page.get_by_role("button", name="Push score cards").click()
    expect(page.locator("#pushed")).to_contain_text("Sign in with Hugging Face")


def test_a_visitor_signs_in_ranks_a_private_dataset_and_pushes_while_another_goes_on(
    space: ServedSpace, space_hub: HubServer, visit: Callable[..., Window]
) -> None:
    alice, bob = visit(space.url).page, visit(space.url).page
    visiting.sign_in(alice, "alice", url=space.url)
    visiting.sign_in(bob, "bob", url=space.url)
    expect(alice.get_by_role("button", name="Push score cards")).not_to_be_visible()
    assert "private on the Hub" in say(alice, "alice/secret")
    space_hub.requests.clear()
    rank(alice, "alice/secret")
    rank(bob, "alice/secret")  # fails, at the same time
    expect(visiting.status(bob)).to_contain_text("The run stopped", timeout=RUN_MS)
    rank(bob, "org/colours")
    finish(alice)
    finish(bob)
    expect(alice.locator("#summary")).to_contain_text("wolverine")
    links = alice.locator("#board a").evaluate_all("links => links.map(link => link.href)")
    assert sorted(links) == sorted(f"{space_hub.endpoint}/{name}" for name in CHECKPOINTS)
    assert not any(word in bob.content() for word in SECRETS)
    answered = [each for each in space_hub.requests if "datasets/alice/secret" in each.path and each.status == 200]
    assert {each.user for each in answered if not each.path.startswith("/_cdn/")} == {"alice"}
    again = visit(space.url).page  # bob's, the next day, without any sign-in
    rank(again, "alice/secret")
    expect(visiting.status(again)).to_contain_text("The run stopped", timeout=RUN_MS)
    assert not any(word in again.content() for word in SECRETS)
    push(alice, space_hub)
    tokens = [user.token for user in space_hub.users.values()]
    assert space.files_with(*SECRETS, "alice/secret", "alice--secret", *tokens) == []


def push(page: Page, hub: HubServer) -> None:
    """And see on the Hub what came of it."""
    expect(page.get_by_label("Dataset repository of yours")).to_have_value("alice/lead-scores")
    hub.requests.clear()
    page.get_by_role("button", name="Push score cards").click()
    expect(page.locator("#pushed")).to_contain_text("Pushed", timeout=RUN_MS)
    api = HfApi(endpoint=hub.endpoint, token=hub.add_user("alice"))
    assert api.dataset_info("alice/lead-scores").private
    assert {request.user for request in hub.requests if request.method == "POST" and request.status == 200} == {"alice"}
    files = hub.repo("alice/lead-scores", kind="dataset").files_at()
    cards = {path: json.loads(text) for path, text in files.items() if path.startswith("cards/alice--secret/")}
    assert {card["checkpoint"]: card["sha"] for card in cards.values()} == {
        name: hub.repo(name).head for name in CHECKPOINTS
    }
    shown = dict(zip(visiting.figures(page, "checkpoint"), visiting.figures(page, "score"), strict=True))
    for card in cards.values():
        assert float(shown[card["checkpoint"]]) == pytest.approx(card["results"][0]["row"]["score"], rel=1e-4)


def test_a_cancel_stops_ones_own_run_alone(space: ServedSpace, visit: Callable[..., Window]) -> None:
    first = visit(f"{space.url}/?dataset=demo%3Aclipart&source=demo&max_images=200").page
    second = visit(space.url).page
    expect(visiting.dataset_box(first)).to_have_value("demo:clipart")
    first.get_by_role("button", name="Rank checkpoints").click()
    second.get_by_role("button", name="Emoji").click()
    for page in (first, second):
        visiting.begun(page)
    second.get_by_role("button", name="Cancel").click()
    expect(visiting.status(second)).to_contain_text("Cancelled", timeout=RUN_MS)
    expect(visiting.status(first)).to_contain_text("Finished: 14", timeout=RUN_MS)

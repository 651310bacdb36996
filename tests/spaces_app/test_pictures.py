"""Pictures: of every class before a run, of mistakes after it; for whoever may see the images, and kept nowhere."""

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lead_hub.recommendation import PredictedClasses, SamplePictures
from lead_hub.recommendation.pictures import ClassPictures
from spaces_app.picture_html import SHOWN_AT_ONCE, mistakes_html, sample_html, too_large_html
from tests.leaderboard.made_boards import HOSTILE, parsed, text_of
from tests.spaces_app.seeds import CHECKPOINTS, COLOURS, SECRETS
from tests.spaces_app.served import ServedSpace

pytest.importorskip("playwright", reason="no playwright: pip install lead-hub[test]")
from playwright.sync_api import Locator, Page, expect

from tests.spaces_app import visiting
from tests.spaces_app.test_presses import drop
from tests.spaces_app.test_uploads import zipped
from tests.spaces_app.visiting import RUN_MS, Window


def of_class(name: str, n_images: int, *jpegs: bytes) -> ClassPictures:
    return ClassPictures(name, n_images, jpegs or (b"a",))


def test_how_many_of_each_class() -> None:
    sample = SamplePictures(30, 2, (of_class("cat", 20, b"one", b"two"), of_class("dog", 10)), ("dog", 10))
    page = parsed(sample_html(sample))
    assert "30 images of 2 classes: from 10 (dog) to 20 (cat), 2 times as many." in text_of(sample_html(sample))
    pictures = list(page.iter("img"))
    assert [picture.attrib["alt"] for picture in pictures] == ["cat", "cat", "dog"]
    content = [picture.attrib["src"].removeprefix("data:image/jpeg;base64,") for picture in pictures]
    assert [base64.b64decode(each) for each in content] == [b"one", b"two", b"a"]
    even = SamplePictures(20, 2, (of_class("cat", 10), of_class("dog", 10)), ("dog", 10))
    assert "20 images of 2 classes: 10 of each." in text_of(sample_html(even))


def test_what_is_more_and_what_is_twice() -> None:
    classes = tuple(of_class(f"class {number}", 90 - number) for number in range(SHOWN_AT_ONCE + 2))
    sample = SamplePictures(2000, 40, classes, ("last", 3), copies=((b"x", b"x"),), notes=("2 are copies",))
    page = parsed(sample_html(sample))
    (rest,) = page.iter("details")
    assert "".join(rest.find("summary").itertext()) == "32 more classes"
    assert len(rest.findall("ul/li")) == 2
    assert "and 30 smaller ones" in "".join(rest.itertext())
    text = text_of(sample_html(sample))
    assert "More than once:" in text
    assert "2 are copies." in text


def test_what_is_wrong_and_what_it_is_taken_for() -> None:
    labels, predicted = np.array([0, 1, 1]), np.array([1, 1, 0])
    given = PredictedClasses("sha", ("cat", "dog"), np.arange(3), labels, predicted, {0: b"first", 2: b"third"})
    text = text_of(mistakes_html(given))
    assert "2 of 3 images are taken for another class." in text
    assert [each.attrib["alt"] for each in parsed(mistakes_html(given)).iter("img")] == ["cat", "dog"]
    assert re.search(r"cat\s*taken for dog", text)
    assert mistakes_html(None) == ""
    all_right = PredictedClasses("sha", ("cat", "dog"), np.arange(3), labels, labels, {})
    assert mistakes_html(all_right) == ""


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_classes_are_text(name: str) -> None:
    sample = SamplePictures(4, 2, (of_class(name, 2), of_class("dog", 2)), (name, 2), notes=(name,))
    tags = {element.tag for element in parsed(sample_html(sample)).iter()}
    assert tags <= {"page", "section", "p", "b", "ul", "li", "bdi", "span", "div", "img"}
    given = PredictedClasses("sha", (name, "dog"), np.arange(1), np.array([0]), np.array([1]), {0: b"x"})
    tags = {element.tag for element in parsed(mistakes_html(given)).iter()}
    assert tags <= {"page", "section", "p", "b", "ul", "li", "bdi", "br", "img"}


def test_what_is_too_large_says_so() -> None:
    assert text_of(too_large_html(5_200_000_000)).startswith("5.2 GB to read")
    assert text_of(too_large_html(None)).startswith("Many files to read")


def pictures_in(place: Locator) -> list[tuple[str, float]]:
    """Name and mean brightness of red, as a browser has them."""
    found = place.locator("img").evaluate_all("all => all.map(one => [one.alt, one.src])")
    contents = [(alt, base64.b64decode(src.removeprefix("data:image/jpeg;base64,"))) for alt, src in found]
    return [(alt, float(np.asarray(Image.open(io.BytesIO(content)))[..., 0].mean())) for alt, content in contents]


def named(page: Page, dataset: str) -> Locator:
    visiting.dataset_box(page).fill(dataset)
    page.keyboard.press("Tab")
    return page.locator("#pictures")


def test_a_dataset_is_seen_as_soon_as_it_is_named(
    laptop: ServedSpace, visit: Callable[..., Window], colour_folder: Path, tmp_path: Path
) -> None:
    page = visit(laptop.url).page
    pictures = named(page, "demo:photographs")
    expect(pictures).to_contain_text("107 images of 11 classes", timeout=RUN_MS)
    assert len(pictures_in(pictures)) == 11 * 4
    pictures.get_by_text("3 more classes").focus()
    page.keyboard.press("Enter")
    expect(pictures.locator("details img").first).to_be_visible()
    assert visiting.overflow_px(page) <= 0
    named(page, "demo:emoji")
    expect(pictures).not_to_contain_text("11 classes", timeout=RUN_MS)
    expect(pictures).to_contain_text("images of", timeout=RUN_MS)
    named(page, "no/such-folder")
    expect(page.locator("#dataset-status")).to_contain_text("no/such-folder", timeout=RUN_MS)
    expect(pictures.locator("img")).to_have_count(0)
    files = {str(path.relative_to(colour_folder)): path.read_bytes() for path in colour_folder.rglob("*.png")}
    drop(page, zipped(tmp_path / "flags.zip", files))
    expect(pictures).to_contain_text("36 images of 3 classes: 12 of each", timeout=RUN_MS)


@pytest.mark.usefixtures("seeded")
def test_pictures_are_for_whoever_ranked_and_are_kept_nowhere(space: ServedSpace, visit: Callable[..., Window]) -> None:
    alice, bob = visit(space.url).page, visit(space.url).page
    visiting.sign_in(alice, "alice", url=space.url)
    pictures = named(alice, "alice/secret")
    expect(pictures).to_contain_text("36 images of 3 classes", timeout=RUN_MS)
    of_colour = dict(pictures_in(pictures))
    assert of_colour.keys() == SECRETS.keys()
    for name, colour in SECRETS.items():
        assert abs(of_colour[name] - colour[0]) < 15
    expect(named(bob, "alice/secret").locator("img")).to_have_count(0)
    expect(bob.locator("#dataset-status")).to_contain_text("alice/secret", timeout=RUN_MS)
    expect(bob.locator("#pictures img")).to_have_count(0)
    assert space.files_with(*SECRETS) == []
    visiting.own_list(alice, *CHECKPOINTS)
    alice.get_by_role("button", name="Rank checkpoints").click()
    expect(visiting.status(alice)).to_contain_text("Finished", timeout=RUN_MS)
    alice.get_by_role("button", name="The images that are ranked on").click()
    expect(alice.locator("#looked img").first).to_be_visible()
    # Found again, by herself too, the board shows none.
    alice.reload()
    expect(visiting.status(alice)).to_contain_text("Found again", timeout=RUN_MS)
    expect(alice.locator("#looked img, #mistakes img")).to_have_count(0)
    assert space.files_with(*SECRETS) == []
    assert list(space.home.rglob("pixels.uint8")) == []


@pytest.mark.usefixtures("seeded")
def test_signed_out_public_images_are_seen(space: ServedSpace, visit: Callable[..., Window]) -> None:
    page = visit(space.url, viewport=visiting.PHONE).page
    pictures = named(page, "org/colours")
    expect(pictures).to_contain_text("36 images of 3 classes: 12 of each", timeout=RUN_MS)
    assert [name for name, _ in pictures_in(pictures)] == [name for name in COLOURS for _ in range(4)]
    assert visiting.overflow_px(page) <= 0


def test_what_a_checkpoint_gets_wrong_is_seen(laptop: ServedSpace, visit: Callable[..., Window]) -> None:
    page = visit(laptop.url).page
    page.get_by_role("button", name="Writing systems").click()
    expect(visiting.status(page)).to_contain_text("Finished", timeout=RUN_MS)
    mistakes = page.locator("#mistakes")
    expect(mistakes.locator("img")).to_have_count(16)
    first = mistakes.inner_text()
    wrong = int(re.search(r"(\d+) of 512 images are taken for another class", first)[1])
    right = page.locator("#confusion td.lh-right").evaluate_all("all => all.map(cell => Number(cell.innerText))")
    assert wrong == 512 - sum(right)
    page.locator("#board tbody tr").last.click()
    expect(mistakes).not_to_have_text(first)

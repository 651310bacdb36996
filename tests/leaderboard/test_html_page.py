"""One file for a colleague, a notebook's view, drawings: whole, harmless, and nothing is loaded from elsewhere."""

import re
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub.constants import ENDPOINT

from lead_hub.errors import LeadHubError
from lead_hub.leaderboard import Leaderboard, Skipped
from tests.leaderboard.made_boards import (
    DATASET,
    FAIR,
    FINGERPRINT,
    GOOD,
    HOSTILE,
    LOCAL,
    TURNS_AND_BREAKS,
    board_of,
    hostile_board,
    is_harmless,
    text_of,
)

BOARD = board_of(LOCAL, GOOD, FAIR)


def hostile() -> Leaderboard:
    board = hostile_board()
    for name in HOSTILE:
        board = board.with_skipped(Skipped(name, None, stage=name, reason=name))
    return replace(board, settings={name: name for name in HOSTILE}, versions={name: name for name in HOSTILE})


def body_of(page: str) -> str:
    return page.partition("<body>")[2].partition("</body>")[0].replace("<main>", "<div>").replace("</main>", "</div>")


def harmless(page: str) -> bool:
    """The page's own frame is ours; what stands in it must be harmless."""
    frame = {"section": "div", "footer": "div", "h1": "p"}
    body = body_of(page)
    for ours, known in frame.items():
        body = re.sub(rf"<(/?){ours}>", rf"<\1{known}>", body)
    return is_harmless(body.replace(ENDPOINT, "https://hub.example"))


def test_the_file_holds_answer_table_drawings_and_how_it_was_made(tmp_path: Path) -> None:
    page = BOARD.save(tmp_path / "board.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    for words in (
        *("One of these 2:", "org/good", "chance to be the best", "Leaderboard", "How sure the ranks are"),
        *("Score and size", "Which classes", "What it was ranked on", "seed", "0123456789abcdef"),
    ):
        assert words in page, words
    assert page.index("One of these 2:") < page.index('aria-label="Leaderboard"') < page.index("How sure the ranks are")


@pytest.mark.parametrize("board", [BOARD, hostile(), board_of(n_candidates=2)], ids=["plain", "hostile", "empty"])
def test_nothing_in_it_can_run_or_load(board: Leaderboard, tmp_path: Path) -> None:
    page = board.save(tmp_path / "board.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in page
    assert not re.findall(r"<(?:script|link|img|iframe|object|base|form)\b", page)
    assert not re.findall(r"url\(|@import", "".join(re.findall(r"<style>[^<]*</style>", page)))
    assert harmless(page)
    head = page.partition("</head>")[0]
    assert head.count("<title>") == head.count("</title>") == 1
    assert not TURNS_AND_BREAKS & set(re.sub(r"<style>[^<]*</style>", "", page.rstrip("\n")))


def test_no_place_of_this_machine_is_in_it(tmp_path: Path) -> None:
    here = replace(
        DATASET, dataset="/home/me/pictures/flowers", sha=FINGERPRINT, is_local=True, notes=("see /home/me/x",)
    )
    board = replace(board_of(LOCAL, replace(GOOD, note="in /home/me/cache/z")), dataset=here)
    board = board.with_skipped(
        Skipped("/home/me/models/bad", None, stage="load", reason="found no /home/me/models/bad/w")
    )
    page = board.save(tmp_path / "board.html").read_text(encoding="utf-8")
    assert "/home/" not in page
    assert "pictures/flowers" in page
    assert "/home/" not in board._repr_html_()


def test_a_private_boards_file_is_its_owners_alone(tmp_path: Path) -> None:
    assert stat.S_IMODE(BOARD.save(tmp_path / "board.html").stat().st_mode) == 0o600  # LOCAL is private


def test_it_is_no_board_to_load(tmp_path: Path) -> None:
    with pytest.raises(LeadHubError, match=r"read from \.json or \.parquet"):
        Leaderboard.load(BOARD.save(tmp_path / "board.html"))


def test_a_notebook_shows_answer_and_table() -> None:
    html = BOARD._repr_html_()
    assert is_harmless(html.replace(ENDPOINT, "https://hub.example"))
    assert is_harmless(hostile()._repr_html_().replace(ENDPOINT, "https://hub.example"))
    assert "One of these 2:" in text_of(html)
    assert 'aria-label="Leaderboard"' in html
    assert "No checkpoint has been ranked yet" in board_of(n_candidates=2)._repr_html_()


def test_drawings(tmp_path: Path) -> None:
    titles = {
        "ranks": "How sure the ranks are",
        "size": "Score and size",
        "confusion": "Which classes org/good confuses",
    }
    for kind, title in titles.items():
        html = BOARD.plot(kind)._repr_html_()
        assert title in text_of(html)
        assert sum(other in text_of(html) for other in titles.values()) == 1
    assert all(title in text_of(BOARD.plot().html) for title in titles.values())
    assert "Which classes org/fair@v1 confuses" in text_of(BOARD.plot("confusion", checkpoint="org/fair").html)
    assert "nothing to draw" in board_of(n_candidates=2).plot("ranks").html
    page = BOARD.plot("ranks").save(tmp_path / "ranks.html").read_text(encoding="utf-8")
    assert harmless(page)
    assert "How sure the ranks are" in page
    with pytest.raises(LeadHubError, match=r"one of ranks, size, confusion, found 'pie'"):
        BOARD.plot("pie")  # type: ignore[arg-type]
    with pytest.raises(LeadHubError, match=r"one that is ranked \(org/good, .*found 'org/none'"):
        BOARD.plot(checkpoint="org/none")
    with pytest.raises(LeadHubError, match=r"saved as \.html"):
        BOARD.plot().save(tmp_path / "ranks.png")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("board", [BOARD, hostile()], ids=["plain", "hostile"])
def test_a_browser_shows_it_whole_and_asks_for_nothing(
    browser: "Browser",  # noqa: F821
    tmp_path: Path,
    board: Leaderboard,
    scheme: str,
    width: int,
) -> None:
    path = board.save(tmp_path / "board.html")
    window = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
    asked: list[str] = []
    window.on("request", lambda request: asked.append(request.url))
    window.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    window.on("console", lambda message: asked.append(message.text))
    window.goto(path.as_uri())
    assert asked == [path.as_uri()]
    assert window.evaluate("document.documentElement.scrollWidth") <= width
    # Nothing of the table is cut: every cell that is shown ends within the page.
    ends = window.evaluate(
        "[...document.querySelectorAll('.lh-board td')].filter(e => e.checkVisibility())"
        ".map(e => e.getBoundingClientRect().right)"
    )
    assert max(ends) <= width
    answer = window.locator(".lh-answer").first.bounding_box()
    assert answer["y"] < 200
    window.close()

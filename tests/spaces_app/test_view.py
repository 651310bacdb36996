"""What the page shows of a board: cells of the right kind, words, and nothing that others wrote as markup."""

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from lead_hub.leaderboard import FineTunedAccuracy, Leaderboard, Skipped, row_name
from spaces_app import view
from spaces_app.results import table_update
from tests.leaderboard.made_boards import (
    COMMIT,
    DATASET,
    FAIR,
    FINGERPRINT,
    GOOD,
    HOSTILE,
    LOCAL,
    SURE,
    TURNS_AND_BREAKS,
    UNSURE,
    board_of,
    hostile_board,
    is_harmless,
    links,
    parsed,
    text_of,
)

HUB = "https://hub.example"
ROOT = Path(__file__).parents[2]
BOARD = board_of(LOCAL, GOOD, FAIR)


def cells(board: Leaderboard, header: str) -> list[object]:
    """A column of the table."""
    return [row[view.headers().index(header)] for row in view.board_rows(board, endpoint=HUB)]


def test_one_row_a_checkpoint_best_first() -> None:
    name = f'<a href="{HUB}/org/good" target="_blank" rel="noopener"><bdi>org/good</bdi></a>'
    first_row = replace(BOARD.rows[0], downloads=54_321)
    rows = view.board_rows(replace(BOARD, rows=(first_row, *BOARD.rows[1:])), endpoint=HUB)
    first = [1, f"<strong>{name}</strong>", "1-2", 62.4, 71.3, "58-82", -0.25, 11.7, "mit", 54_321, 1230.0, "scored"]
    assert rows[0] == first
    assert [row[0] for row in rows] == [1, 2, 3]
    assert cells(BOARD, "downloads") == [None, None, None]


def test_every_cell_is_what_its_column_says() -> None:
    kinds = {"number": (int, float), "str": str, "html": str}
    for board in (BOARD, hostile_board(), board_of(replace(GOOD, confidence=None, parameters=0, licence=None))):
        for row in view.board_rows(board):
            assert len(row) == len(view.headers()) == len(view.datatypes()) == len(view.COLUMNS)
            for cell, kind in zip(row, view.datatypes(), strict=True):
                assert isinstance(cell, kinds[kind]) or (kind == "number" and cell is None)


def test_what_is_not_known_is_empty() -> None:
    board = board_of(replace(GOOD, confidence=None, parameters=0, licence=None, images_per_s=None))
    assert view.board_rows(board)[0][2:6] == ["", None, None, ""]
    assert cells(board, "parameters, M") == cells(board, "images/s") == [None]
    assert cells(board, "licence") == ["not named"]


def test_rows_grow_while_a_run_goes_on() -> None:
    boards = [board_of(*[LOCAL, GOOD, FAIR][:count], n_candidates=3) for count in range(4)]
    tables = [view.board_rows(board) for board in boards]
    assert tables[0] == []
    for before, after in pairwise(tables):
        names = [{row[1] for row in table} for table in (before, after)]
        assert names[0] < names[1]


def test_status() -> None:
    finetuned = FineTunedAccuracy("lora", 0.8125, None, 0.8, 1e-3, 1, 1, 0, 80, 20, 16, "split 'test'", 9.0, "cpu")
    rows = [
        replace(GOOD, trained_on_dataset=True, note="from cache"),
        replace(FAIR, finetuned=finetuned),
        replace(LOCAL, note="n" * 1000),
    ]
    trained, measured, long = cells(board_of(*rows), "status")
    assert trained == "trained on this dataset; from cache"
    assert measured == "fine-tuned (lora): 81.2%"
    assert len(str(long)) == 300


def test_what_could_be_best_is_bold() -> None:
    assert [cell.startswith("<strong>") for cell in cells(BOARD, "checkpoint")] == [True, True, False]


def test_names() -> None:
    assert [row_name(row) for row in BOARD.rows] == ["org/good", "org/fair@v1", "models/mine"]
    assert row_name(replace(GOOD, revision=COMMIT)) == "org/good"


@pytest.mark.parametrize(
    ("checkpoint", "sha", "link"),
    [
        ("org/good", COMMIT, f"{HUB}/org/good"),
        ("gpt2", COMMIT, f"{HUB}/gpt2"),
        ("org/good", FINGERPRINT, None),  # a folder of that name
        ("org/good", "", None),
        ("models/mine", FINGERPRINT, None),
        ("javascript:alert(1)", COMMIT, None),
        ("org/../../settings", COMMIT, None),
        ("org/good?x=1", COMMIT, None),
        ("//evil.example/x", COMMIT, None),
        ("org/good/extra", COMMIT, None),
        ("örg/góód", COMMIT, None),
        ("o" * 97 + "/" + "g" * 97, COMMIT, None),
    ],
)
def test_only_what_is_on_the_hub_is_linked(checkpoint: str, sha: str, link: str | None) -> None:
    (cell,) = cells(board_of(replace(GOOD, checkpoint=checkpoint, sha=sha)), "checkpoint")
    assert links(str(cell)) == ([link] if link else [])


@pytest.mark.parametrize("endpoint", ["javascript:alert(1)", "data:text/html,x", "", "//hub.example"])
def test_links_lead_to_web_pages_alone(endpoint: str) -> None:
    assert "href" not in str(view.board_rows(board_of(GOOD), endpoint=endpoint)[0][1])
    assert "href" not in view.summary_html(BOARD, endpoint=endpoint)


def test_names_of_others_are_never_markup() -> None:
    board = hostile_board()
    for name in HOSTILE:
        board = board.with_skipped(Skipped(name, None, stage=name, reason=name))
    pages = [view.verdict_html(board), view.summary_html(board), view.verdict_html(replace(board, rows=()))]
    pages += [str(row[1]) for row in view.board_rows(board)]
    for page in pages:
        assert is_harmless(page), page
    plain = [cell for row in view.board_rows(board) for cell in row[2:] if isinstance(cell, str)]
    plain += [cell for row in view.skipped_rows(board) for cell in row]
    assert not TURNS_AND_BREAKS & set("".join(plain))
    # Shown as it is, not eaten.
    assert HOSTILE[0] in text_of(view.summary_html(board))
    assert [HOSTILE[0]] * 3 in view.skipped_rows(board)


def test_long_names_are_shortened_and_told_in_full() -> None:
    (cell,) = cells(board_of(replace(GOOD, checkpoint="x" * 300)), "checkpoint")
    (name,) = parsed(str(cell)).iter("bdi")
    assert name.text is not None
    assert len(name.text) == 60
    assert name.attrib["title"] == "x" * 300


def test_verdict() -> None:
    clear = text_of(view.verdict_html(board_of(GOOD, replace(FAIR, confidence=UNSURE))))
    assert clear.startswith("Clear winner: org/good.")
    assert "Fully fine-tuned, org/good should reach about 71% accuracy (90% interval: 58-82%)." in clear
    assert "five fine-tunings" in clear
    assert text_of(view.verdict_html(BOARD)).startswith("One of these 2: org/good, org/fair@v1.")
    early = text_of(view.verdict_html(board_of(GOOD, LOCAL, n_candidates=5)))
    assert early.startswith("org/good leads after 2 of 5 checkpoints.")
    bare = text_of(view.verdict_html(board_of(replace(GOOD, confidence=None), replace(FAIR, confidence=None))))
    assert bare.startswith("No verdict: these scores (lead) have no terms per image")
    assert "fine-tuned" not in bare


def test_verdict_warns_of_checkpoints_that_know_the_images() -> None:
    seen = board_of(replace(GOOD, trained_on_dataset=True), FAIR, replace(LOCAL, trained_on_dataset=True))
    said = text_of(view.verdict_html(seen))
    assert "org/good was trained on this dataset" in said
    assert "models/mine" not in said


def test_verdict_of_nothing() -> None:
    waiting = board_of(n_candidates=2)
    assert text_of(view.verdict_html(waiting)) == "No checkpoint has been ranked yet."
    for name in ("org/a", "org/b"):
        waiting = waiting.with_skipped(Skipped(name, None, stage="load", reason="no weights"))
    reasons = "org/a (load): no weightsorg/b (load): no weights"
    assert text_of(view.verdict_html(waiting)) == f"None of the 2 checkpoints could be ranked.{reasons}"
    assert view.skipped_rows(waiting) == [["org/a", "load", "no weights"], ["org/b", "load", "no weights"]]
    table = [[cell.text for cell in row] for row in parsed(view.skipped_html(waiting)).iter("tr")]
    assert table[1:] == view.skipped_rows(waiting)
    many = board_of(n_candidates=12)
    for _ in range(12):
        many = many.with_skipped(Skipped("org/a", None, stage="load", reason="no weights"))
    assert text_of(view.verdict_html(many)).endswith("The list of those skipped says it of 2 more.")


def test_what_is_skipped_is_text() -> None:
    board = board_of(n_candidates=len(HOSTILE))
    for name in HOSTILE:
        board = board.with_skipped(Skipped(name, None, stage="load", reason=name))
    for html in (view.skipped_html(board), view.verdict_html(board)):
        assert is_harmless(html)
        assert "<img src=x onerror=alert(1)>" in text_of(html)


def test_summary() -> None:
    page = view.summary_html(BOARD, endpoint=HUB)
    assert links(page) == [f"{HUB}/datasets/org/flowers"]
    words = (
        "org/flowers, split train: 1,200 images of 2 classes (rose, tulip), ranked by lead; 3 of 3 checkpoints tried"
    )
    assert text_of(page).startswith(words)
    classes = tuple(f"class {number}" for number in range(30))
    many = replace(DATASET, class_names=classes, config="small", notes=("1 image could not be read",))
    said = text_of(view.summary_html(replace(BOARD, dataset=many)))
    assert "configuration small, split train: 1,200 images of 30 classes (class 0, class 1" in said
    assert "class 11 and 18 more)" in said
    assert said.endswith("Note: 1 image could not be read.")


def test_a_folder_of_the_machine_is_named_not_located() -> None:
    here = replace(DATASET, dataset="/home/me/pictures/flowers", sha=FINGERPRINT, is_local=True)
    page = view.summary_html(replace(BOARD, dataset=here), endpoint=HUB)
    assert text_of(page).startswith("pictures/flowers, split train")
    assert "/home" not in page
    assert links(page) == []
    assert "/home" not in str(view.board_rows(board_of(LOCAL)))


@pytest.mark.slow
def test_the_view_needs_neither_gradio_nor_torch() -> None:
    code = "import sys, spaces_app.view; print([n for n in ('gradio', 'torch', 'datasets') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_p_best_of_a_hand_made_board_reads_as_percent() -> None:
    board = board_of(replace(GOOD, confidence=replace(SURE, p_best=0.00049, predicted_accuracy=1.0)))
    assert cells(board, "best, %") == [0.0]
    assert cells(board, "predicted accuracy, %") == [100.0]


def test_a_table_without_rows_has_no_columns_to_leave_out() -> None:
    """As while the first candidates are skipped: Gradio makes no table of no columns."""
    waiting = board_of(n_candidates=2).with_skipped(Skipped("org/bad", None, "load", "no weights"))
    update = table_update(waiting)
    assert (update["value"], update["visible"]) == ([], False)
    assert "headers" not in update
    assert update.keys() <= table_update(board_of(GOOD)).keys()

"""What the page shows of a board: cells of the right kind, words, and nothing that others wrote as markup."""

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from lead_hub.leaderboard import FineTunedAccuracy, Leaderboard, Skipped, row_name
from spaces_app import view
from spaces_app.results import figures_update
from tests.leaderboard.made_boards import (
    COMMIT,
    FAIR,
    FINGERPRINT,
    GOOD,
    HOSTILE,
    LOCAL,
    SURE,
    TURNS_AND_BREAKS,
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


def test_names_of_others_are_never_markup() -> None:
    rows = view.board_rows(hostile_board())
    for row in rows:
        assert is_harmless(str(row[1])), row[1]
    assert not TURNS_AND_BREAKS & set("".join(cell for row in rows for cell in row[2:] if isinstance(cell, str)))
    assert HOSTILE[0] in text_of(str(rows[0][1]))  # shown as it is, not eaten


def test_long_names_are_shortened_and_told_in_full() -> None:
    (cell,) = cells(board_of(replace(GOOD, checkpoint="x" * 300)), "checkpoint")
    (name,) = parsed(str(cell)).iter("bdi")
    assert name.text is not None
    assert len(name.text) == 60
    assert name.attrib["title"] == "x" * 300


def test_a_folder_of_the_machine_is_named_not_located() -> None:
    assert "/home" not in str(view.board_rows(board_of(LOCAL)))


@pytest.mark.slow
def test_the_view_needs_neither_gradio_nor_torch() -> None:
    code = "import sys, spaces_app.view; print([n for n in ('gradio', 'torch', 'datasets') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_p_best_of_a_hand_made_board_reads_as_percent() -> None:
    board = board_of(replace(GOOD, confidence=replace(SURE, p_best=0.00049, predicted_accuracy=1.0)))
    assert cells(board, "best, %") == [0.049]
    assert cells(board, "predicted accuracy, %") == [100.0]


def test_a_table_without_rows_has_no_columns_to_leave_out() -> None:
    """As while the first candidates are skipped: Gradio makes no table of no columns."""
    waiting = board_of(n_candidates=2).with_skipped(Skipped("org/bad", None, "load", "no weights"))
    update = figures_update(waiting)
    assert update["value"] == []
    assert "headers" not in update
    assert update.keys() <= figures_update(board_of(GOOD)).keys()

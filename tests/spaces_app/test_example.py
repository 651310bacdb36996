"""The example that a newcomer sees: what the demo really gives, without a place of any machine."""

import pytest

from lead_hub import recommend
from lead_hub.demo import pool, target_folder
from spaces_app.example import EXAMPLE, example_board, example_html
from tests.leaderboard.made_boards import is_harmless, text_of


def test_it_is_harmless_and_says_what_it_is() -> None:
    html = example_html().replace("<h2", "<p").replace("</h2", "</p")
    assert is_harmless(html)
    assert "An example: which of 5 checkpoints to fine-tune to tell 11 kinds of animals" in text_of(html)
    assert example_board().is_complete


def test_no_place_of_a_machine_is_in_it() -> None:
    board = example_board()
    names = [
        board.dataset.dataset,
        *board.dataset.notes,
        *(text for row in board.rows for text in (row.checkpoint, row.note)),
    ]
    assert not any("/" in name for name in names)
    assert "/home" not in EXAMPLE.read_text(encoding="utf-8")


@pytest.mark.slow
def test_it_is_what_the_demo_gives() -> None:
    """Within what another processor's rounding does."""
    board, example = recommend(target_folder("photographs"), pool(), dtype="float32", progress=False), example_board()
    scores = {row.checkpoint.rsplit("/", maxsplit=1)[-1]: row.score for row in board.rows}
    assert {row.checkpoint: row.score for row in example.rows} == pytest.approx(scores, abs=1e-3)
    assert example.dataset.class_names == board.dataset.class_names

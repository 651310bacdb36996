"""What a visitor sees before asking anything: a finished answer, from the embedded demo, shipped with the page."""

import json
from pathlib import Path

from lead_hub.leaderboard import Leaderboard, answer_card, board_table

EXAMPLE = Path(__file__).with_name("example.json")  # `lead-hub demo --json`, its "leaderboard"


def example_board() -> Leaderboard:
    """The demo's board on photographs."""
    return Leaderboard.from_document(json.loads(EXAMPLE.read_text(encoding="utf-8")))


def example_html() -> str:
    """Its answer and table, under a heading that says what they are."""
    board = example_board()
    heading = (
        f'<h2 class="lead-example">An example: which of {len(board.rows)} checkpoints to fine-tune to tell'
        f" {len(board.dataset.class_names)} kinds of animals, buildings and tools apart on photographs</h2>"
    )
    return heading + answer_card(board) + board_table(board, label="Example of a leaderboard")

"""What programs read, and what strangers are told of a board that was made on the server."""

import json
from dataclasses import replace

from lead_hub.hub import LOGIN_ADVICE
from lead_hub.leaderboard import Leaderboard, Skipped
from spaces_app.answers import answer, shown_board
from spaces_app.request import RunRequest
from spaces_app.visitors import Deployment
from tests.leaderboard.made_boards import DATASET, FAIR, GOOD, board_of

OWN, SHARED = Deployment(), Deployment(is_shared=True)
QUESTION = RunRequest("org/flowers")
PLACE = "/srv/cache/hub/models--org--bad/snapshots/0123abcd"
BAD = Skipped("org/bad", None, "load", f"{PLACE} holds no weights")


def verdict(board: Leaderboard) -> str:
    return str(answer(QUESTION, board, SHARED, full_board=False)["verdict"])


def test_strangers_are_told_no_paths_of_the_server_in_any_part_of_a_board() -> None:
    images = replace(DATASET, notes=("1 image of /srv/uploads/x cannot be read",))
    board = board_of(replace(GOOD, note=f"from {PLACE}"), FAIR, dataset=images, n_candidates=3).with_skipped(BAD)
    assert shown_board(board, QUESTION, OWN) == board
    shown = shown_board(board, QUESTION, SHARED)
    assert shown.skipped[0].reason == "org/bad holds no weights"
    assert (shown.rows[0].note, shown.dataset.notes[0]) == ("from org/bad", "1 image of …/x cannot be read")
    assert "/srv" not in json.dumps(answer(QUESTION, board, SHARED, full_board=True))


def test_a_verdict_stands_alone() -> None:
    board = board_of(n_candidates=5)
    assert verdict(board) == "not final, after 0 of 5 checkpoints: none could be ranked yet"
    board = board_of(GOOD, n_candidates=3).with_skipped(BAD)
    assert verdict(board) == "not final, after 2 of 3 checkpoints: only one checkpoint to choose from: org/good"
    assert verdict(board_of(GOOD, FAIR)) == board_of(GOOD, FAIR).verdict


def test_where_none_could_be_ranked_the_verdict_says_why() -> None:
    board = board_of(n_candidates=5)
    for number in range(5):
        board = board.with_skipped(replace(BAD, checkpoint=f"org/{number}", reason=f"it is private: {LOGIN_ADVICE}"))
    assert verdict(board).startswith(
        "none of the 5 checkpoints could be ranked: org/0 (load): it is private: pass a token of yours"
    )
    assert verdict(board).endswith("; and 2 more, see skipped")

"""How the README of pushed score cards opens: the answer and the ranks drawn, in letters, and nothing as markup."""

import re
from dataclasses import replace

from lead_hub.leaderboard.opening import readme_opening
from tests.leaderboard.made_boards import COMMIT, FAIR, GOOD, LOCAL, UNSURE, board_of

HUB = "https://hub.example"
MINE = replace(LOCAL, checkpoint="local--mine", confidence=replace(UNSURE, rank_low=2, rank_high=5))
BOARD = board_of(GOOD, replace(FAIR, revision=None), MINE)


def plain(text: str) -> str:
    """As it is read."""
    return re.sub(r"&#(\d+);", lambda found: chr(int(found[1])), text)


def test_the_answer_comes_first() -> None:
    first, second, *_ = plain(readme_opening(BOARD, endpoint=HUB)).split("\n\n")
    assert first == "**The newest ranking, on org/flowers:** one of these 2: org/good, org/fair."
    assert second == (
        f"**[org/good]({HUB}/org/good/tree/{COMMIT})**: 62.4% chance to be the best of these, 71% (58-82%) accuracy"
        " expected once fine-tuned, with its 90% interval. org/fair (chance to be best 62.4%) may be as good: these"
        " images cannot tell the two apart."
    )


def test_the_ranks_are_drawn() -> None:
    block = readme_opening(BOARD, endpoint=HUB).partition("~~~~text\n")[2].partition("\n~~~~")[0].splitlines()
    assert block == [
        "                  chance of best   expected       ranks  1      2      3     4      5",
        "   1 org/good     █████     62.4%  71% (58-82%)     1-2  ●──────┤",
        "   2 org/fair     █████     62.4%  71% (58-82%)     1-2  ├──────●",
        "   3 local--mine  ▏          1.0%  71% (58-82%)     2-5         ├──────●────────────┤",
    ]


def test_where_rows_are_left_out_there_is_no_verdict() -> None:
    text = readme_opening(BOARD, endpoint=HUB, n_left_out=2)
    assert "one of these" not in text
    assert "may be as good" not in text
    assert "2 more were ranked with these, which not everybody may read" in text


def test_without_confidence_there_is_the_first_alone() -> None:
    text = plain(readme_opening(board_of(replace(GOOD, confidence=None)), endpoint=HUB))
    assert f"The first by score: **[org/good]({HUB}/org/good/tree/{COMMIT})**." in text
    assert "~~~~" not in text
    assert readme_opening(board_of(n_candidates=1), endpoint=HUB) == ""


def test_names_are_no_links_of_their_own() -> None:
    text = readme_opening(board_of(replace(GOOD, checkpoint="www.evil.example/x"), FAIR), endpoint=HUB)
    assert "www.evil.example" not in text.partition("~~~~text")[0].replace(f"({HUB}/www.evil.example/x/tree", "")

"""The verdict: every wording, word for word."""

import pytest

from lead_hub.leaderboard.verdict import verdict_sentence

NINE = [f"org/{letter}" for letter in "abcdefghi"]


@pytest.mark.parametrize(
    ("n_ranked", "possible", "words"),
    [
        (9, [0], "clear winner: org/a"),
        (9, [1], "clear winner: org/b"),
        (2, [0], "clear winner: org/a"),
        (9, [0, 1, 3, 4], "one of these 4: org/a, org/b, org/d, org/e"),
        (9, [0, 1, 2, 3, 4], "one of these 5: org/a, org/b, org/c, org/d, org/e"),
        (9, [0, 1, 2, 3, 4, 5], "no clear winner among 6; choose by size or licence"),
        (9, range(9), "no clear winner among 9; choose by size or licence"),
        (2, [0, 1], "no clear winner among 2; choose by size or licence"),
        (1, [0], "only one checkpoint to choose from: org/a"),
        (0, [], ""),
    ],
)
def test_words(n_ranked: int, possible: list[int], words: str) -> None:
    assert verdict_sentence(NINE[:n_ranked], [number in possible for number in range(n_ranked)]) == words


def test_why_it_is_not_the_whole_truth() -> None:
    because = "not calibrated for logme"
    assert verdict_sentence(NINE[:3], [True, False, False], unsure_because=because) == (
        "clear winner: org/a (not calibrated for logme)"
    )
    assert verdict_sentence([], [], unsure_because=because) == ""

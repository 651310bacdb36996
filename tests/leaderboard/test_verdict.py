"""The verdict: every wording, word for word."""

from dataclasses import replace

import pytest

from lead_hub.leaderboard import RankedCheckpoint
from lead_hub.leaderboard.verdict import disagreement, headline, verdict_sentence, why_not_second
from lead_hub.leaderboard.words import chance_in_words
from tests.leaderboard.made_boards import FAIR, GOOD, SURE, board_of

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


def test_before_the_end_there_is_a_leader() -> None:
    assert headline(board_of(GOOD, FAIR, n_candidates=5)) == "org/good leads after 2 of 5 checkpoints"
    assert headline(board_of(GOOD, FAIR)) == "no clear winner among 2; choose by size or licence"
    assert headline(board_of(n_candidates=5)) == ""


def test_why_not_the_second() -> None:
    rows = board_of(GOOD, FAIR).rows

    def why(**changes: object) -> str:
        return why_not_second([rows[0], replace(rows[1], confidence=replace(SURE, **changes))])

    assert why() == "org/fair (chance to be best 62.4%) may be as good: these images cannot tell the two apart"
    assert why(tie_group=2, p_best=0.2).startswith("org/fair (chance to be best 20.0%) may yet be better")
    assert why(tie_group=2, p_best=0.0001, could_be_best=False) == (
        "org/fair (chance to be best <0.1%) scores lower by more than other images or fine-tuning would usually turn"
        " around"
    )
    assert why(p_best=None).startswith("org/fair may be as good")
    assert why(could_be_best=None) == ""
    assert why_not_second(rows[:1]) == ""
    assert why_not_second([rows[0], replace(rows[1], confidence=None)]) == ""


def test_a_word_where_rank_and_expected_accuracy_disagree() -> None:
    def rows(*accuracies: float | None) -> tuple[RankedCheckpoint, ...]:
        return board_of(
            *(
                replace(GOOD, checkpoint=f"org/{n}", score=-n, confidence=replace(SURE, predicted_accuracy=accuracy))
                for n, accuracy in enumerate(accuracies)
            )
        ).rows

    assert disagreement(rows(0.7, 0.6, 0.6, 0.5)) == ""
    assert disagreement(rows(0.7, None, 0.6)) == ""
    assert disagreement(rows(0.6, 0.601)) == ""  # the same in whole percent
    assert disagreement(rows(0.7, 0.6, 0.62)).startswith("org/2 ranks below org/1 with a higher expected accuracy")


def test_chances_are_never_said_to_be_none_or_certain() -> None:
    assert [chance_in_words(share) for share in (None, 0.0, 0.0009, 0.001, 0.5, 0.999, 0.9999)] == [
        *("", "<0.1%", "<0.1%", "0.1%", "50.0%", "99.9%", ">99.9%"),
    ]

"""How checkpoints stood on other datasets, from the results of score cards."""

from dataclasses import replace

import pytest

from lead_hub.errors import ScoreError
from lead_hub.leaderboard import Leaderboard
from lead_hub.score_cards.card import ScoreResult, results_of
from lead_hub.score_cards.standings import parse_standings, standings_of, standings_text
from tests.score_cards.boards import FLOWERS, GOOD, board_of


def ranked(dataset: str, *scores: float) -> list[ScoreResult]:
    rows = [
        replace(GOOD, checkpoint=f"org/net{number}", sha=f"{number:040x}", score=score)
        for number, score in enumerate(scores)
    ]
    images = replace(FLOWERS, dataset=dataset, sha=dataset.encode().hex().zfill(40))
    board: Leaderboard = board_of(*rows, dataset=images)
    return results_of(board.to_document())


def test_standings_are_deviations_from_the_mean_of_a_dataset() -> None:
    # Of -1 to -5 the mean is -3, the mean square of the differences (4 + 1 + 0 + 1 + 4) / 5 = 2.
    found = standings_of([*ranked("org/birds", -1, -2, -3, -4, -5), *ranked("org/fish", -9, -9, -9, -9, -4)])
    assert found["org/net0"] == pytest.approx({"org/birds": 2 / 2**0.5, "org/fish": -0.5})
    # Of -9, four times, and -4 the mean is -8, the deviation (4 * 1 + 16) / 5 = 4, its root 2.
    assert found["org/net4"] == pytest.approx({"org/birds": -2 / 2**0.5, "org/fish": 2.0})


def test_what_says_nothing_of_the_order_is_left_out() -> None:
    few, equal = ranked("org/birds", -1, -2, -3, -4), ranked("org/fish", *[-1.0] * 6)
    assert standings_of([*few, *equal]) == {}


def test_what_is_said_twice_counts_once() -> None:
    once = ranked("org/birds", -1, -2, -3, -4, -5)
    assert standings_of([*once, *once]) == standings_of(once)


def test_one_far_above_all_others_stands_three_deviations_above() -> None:
    # Nineteen equal ones and one above: it stands the root of 19 above.
    found = standings_of(ranked("org/birds", *[-2.0] * 19, -1))
    assert found["org/net19"] == {"org/birds": 3.0}


def test_what_is_kept_is_of_one_version_of_one_score() -> None:
    standings = standings_of(ranked("org/birds", -1, -2, -3, -4, -5))
    text = standings_text(standings, method="lead", method_version=3)
    assert parse_standings(text, method="lead", method_version=3) == standings
    assert parse_standings(text, method="lead", method_version=4) == {}
    assert parse_standings(text, method="logme", method_version=3) == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"method": "lead", "method_version": 3, "standings": [1]}',
        '{"method": "lead", "method_version": 3, "standings": {"a": {"b": "x"}}}',
        '{"method": "lead", "method_version": 3, "standings": {"a": {"b": NaN}}}',
    ],
)
def test_what_is_damaged_is_refused(text: str) -> None:
    with pytest.raises(ScoreError, match="what is kept of standings must be"):
        parse_standings(text, method="lead", method_version=3)

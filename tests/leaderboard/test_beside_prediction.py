"""What fine-tuning gave, beside what was expected, on one scale."""

from dataclasses import replace

import pytest

from lead_hub.leaderboard import FineTunedAccuracy, outcome_table
from tests.leaderboard.made_boards import FAIR, GOOD, HOSTILE, SURE, board_of, parsed, text_of

OUTCOME = FineTunedAccuracy("full", 0.8126, 0.012, 0.8, 1e-3, 3, 9, 0, 80, 20, 30, "split 'test'", 9.0, "cpu")


def test_expected_and_given_stand_side_by_side() -> None:
    board = board_of(replace(GOOD, confidence=SURE, finetuned=OUTCOME), FAIR)
    html = outcome_table(board, words="of 2 fine-tuned checkpoints: no order")
    lines = list(parsed(html).iter("tr"))
    assert len(lines) == 2  # the head, and the one that was fine-tuned
    text = " ".join(" ".join(lines[1].itertext()).split())
    assert text == "1. org/good 71% (58-82) 81.3 ± 1.2% full, 3 trainings 30 images, split 'test'"
    (outcome,) = (each for each in lines[1].iter("line") if each.attrib["class"] == "lh-outcome")
    assert outcome.attrib["x1"] == outcome.attrib["x2"] == "81.26%"
    assert [" ".join(each.itertext()) for each in parsed(html).iter("p")] == ["Of 2 fine-tuned checkpoints: no order."]


def test_one_training_and_no_prediction() -> None:
    alone = replace(OUTCOME, accuracy_sd=None, n_runs=1, mode="probe")
    html = outcome_table(board_of(replace(GOOD, confidence=None, finetuned=alone)))
    text = text_of(html)
    assert "not predicted" in text
    assert "81.3%" in text
    assert "probe, 1 training" in text
    assert not list(parsed(html).iter("svg"))


def test_without_outcomes_there_is_nothing_to_draw() -> None:
    assert "nothing to draw" in outcome_table(board_of(GOOD, FAIR))


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_text(name: str) -> None:
    outcome = replace(OUTCOME, mode=name, test_source=name)
    html = outcome_table(board_of(replace(GOOD, checkpoint=name, finetuned=outcome)), words=name)
    allowed = {"page", "style", "div", "p", "table", "thead", "tbody", "tr", "th", "td", "span", "bdi", "b"}
    assert {element.tag for element in parsed(html).iter()} <= {*allowed, "svg", "line", "circle"}

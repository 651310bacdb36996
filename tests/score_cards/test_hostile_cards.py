"""Cards by others that would break a reader: they are left out, and the others are read."""

import json
from dataclasses import replace

import pytest

from lead_hub.score_cards.card import read_card
from lead_hub.score_cards.push import results_of
from lead_hub.score_cards.table import fits_table, is_sound, score_row
from tests.score_cards.boards import BOARD

RESULT = results_of(BOARD.to_document())[0]


def test_an_integer_beyond_all_floats_is_no_figure() -> None:
    row = score_row(RESULT)
    assert is_sound(row)
    assert not is_sound(replace(row, companions=json.dumps({"loo_accuracy": 10**400})))
    assert fits_table(RESULT)
    assert not fits_table(replace(RESULT, row={**RESULT.row, "companions": {"loo_accuracy": 10**400}}))


def test_brackets_without_end_are_no_card() -> None:
    deep = "[" * 200_000
    assert not is_sound(replace(score_row(RESULT), settings=deep))
    with pytest.warns(UserWarning, match="is no score card that this version can read"):
        assert read_card(deep.encode(), path="cards/x.json") == []

"""What others wrote is taken for a record only where every field is of its kind."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from lead_hub.confidence import Confidence, with_checked_types
from lead_hub.leaderboard.rows import read_row


@dataclass(frozen=True)
class Example:
    number: float
    count: int | None = None
    name: str = ""
    is_sure: bool = False
    names: tuple[str, ...] = ()
    figures: Mapping[str, float | None] = field(default_factory=dict)
    inner: Confidence | None = None


@pytest.mark.parametrize(
    "values",
    [
        {"number": 1},
        {"number": 0.5, "count": 3, "name": "x", "is_sure": True, "names": ("a", "b")},
        {"number": 0.5, "figures": {"a": 1, "b": None, "c": 0.5}, "inner": Confidence(0.1, 0.2)},
    ],
)
def test_what_fits_is_given_back(values: dict[str, Any]) -> None:
    record = Example(**values)
    assert with_checked_types(record) is record


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"number": "0.5"}, "number to be float, found '0.5'"),
        ({"number": True}, "number to be float, found True"),
        ({"number": None}, "number to be float, found None"),
        ({"number": 1, "count": 0.5}, "count to be int | None, found 0.5"),
        ({"number": 1, "name": 7}, "name to be str, found 7"),
        ({"number": 1, "is_sure": "yes"}, "is_sure to be bool, found 'yes'"),
        ({"number": 1, "names": ["a"]}, "names to be"),
        ({"number": 1, "names": ("a", 1)}, "names to be"),
        ({"number": 1, "figures": {"a": "b"}}, "figures to be"),
        ({"number": 1, "figures": [1]}, "figures to be"),
        ({"number": 1, "inner": {"score_low": 0.1}}, "inner to be"),
    ],
)
def test_what_does_not_is_named(values: dict[str, Any], said: str) -> None:
    with pytest.raises(TypeError) as caught:
        with_checked_types(Example(**values))
    assert str(caught.value).startswith(said)


def test_rows_of_other_kinds_are_refused() -> None:
    good: dict[str, Any] = {"checkpoint": "org/a", "score": -0.5, "confidence": {"score_low": 0.1, "score_high": 1.0}}
    good["confidence"] |= {"worst_classes": [], "confused_pairs": []}
    assert read_row(good).confidence == Confidence(0.1, 1.0)
    for name, value in (("score", "high"), ("other_scores", {"logme": "x"}), ("images_per_s", [1])):
        with pytest.raises(TypeError, match=f"{name} to be"):
            read_row({**good, name: value})
    with pytest.raises(TypeError, match="p_best"):
        read_row({**good, "confidence": {**good["confidence"], "p_best": "x"}})

"""The rows that a visitor chose to see, in the order asked for."""

from dataclasses import replace
from datetime import date

from spaces_app.request import RunRequest
from spaces_app.shown import Shown
from tests.leaderboard.made_boards import FAIR, GOOD, LOCAL, SURE, board_of

BEST_BUT_THIRD = replace(LOCAL, confidence=replace(SURE, predicted_accuracy=0.9), family="vit")
SHOWN = Shown(RunRequest("org/flowers"), board_of(replace(GOOD, family="resnet"), FAIR, BEST_BUT_THIRD))
ALL = {"order": "rank", "size": "any", "licences": (), "families": ()}


def names(**changes: object) -> list[str]:
    return [row.checkpoint for row in SHOWN.chosen(**{**ALL, **changes})]  # type: ignore[arg-type]


def test_orders() -> None:
    assert names() == ["org/good", "org/fair", "/home/me/models/mine"]
    assert names(order="expected accuracy") == ["/home/me/models/mine", "org/good", "org/fair"]
    assert names(order="size, smallest first") == ["org/fair", "org/good", "/home/me/models/mine"]
    assert names(order="by magic") == names()


def test_filters() -> None:
    assert names(size="up to 10M") == ["org/fair"]
    assert names(size="enormous") == names()
    assert names(licences=["mit"]) == ["org/good"]
    assert names(licences=["not named"]) == ["org/fair", "/home/me/models/mine"]
    assert names(families=["vit", "resnet"]) == ["org/good", "/home/me/models/mine"]
    assert names(families=["vit"], licences=["mit"]) == []


def test_files_say_dataset_and_day() -> None:
    day = date(2026, 11, 26)
    assert SHOWN.file_name(day) == "lead-hub-org-flowers-2026-11-26"
    assert replace(SHOWN, brought="../my zip").file_name(day) == "lead-hub-my-zip-2026-11-26"
    assert replace(SHOWN, question=RunRequest("\u202e/")).file_name(day) == "lead-hub-board-2026-11-26"


def test_what_there_is_to_choose_from() -> None:
    assert SHOWN.licences() == ["mit", "not named"]
    assert SHOWN.families() == ["resnet", "vit"]
    assert [name for name, _ in SHOWN.choices()] == ["1. org/good", "2. org/fair@v1", "3. models/mine"]
    assert SHOWN.row(7) is None

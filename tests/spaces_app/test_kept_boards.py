"""Kept boards: public ones for everybody with the address, others for their owner alone and never on the disk."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lead_hub.leaderboard import FineTunedAccuracy, Leaderboard, Skipped
from lead_hub.recommendation import RunPictures, SamplePictures
from lead_hub.recommendation.pictures import ClassPictures
from spaces_app import kept_boards
from spaces_app.kept_boards import THIS_MACHINE, KeptBoard, KeptBoards
from spaces_app.request import RunRequest
from spaces_app.shown import Shown
from tests.leaderboard.made_boards import DATASET, FAIR, GOOD, LOCAL, board_of

ID, OTHER = "a" * 32, "b" * 32
OPEN = replace(DATASET, is_private=False)
PUBLIC = board_of(GOOD, FAIR, dataset=OPEN)
OUTCOME = FineTunedAccuracy("full", 0.8, None, 0.8, 1e-3, 1, 1, 0, 80, 20, 30, "split 'test'", 9.0, "cpu")
QUESTION = RunRequest("org/flowers", own_candidates=("org/good", "org/fair@v1"), source="own", families=("vit",))


class Clock:
    """The time, as the test wants it."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def kept(
    board: Leaderboard = PUBLIC, *, outcome: str = "finished", brought: str = "", owner: str = "hub:alice"
) -> KeptBoard:
    return KeptBoard(Shown(QUESTION, board, brought), outcome, owner)  # type: ignore[arg-type]


def test_a_public_board_is_found_by_anybody_also_after_a_restart(tmp_path: Path) -> None:
    KeptBoards(tmp_path).keep(ID, kept())
    found = KeptBoards(tmp_path).find(ID, owners=())
    assert found is not None
    assert (found.shown.question, found.shown.board, found.outcome) == (QUESTION, PUBLIC, "finished")
    assert KeptBoards(tmp_path).find(OTHER, owners=()) is None


@pytest.mark.parametrize("is_private", [True, False])
def test_no_picture_is_kept(is_private: bool, tmp_path: Path) -> None:
    sample = SamplePictures(4, 2, (ClassPictures("cat", 2, (b"JFIF",)),), ("dog", 2))
    board = board_of(GOOD, dataset=replace(OPEN, is_private=is_private))
    seen = replace(kept(board), shown=replace(kept(board).shown, pictures=RunPictures(sample)))
    boards = KeptBoards(tmp_path)
    for outcome in ("running", "finished"):
        boards.keep(ID, replace(seen, outcome=outcome))
        found = boards.find(ID, owners=("hub:alice",))
        assert found is not None
        assert found.shown.pictures == RunPictures()
    assert not any(b"JFIF" in path.read_bytes() for path in tmp_path.rglob("*.json"))


@pytest.mark.parametrize(
    "private",
    [
        kept(board_of(GOOD, dataset=replace(OPEN, is_private=True))),
        kept(board_of(GOOD, LOCAL, dataset=OPEN)),
        kept(board_of(replace(GOOD, is_private=True), dataset=OPEN)),
        kept(brought="my pictures"),
        kept(PUBLIC.with_skipped(Skipped("alice/hidden", None, stage="load", reason="no weights"))),
    ],
    ids=["dataset", "folder", "checkpoint", "zip", "skipped"],
)
def test_what_not_everybody_may_read_is_its_owners_alone_and_on_no_disk(private: KeptBoard, tmp_path: Path) -> None:
    boards = KeptBoards(tmp_path)
    boards.keep(ID, private)
    assert list(tmp_path.rglob("*")) == []
    assert boards.find(ID, owners=()) is None
    assert boards.find(ID, owners=("hub:bob", "browser:x", "")) is None
    assert boards.find(ID, owners=("browser:x", "hub:alice")) is private
    assert KeptBoards(tmp_path).find(ID, owners=("hub:alice",)) is None


def test_a_run_is_found_while_it_goes_on_and_after_its_page_was_left(tmp_path: Path) -> None:
    boards = KeptBoards(tmp_path)
    boards.keep(ID, kept(board_of(GOOD, n_candidates=2, dataset=OPEN), outcome="running"))
    found = boards.find(ID, owners=())
    assert found is not None
    assert found.outcome == "running"
    boards.leave(ID)
    left = KeptBoards(tmp_path).find(ID, owners=())
    assert left is not None
    assert left.outcome == "left"
    boards.keep(ID, kept())
    boards.leave(ID)
    ended = boards.find(ID, owners=())
    assert ended is not None
    assert ended.outcome == "finished"


def test_everything_expires(tmp_path: Path) -> None:
    clock = Clock()
    boards = KeptBoards(tmp_path, now=clock)
    boards.keep(ID, kept(brought="zip"))
    clock.now_s += 3500
    assert boards.find(ID, owners=("hub:alice",))
    clock.now_s += 200
    assert boards.find(ID, owners=("hub:alice",)) is None
    boards.keep(OTHER, kept())
    clock.now_s = (tmp_path / f"{OTHER}.json").stat().st_mtime + 6 * 86_400
    assert boards.find(OTHER, owners=())
    clock.now_s += 2 * 86_400
    assert boards.find(OTHER, owners=()) is None


def test_how_many_and_how_large_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_boards, "MOST_ON_DISK", 3)
    monkeypatch.setattr(kept_boards, "MOST_IN_MEMORY", 2)
    boards = KeptBoards(tmp_path)
    for number in range(6):
        boards.keep(f"{number:032x}", kept())
        boards.keep(f"{number + 16:032x}", kept(brought="zip"))
    assert len(list(tmp_path.iterdir())) == 3
    assert [bool(boards.find(f"{n + 16:032x}", owners=("hub:alice",))) for n in range(6)] == [False] * 4 + [True] * 2
    monkeypatch.setattr(kept_boards, "LARGEST_BYTES", 10)
    boards.keep(ID, kept())
    assert not (tmp_path / f"{ID}.json").exists()
    assert boards.find(ID, owners=())  # in memory, for a while


@pytest.mark.parametrize(
    "name", ["", "../secret", "a" * 31, "A" * 32, "a" * 33, "a" * 32 + "\n", "/etc/passwd", "٣" * 32]
)
def test_an_address_is_never_a_path(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text("{}")
    boards = KeptBoards(tmp_path / "boards")
    boards.keep(name, kept())
    assert boards.find(name, owners=("hub:alice",)) is None
    assert not (tmp_path / "boards").exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"question": {"dataset": 1}, "outcome": "finished", "board": {}}'])
def test_a_damaged_file_is_no_board(text: str, tmp_path: Path) -> None:
    (tmp_path / f"{ID}.json").write_text(text)
    assert KeptBoards(tmp_path).find(ID, owners=()) is None


def test_only_this_machines_user_may_read_the_files(tmp_path: Path) -> None:
    KeptBoards(tmp_path / "boards").keep(ID, kept())
    assert (tmp_path / "boards" / f"{ID}.json").stat().st_mode & 0o777 == 0o600
    assert json.loads((tmp_path / "boards" / f"{ID}.json").read_text())["outcome"] == "finished"


def test_outcomes_of_fine_tuning_come_to_the_run(tmp_path: Path) -> None:
    clock = Clock()
    boards = KeptBoards(tmp_path, now=clock)
    private = kept(board_of(GOOD, dataset=LOCAL), outcome="cancelled", owner=THIS_MACHINE)
    boards.keep(ID, private)
    with_outcome = replace(private.shown, board=board_of(replace(GOOD, finetuned=OUTCOME), dataset=LOCAL))
    boards.add_outcomes(ID, with_outcome)
    found = boards.find(ID, owners=(THIS_MACHINE,))
    assert found is not None
    assert (found.outcome, found.shown.board.rows[0].finetuned) == ("cancelled", OUTCOME)
    assert boards.find(ID, owners=("hub:alice",)) is None
    clock.now_s += kept_boards.PRIVATE_S + 1  # trainings may take longer than a run is kept
    boards.add_outcomes(ID, with_outcome)
    found = boards.find(ID, owners=(THIS_MACHINE,))
    assert found is not None
    assert (found.outcome, found.shown.board.rows[0].finetuned) == ("finished", OUTCOME)
    assert list(tmp_path.rglob("*.json")) == []

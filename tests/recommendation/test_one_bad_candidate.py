"""Whatever goes wrong with one candidate is a row that says so; the others are ranked, and the board is never lost."""

import logging
import os
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from lead_hub import Leaderboard, recommend
from lead_hub.candidates import Candidate
from lead_hub.processes import guarded
from tests.loopback_hub import Fault, HubServer

Damage = Callable[[Path], object]


def named(board: Leaderboard) -> list[str]:
    return [Path(row.checkpoint).name for row in board.rows]


def weights_are_a_folder(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").mkdir()


def names_a_folder_for_its_config(folder: Path) -> None:
    (folder / "preprocessor_config.json").unlink()
    (folder / "preprocessor_config.json").mkdir()


def weights_are_a_broken_link(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to("nowhere")


def weights_are_a_link_to_themselves(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to("model.safetensors")


def further_weights_are_a_broken_link(folder: Path) -> None:
    (folder / "model-of-old.safetensors").symlink_to("nowhere")


DAMAGES = (
    *(weights_are_a_folder, names_a_folder_for_its_config, weights_are_a_broken_link),
    *(weights_are_a_link_to_themselves, further_weights_are_a_broken_link),
)


@pytest.mark.parametrize("budget", [None, "auto"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_no_file_in_place_of_one_is_skipped(
    colour_folder: Path, tiny_pool: Path, tmp_path: Path, damage: Damage, budget: str | None
) -> None:
    """Also where the size of the weights is asked for beforehand, to decide whether there is a race."""
    bad = shutil.copytree(tiny_pool / "vit", tmp_path / "bad")
    damage(bad)
    candidates, cache = [bad, tiny_pool / "resnet"], tmp_path / "cache"
    board = recommend(colour_folder, candidates, cache_dir=cache, budget=budget, progress=False)
    assert named(board) == ["resnet"]
    assert [skip.checkpoint for skip in board.skipped] == [str(bad)]
    assert board.is_complete


@pytest.mark.skipif(sys.platform != "linux", reason="other systems hold no name that is no UTF-8")
@pytest.mark.parametrize("ending", [".json", ".parquet", ".csv", ".html"])
def test_a_folder_whose_name_is_no_utf_8_costs_no_board(
    colour_folder: Path, tiny_pool: Path, tmp_path: Path, ending: str
) -> None:
    odd = tmp_path / os.fsdecode(b"caf\xe9")
    shutil.copytree(tiny_pool / "vit", odd)
    board = recommend(colour_folder, [odd, tiny_pool / "resnet"], cache_dir=tmp_path / "cache", progress=False)
    assert named(board) == ["resnet"]
    (skipped,) = board.skipped
    assert (skipped.checkpoint, skipped.stage) == (f"{tmp_path}/caf\\udce9", "find")
    assert "of UTF-8 characters, found" in skipped.reason
    assert "rename the folder, or name a link to it" in skipped.reason
    assert board.save(tmp_path / f"board{ending}").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("card", ["datasets: 7", "license: 7", "datasets: {a: b}", "- a list", "datasets: [[a]]"])
def test_an_odd_card_costs_no_other_candidate(colour_folder: Path, tiny_pool: Path, tmp_path: Path, card: str) -> None:
    odd = shutil.copytree(tiny_pool / "vit", tmp_path / "odd")
    (odd / "README.md").write_text(f"---\n{card}\n---\n")
    board = recommend(colour_folder, [odd, tiny_pool / "resnet"], cache_dir=tmp_path / "cache", progress=False)
    assert "resnet" in named(board)
    assert len(board.rows) + len(board.skipped) == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a" * 5000, "~nobody-of-that-name/x", "with\0zero", "a/b\nc", "", " ", "@main"])
def test_a_name_that_nothing_can_have_is_skipped(
    colour_folder: Path, tiny_pool: Path, tmp_path: Path, name: str
) -> None:
    board = recommend(colour_folder, [name, tiny_pool / "resnet"], cache_dir=tmp_path / "cache", progress=False)
    assert named(board) == ["resnet"]
    assert [skip.stage for skip in board.skipped] == ["find"]


FAULTS = {
    "no JSON": Fault("wrong_bytes", match="/api/models/org/bad", times=None),
    "half of it": Fault("cut", match="/api/models/org/bad", times=2, after_bytes=20),
    "a long wait": Fault(
        "status", match="/api/models/org/bad", times=None, status=429, headers={"Retry-After": "3600"}
    ),
    "refused": Fault("status", match="/api/models/org/bad", times=None, status=400),
    "no config": Fault("status", match="/org/bad/resolve", times=None, status=404),
    "no card": Fault("status", match="README.md", times=None, status=403),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_hub_that_fails_for_one_model_costs_that_model_alone(
    hub: HubServer, colour_folder: Path, tiny_pool: Path, tmp_path: Path, fault: str
) -> None:
    candidates = [Candidate(f"org/{name}") for name in ("good", "bad", "other")]
    for candidate, family in zip(candidates, ("resnet", "vit", "dinov2"), strict=True):
        hub.add_repo(candidate.checkpoint, folder=tiny_pool / family)
    hub.commit("org/bad", files={"README.md": b"---\nlicense: mit\n---\n"})
    hub.add_fault(FAULTS[fault])
    board = recommend(colour_folder, candidates, cache_dir=tmp_path, progress=False)
    assert {"good", "other"} <= set(named(board))
    if fault in {"half of it", "no card"}:
        assert not board.skipped
    else:
        assert [(skip.checkpoint, skip.stage) for skip in board.skipped] == [("org/bad", "download")]
    assert board.is_complete


def test_a_candidate_without_a_card_is_not_asked_for_one(
    hub: HubServer, colour_folder: Path, tiny_pool: Path, tmp_path: Path
) -> None:
    hub.add_repo("org/plain", folder=tiny_pool / "resnet")
    assert named(recommend(colour_folder, "org/plain", cache_dir=tmp_path, progress=False)) == ["plain"]
    assert [request.path for request in hub.requests if "README" in request.path] == []


class OutOfNowhereError(Exception):
    """What no library is known to raise."""


class OddCandidate(Candidate):
    """Fails as soon as its files are looked for."""

    error: Exception

    @property
    def folder(self) -> Path | None:
        if threading.current_thread().name.startswith("lead-hub-downloads"):
            raise self.error
        return None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OutOfNowhereError("odd\n  thing"), "found OutOfNowhereError: odd thing: "),
        (MemoryError(), "must fit into this machine's memory, found MemoryError"),
        (RecursionError("too deep"), "found RecursionError: too deep"),
    ],
)
def test_an_error_that_nobody_has_foreseen_is_a_skipped_row(
    colour_folder: Path,
    tiny_pool: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    words: str,
) -> None:
    odd = OddCandidate("org/odd")
    object.__setattr__(odd, "error", error)
    candidates = [tiny_pool / "vit", odd, tiny_pool / "resnet"]
    with caplog.at_level(logging.DEBUG, logger="lead_hub"):
        board = recommend(colour_folder, candidates, cache_dir=tmp_path, progress=False)
    assert sorted(named(board)) == ["resnet", "vit"]
    (skipped,) = board.skipped
    assert (skipped.checkpoint, skipped.stage) == ("org/odd", "download")
    assert words in skipped.reason
    assert "Traceback" in caplog.text


@pytest.mark.slow
def test_the_callers_own_error_is_the_callers(colour_folder: Path, tiny_pool: Path, tmp_path: Path) -> None:
    def failing(moment: object) -> None:
        if getattr(moment, "n_images", 0):
            raise OutOfNowhereError("in on_progress")

    with pytest.raises(OutOfNowhereError, match="in on_progress"):
        recommend(colour_folder, tiny_pool, cache_dir=tmp_path, progress=False, on_progress=failing)


def test_ctrl_c_is_no_fault_of_a_candidate() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guarded(interrupted, stage="load")()

"""What the command line keeps when something goes wrong, and what it says: nothing lost, and -q is quiet."""

import json
import os
import pty
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from huggingface_hub.utils.tqdm import are_progress_bars_disabled, enable_progress_bars

from lead_hub import Leaderboard, recommend
from lead_hub.cli.boards import Interrupts, last_board
from lead_hub.cli.options import exit_codes
from tests.cli.test_recommend import ROOT, lead_hub
from tests.conftest import coloured_images
from tests.loopback_hub import HubServer
from tests.score_cards.boards import BOARD, board_of


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_board_of_private_things_is_its_owners_alone(tmp_path: Path, colour_folder: Path, tiny_pool: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("")
    for ending in (".json", ".csv", ".parquet"):
        assert mode(BOARD.save(tmp_path / f"public{ending}")) == mode(plain)
    cache = tmp_path / "cache"
    outputs = [word for ending in (".json", ".csv", ".parquet") for word in ("-o", tmp_path / f"own{ending}")]
    finished = lead_hub("recommend", colour_folder, "-c", tiny_pool / "vit", "--cache-dir", cache, *outputs, "-q")
    assert finished.exit_code == 0, finished.stderr
    assert {mode(tmp_path / f"own{ending}") for ending in (".json", ".csv", ".parquet")} == {0o600}
    assert mode(cache / "outputs") == 0o700
    assert {mode(file) for file in (cache / "outputs").iterdir()} == {0o600}


def test_a_board_that_cannot_be_saved_is_shown_all_the_same(
    colour_folder: Path, tiny_pool: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    places = ("-o", tmp_path / "file" / "board.json", "-o", tmp_path / "board.json")
    finished = lead_hub("recommend", colour_folder, "-c", tiny_pool / "vit", "--cache-dir", tmp_path / "c", *places)
    assert finished.exit_code == 2
    assert "the leaderboard must be saved where there is room and a right to write" in finished.stderr
    assert "name another place" in finished.stderr
    assert Leaderboard.from_document(json.loads(finished.stdout)) == Leaderboard.load(tmp_path / "board.json")


def test_a_name_that_no_board_can_have_is_refused_before_the_work(tiny_pool: Path, tmp_path: Path) -> None:
    finished = lead_hub("recommend", tmp_path / "no images", "-c", tiny_pool, "-o", tmp_path / "board.xlsx")
    assert (finished.exit_code, finished.stdout) == (2, "")
    assert "a leaderboard is saved as .json, .parquet, .csv" in finished.stderr


def test_an_error_that_nobody_has_foreseen_keeps_the_board_so_far() -> None:
    def boards() -> Iterator[Leaderboard]:
        yield board_of()
        yield BOARD
        raise ZeroDivisionError("unforeseen")

    kept: list[Leaderboard] = []
    with pytest.raises(ZeroDivisionError, match="unforeseen"):
        last_board(boards(), Interrupts(), keep=kept.append)
    assert kept == [BOARD]


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_a_standard_output_that_is_not_utf_8_gets_the_board_all_the_same(
    tiny_pool: Path, tmp_path: Path, encoding: str
) -> None:
    """As a redirected one on Windows is not."""
    classes = {"ばら": (200, 60, 60), "tulipe épanouie": (60, 200, 60)}
    folder = coloured_images(tmp_path / "images", classes=classes, n_images=4)
    command = [sys.executable, "-m", "lead_hub", "recommend", str(folder), "-c", str(tiny_pool / "vit")]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    finished = subprocess.run(
        [*command, "--cache-dir", str(tmp_path / "cache"), "-q"],
        capture_output=True,
        cwd=ROOT,
        env=environment,
        timeout=300,
        check=True,
    )
    assert json.loads(finished.stdout)["dataset"]["class_names"] == ["tulipe épanouie", "ばら"]
    assert (b"\\u3070" in finished.stdout) == (encoding != "utf-8")


@pytest.mark.slow
def test_a_table_with_signs_that_a_terminal_lacks_is_shown_without_them() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "150"}
    script = (
        "from rich.console import Console; from lead_hub.cli.options import spell_out_foreign_signs;"
        " spell_out_foreign_signs(); Console(force_terminal=True).print('▸ ばら')"
    )
    finished = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, cwd=ROOT, env=environment, timeout=300, check=True
    )
    assert finished.stdout.strip() == b"\\u25b8 \\u3070\\u3089"


QUIET = (
    ("recommend", "{dataset}", "-c", "org/vit", "-c", "{pool}/resnet", "-o", "{tmp}/board.json", "-q"),
    ("recommend", "{dataset}", "-c", "org/vit", "-c", "{pool}/resnet", "-q"),
    ("push", "{tmp}/board.json", "--to", "alice/scores", "--private", "-q"),
    ("crawl", "-q"),
)


@pytest.mark.slow
def test_quiet_says_nothing_on_a_terminal_either(
    hub: HubServer, colour_folder: Path, tiny_pool: Path, tmp_path: Path
) -> None:
    token = hub.add_user("alice")
    hub.add_repo("org/colours", kind="dataset", folder=colour_folder)
    hub.add_repo("org/vit", folder=tiny_pool / "vit")
    hub.commit(
        "org/vit", files={"README.md": b"---\nlibrary_name: transformers\npipeline_tag: image-classification\n---\n"}
    )
    names = {"dataset": "org/colours", "pool": str(tiny_pool), "tmp": str(tmp_path)}
    environment = {key: value for key, value in os.environ.items() if "PROGRESS_BARS" not in key}
    environment |= {"HF_HOME": str(tmp_path / "home"), "HF_TOKEN": token, "TERM": "xterm"}
    for arguments in QUIET:
        main, side = pty.openpty()
        command = [sys.executable, "-m", "lead_hub", *(word.format(**names) for word in arguments)]
        finished = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=side, cwd=ROOT, env=environment, timeout=300, check=False
        )
        os.close(side)
        try:
            said = os.read(main, 65536)
        except OSError:  # nothing was written, and the other end is closed
            said = b""
        os.close(main)
        assert (said, finished.returncode) == (b"", 0), arguments


@pytest.mark.slow
def test_quiet_is_silent_about_a_damaged_cache_and_others_are_told_in_words(
    colour_folder: Path, tiny_pool: Path, tmp_path: Path
) -> None:
    arguments = ("recommend", str(colour_folder), "-c", str(tiny_pool / "vit"), "--cache-dir", str(tmp_path))
    recommend(colour_folder, tiny_pool / "vit", cache_dir=tmp_path, progress=False)
    (kept,) = (tmp_path / "outputs").iterdir()
    said = []
    for more in ((), ("-q",)):
        kept.write_bytes(b"damaged")
        command = [sys.executable, "-m", "lead_hub", *arguments, *more]
        said.append(subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300, check=True).stderr)
    assert f"\nwarning: {kept.name} in the cache is damaged and is computed again: " in f"\n{said[0]}"
    assert "UserWarning" not in said[0]
    assert said[1] == ""


def test_quiet_puts_everything_back() -> None:
    before = warnings.showwarning
    for quiet in (True, False):
        with pytest.raises(typer.Exit), exit_codes(quiet=quiet):
            raise KeyboardInterrupt
    assert warnings.showwarning is before
    had_bars = not are_progress_bars_disabled()
    with exit_codes(quiet=True):
        assert are_progress_bars_disabled()
    assert are_progress_bars_disabled() is not had_bars
    if had_bars:
        enable_progress_bars()


def test_a_file_in_place_of_a_cache_is_a_warning(colour_folder: Path, tiny_pool: Path, tmp_path: Path) -> None:
    recommend(colour_folder, tiny_pool / "vit", cache_dir=tmp_path, progress=False)
    shutil.rmtree(tmp_path / "outputs")
    (tmp_path / "outputs").write_text("")
    with pytest.warns(UserWarning, match="could not be kept in .* free some of the disk, or name another cache_dir"):
        board = recommend(colour_folder, tiny_pool / "resnet", cache_dir=tmp_path, progress=False)
    assert len(board.rows) == 1


@pytest.mark.slow
def test_a_token_is_in_no_traceback(tmp_path: Path) -> None:
    token = "hf_" + "aB3" * 11 + "x"
    command = [sys.executable, "-m", "lead_hub", "push", str(tmp_path / "none.json"), "--to", "a/b", "--token", token]
    finished = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300, check=False)
    assert finished.returncode == 2
    assert token not in finished.stderr


@pytest.mark.slow
def test_a_budget_for_nobody_is_told_with_a_board_and_its_own_exit_code(
    colour_folder: Path, tiny_pool: Path, tmp_path: Path
) -> None:
    run = ("recommend", colour_folder, "-c", tiny_pool / "vit", "--cache-dir", tmp_path / "cache")
    finished = lead_hub(*run, "--budget", "5%", "-o", tmp_path / "board.json")
    assert finished.exit_code == 3, finished.stderr
    board = Leaderboard.from_document(json.loads(finished.stdout))
    assert board == Leaderboard.load(tmp_path / "board.json")
    assert "the budget of 5% must let a candidate see the 9 images" in board.skipped[0].reason
    over = lead_hub(*run, "--budget", "0.001s")
    assert (over.exit_code, over.stdout) == (2, "")
    assert "was over while they were read: give more time" in over.stderr

"""Decoded images of a process that was killed are removed by the next one; those of a living one stay."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lead_hub.access import Access
from lead_hub.labelled_images.abandoned_folders import PREFIX, SHARED_PREFIX, prefix_of_this_process, remove_abandoned
from lead_hub.labelled_images.loading import load_labelled_images
from lead_hub.labelled_images.query import DatasetQuery
from tests.labelled_images.small_datasets import image_folder

LOAD_AND_WAIT = """
import sys
from pathlib import Path
from lead_hub.access import Access
from lead_hub.labelled_images import DatasetQuery, load_labelled_images
cache = Path(sys.argv[2]) if len(sys.argv) > 2 else None
images = load_labelled_images(DatasetQuery(sys.argv[1]), Access(cache, progress=False))
print(images.pixels.folder, flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_after_a_kill_the_next_start_removes_them(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "pets", cat=2, dog=2)
    cache = tmp_path / "cache"
    command = [sys.executable, "-c", LOAD_AND_WAIT, str(folder), str(cache)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
    with subprocess.Popen(command, **pipes) as process:
        left = Path(process.stdout.readline().strip())
        assert stat.S_IMODE(left.stat().st_mode) == 0o700
        beside = load_labelled_images(DatasetQuery(str(folder)), Access(cache, progress=False))
        assert left.is_dir()  # its process lives
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert left.is_dir()
    after = load_labelled_images(DatasetQuery(str(folder)), Access(cache, progress=False))
    assert not left.exists()
    assert beside.pixels.folder.is_dir()
    assert after.pixels.folder.is_dir()
    for images in (beside, after):
        images.close()


def test_whose_folders_are_removed(tmp_path: Path) -> None:
    machine = prefix_of_this_process().removeprefix(PREFIX).partition("-")[0]
    over = 2**22 + 1  # more than any process has
    long_ago = (1_000_000_000, 1_000_000_000)
    kept = {
        "own": prefix_of_this_process() + "x",
        "another machine's": f"{PREFIX}0123456789ab-{over}-7-x",
        "of no known form": f"{PREFIX}x1y2z3",
        "something else": "other-folder",
    }
    gone = {
        "of a process that is over": f"{PREFIX}{machine}-{over}-7-x",
        "of an earlier process of the same number": f"{PREFIX}{machine}-{os.getpid()}-7-x",
        "another machine's, old": f"{PREFIX}0123456789ab-{over}-8-x",
        "of no known form, old": f"{PREFIX}z9y8x7",
    }
    for name in (*kept.values(), *gone.values()):
        (tmp_path / name / "inner").mkdir(parents=True)
    for owner, name in gone.items():
        if owner.endswith("old"):
            os.utime(tmp_path / name, long_ago)
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / f"{PREFIX}{machine}-{over}-9-x"
    link.symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    remove_abandoned(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*kept.values(), "elsewhere", link.name}
    remove_abandoned(tmp_path / "nowhere")  # is no error


def test_a_shared_folder_goes_when_the_last_of_its_processes_is_over(tmp_path: Path) -> None:
    machine = prefix_of_this_process().removeprefix(PREFIX).partition("-")[0]
    over = f"{PREFIX}{machine}-{2**22 + 1}-7-used"
    owners = {
        "of the dead": [over, over.replace("-7-", "-8-")],
        "of the dead, of two splits": [f"train/{over}", f"test/{over}"],
        "of one that lives": [over, f"{prefix_of_this_process()}used"],
        "of one that lives, of two splits": [f"train/{over}", f"test/{prefix_of_this_process()}used"],
        "not marked yet": [],
    }
    for name, files in owners.items():
        (tmp_path / f"{SHARED_PREFIX}{name}").mkdir()
        for file in files:
            (tmp_path / f"{SHARED_PREFIX}{name}" / file).parent.mkdir(exist_ok=True)
            (tmp_path / f"{SHARED_PREFIX}{name}" / file).touch()
    remove_abandoned(tmp_path)
    assert {path.name.removeprefix(SHARED_PREFIX) for path in tmp_path.iterdir()} == {
        *("of one that lives", "of one that lives, of two splits", "not marked yet")
    }


def test_whoever_opens_a_shared_folder_marks_it(colour_folder: Path, tmp_path: Path) -> None:
    query, mark = DatasetQuery(str(colour_folder)), f"{prefix_of_this_process()}used"
    for folder, is_marked in ((f"{SHARED_PREFIX}x", True), (f"{SHARED_PREFIX}y/train", True), ("my own", False)):
        for _ in range(2):  # decoded, then found
            load_labelled_images(query, Access(progress=False), decoded_folder=tmp_path / folder)
        assert (tmp_path / folder / mark).exists() is is_marked

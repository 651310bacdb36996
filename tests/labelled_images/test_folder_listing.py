"""The walk of a folder: what it names, where it ends, and what it says meanwhile."""

import os
from pathlib import Path

import pytest

from lead_hub.access import Access
from lead_hub.errors import DatasetError, RunCancelledError
from lead_hub.labelled_images.folder_listing import FolderListing, WalkLimits, list_folder, looks_like_an_image

QUIET = Access(progress=False)


def test_names_are_relative_and_sorted(tmp_path: Path) -> None:
    for name in ("b/2.png", "b/1.png", "a.png", "b/c/d/deep", ".hidden/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = list_folder(tmp_path, QUIET)
    names = (".hidden/x", "a.png", "b/1.png", "b/2.png", "b/c/d/deep")
    assert found == FolderListing(tmp_path.resolve(), names, directories=(".hidden", "b", "b/c", "b/c/d"))


def test_links_pipes_and_loops(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "itself").symlink_to("itself")
    (folder / "nothing").symlink_to("nowhere")
    (folder / "here").symlink_to(".", target_is_directory=True)
    (folder / "zero").symlink_to("/dev/zero")
    (folder / "beside").symlink_to(tmp_path / "beside", target_is_directory=True)
    os.mkfifo(folder / "pipe")
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "back").symlink_to(folder, target_is_directory=True)
    (tmp_path / "beside" / "file.txt").write_text("")
    found = list_folder(folder, QUIET)
    assert found.names == ("beside/file.txt",)
    assert found.special == ("itself", "nothing", "pipe", "zero")
    assert found.loops == ("beside/back", "here")


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (WalkLimits(files=9), "at most 9 files"),
        (WalkLimits(directories=4), "at most 4 directories"),
        (WalkLimits(depth=2), "at most 2 directories inside one another"),
    ],
)
def test_it_ends_in_a_folder_that_is_too_large(tmp_path: Path, limits: WalkLimits, words: str) -> None:
    for number in range(5):
        place = tmp_path / "a" / "b" / str(number)
        place.mkdir(parents=True)
        for name in ("x", "y"):
            (place / name).write_bytes(b"")
    with pytest.raises(DatasetError, match=words) as caught:
        list_folder(tmp_path, QUIET, limits=limits)
    assert str(tmp_path) in str(caught.value)
    assert "name the folder that holds" in str(caught.value)
    assert len(list_folder(tmp_path, QUIET, limits=WalkLimits(files=10, directories=8, depth=3)).names) == 10


def test_it_says_where_it_is_unless_nobody_wants_to_know(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").mkdir()
    list_folder(tmp_path, Access(progress=True), silent_s=0.0)
    told = capsys.readouterr()
    assert told.out == ""
    assert f"Listing {tmp_path}: 0 files in 1 directories so far" in told.err.replace("\n", "")
    list_folder(tmp_path, Access(progress=True), silent_s=3600.0)
    list_folder(tmp_path, QUIET, silent_s=0.0)
    assert capsys.readouterr().err == ""


def test_it_can_be_cancelled(tmp_path: Path) -> None:
    with pytest.raises(RunCancelledError):
        list_folder(tmp_path, Access(progress=False, cancelled=lambda: True))


@pytest.mark.parametrize(
    ("start", "is_image"),
    [
        (b"\x89PNG\r\n\x1a\n", True),
        (b"\xff\xd8\xff\xe0", True),
        (b"RIFF\x24\0\0\0WEBPVP8 ", True),
        (b"\0\0\0\x1cftypheic\0\0\0\0", True),
        (b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", True),
        (b"BMW is a maker of cars and bikes", False),
        (b"RIFF\x24\0\0\0WAVEfmt ", False),
        (b"\0\0\0\x1cftypisom\0\0\0\0", False),
        (b"", False),
    ],
)
def test_images_are_known_by_their_first_bytes(tmp_path: Path, start: bytes, is_image: bool) -> None:
    (tmp_path / "file").write_bytes(start)
    assert looks_like_an_image(tmp_path / "file") == is_image


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert not looks_like_an_image(tmp_path / "pipe")
    assert not looks_like_an_image(tmp_path / "nothing")

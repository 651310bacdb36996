"""A row that names a file elsewhere is unreadable, and the file is never opened."""

import ctypes
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, Features, Value

from lead_hub.access import Access
from lead_hub.errors import DatasetError
from lead_hub.labelled_images.description import describe_dataset
from lead_hub.labelled_images.loading import load_labelled_images
from lead_hub.labelled_images.own_files import OwnFiles, read_image_file
from lead_hub.labelled_images.query import DatasetQuery
from tests.labelled_images.small_datasets import dataset_of, image_folder, png, refusal
from tests.loopback_hub import HubServer

CLASSES = ClassLabel(names=["cat", "dog"])
IN_OPEN = 0x20
ELSEWHERE = "holds no image, only the path of a file elsewhere, which is not opened"


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[Path], bool]]:
    """Whether a file has been opened since it was first asked about, by whatever library: the kernel tells."""
    if sys.platform != "linux":
        pytest.skip("only Linux tells who opens a file")
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_NONBLOCK)
    assert watch >= 0

    def was_opened(path: Path) -> bool:
        try:
            return bool(os.read(watch, 4096))
        except BlockingIOError:
            return libc.inotify_add_watch(watch, os.fsencode(path), IN_OPEN) < 0

    yield was_opened
    os.close(watch)


def rows_with_a_path(path: str | Path) -> Dataset:
    """Forty images, the fourth of which is only named."""
    images = [{"bytes": png((row, 0, 0)), "path": None} for row in range(40)]
    images[3] = {"bytes": None, "path": str(path)}
    return dataset_of([row % 2 for row in range(40)], CLASSES, images)


def secret(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "secret.png").write_bytes(png((200, 0, 0)))
    return folder / "secret.png"


def test_the_watch_sees_an_opening(tmp_path: Path, opened: Callable[[Path], bool]) -> None:
    path = secret(tmp_path)
    assert not opened(path)
    path.read_bytes()
    assert opened(path)


@pytest.mark.parametrize("kind", ["parquet", "plain parquet", "folder", "saved", "hub"])
def test_a_file_elsewhere(hub: HubServer, tmp_path: Path, opened: Callable[[Path], bool], kind: str) -> None:
    path = secret(tmp_path / "private")
    assert not opened(path)
    rows, place = rows_with_a_path(path), tmp_path / "data"
    place.mkdir()
    dataset = str(place)
    if kind == "saved":  # as a struct of both fields, since images are embedded when they are saved
        kinds = Features({"image": {"bytes": Value("binary"), "path": Value("string")}, "label": CLASSES})
        columns = rows.data.table.to_pydict()
        Dataset.from_dict(columns, features=kinds).save_to_disk(dataset)
    elif kind == "plain parquet":
        import pandas as pd

        images = [{"bytes": png((row, 0, 0)), "path": None} for row in range(40)]
        images[3] = {"bytes": None, "path": str(path)}
        pd.DataFrame({"image": images, "label": [row % 2 for row in range(40)]}).to_parquet(place / "train.parquet")
    else:
        rows.to_parquet(str(place / "train.parquet"))
    if kind == "parquet":
        dataset = str(place / "train.parquet")
    if kind == "hub":
        dataset = "org/paths"
        hub.add_repo(dataset, kind="dataset", folder=place)
    images = load_labelled_images(DatasetQuery(dataset), Access(tmp_path / "cache", progress=False))
    assert len(images) == 39
    assert 3 not in images.rows
    assert images.notes == (f"unreadable images, dropped: 1 of 40; row 3: secret.png: {ELSEWHERE}",)
    images.close()
    assert not opened(path)


@pytest.mark.parametrize("name", ["../private/secret.png", "{}", "file://{}"])
def test_a_table_beside_images_cannot_name_it_either(
    load, tmp_path: Path, opened: Callable[[Path], bool], name: str
) -> None:
    path = secret(tmp_path / "private")
    assert not opened(path)
    folder = image_folder(tmp_path / "pets", files=4)
    names = [*(f"files/{number:03}.png" for number in range(4)), name.format(path)]
    lines = [json.dumps({"file_name": each, "kind": "xy"[number % 2]}) for number, each in enumerate(names)]
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    assert "Invalid metadata file_name" in refusal(load, folder)
    assert not opened(path)


def test_a_pipe_elsewhere_is_not_waited_for(load, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    rows_with_a_path(tmp_path / "pipe.png").to_parquet(str(tmp_path / "data.parquet"))
    assert len(load(tmp_path / "data.parquet")) == 39


def test_which_paths_are_the_datasets_own(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "folder", cat=1)
    outside = secret(tmp_path / "outside")
    (folder / "linked.png").symlink_to(outside)
    own = OwnFiles(folder=folder)
    assert str(folder / "cat/000.png") in own
    assert str(folder / "cat/../cat/000.png") in own
    assert str(folder / "cat/nowhere.png") in own
    for path in (outside, folder / "../outside/secret.png", folder / "linked.png", "cat/000.png", "", "/", "a\0b"):
        assert str(path) not in own
    assert str(tmp_path / "folder-beside/x.png") not in own
    assert str(folder / "linked.png") in OwnFiles(frozenset({str(folder / "linked.png")}))
    assert str(folder / "cat/000.png") not in OwnFiles()


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(OSError, match="no regular file"):
            read_image_file(str(path))
    with (tmp_path / "large").open("wb") as file:
        file.truncate((1 << 30) + 1)  # takes no room
    with pytest.raises(OSError, match="1,073,741,825 bytes, more than the limit"):
        read_image_file(str(tmp_path / "large"))


@pytest.mark.parametrize("place", ["../outside/data-00000-of-00001.arrow", "pipe.arrow"])
def test_a_saved_dataset_names_only_its_own_files(load, tmp_path: Path, place: str) -> None:
    rows = dataset_of([0, 1, 0, 1], CLASSES)
    for name in ("outside", "data"):
        rows.save_to_disk(str(tmp_path / name))
    os.mkfifo(tmp_path / "data" / "pipe.arrow")
    assert len(load(tmp_path / "data")) == 4
    state = json.loads((tmp_path / "data" / "state.json").read_text())
    state["_data_files"] = [{"filename": place}]
    (tmp_path / "data" / "state.json").write_text(json.dumps(state))
    assert f"{place} must be a file in the folder" in refusal(load, tmp_path / "data")
    with pytest.raises(DatasetError, match="must be a file in the folder"):
        describe_dataset(str(tmp_path / "data"))

"""A full disk, or a cache that may not be written: blamed on the place, with the ways out, and never on the dataset."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from datasets import ClassLabel

from lead_hub.access import Access
from lead_hub.errors import DatasetError
from lead_hub.labelled_images.builder import cache_error
from lead_hub.labelled_images.decoded_images import EncodedImage, decode_images
from lead_hub.labelled_images.description import describe_dataset
from lead_hub.labelled_images.loading import load_labelled_images
from lead_hub.labelled_images.query import DatasetQuery
from tests.labelled_images.small_datasets import dataset_of, image_folder, png
from tests.loopback_hub import HubServer

WAYS_OUT = r"name other folders with cache_dir, or with HF_HOME and TMPDIR"


def unwritable(folder: Path) -> Path:
    """A place where nothing can be made, whoever asks: below a file."""
    (folder / "file").write_text("in the way")
    return folder / "file" / "cache"


@pytest.mark.parametrize("kind", ["file", "tables", "folder", "saved"])
def test_a_local_dataset_and_an_unwritable_cache(tmp_path: Path, kind: str) -> None:
    dataset = tmp_path / "data"
    if kind == "folder":
        image_folder(dataset, cat=2, dog=2)
    else:
        rows = dataset_of([0, 1, 0, 1], ClassLabel(names=["a", "b"]))
        dataset.mkdir()
        if kind == "saved":
            rows.save_to_disk(str(dataset))
        else:
            rows.to_parquet(str(dataset / "train.parquet"))
    name = str(dataset / "train.parquet" if kind == "file" else dataset)
    with pytest.raises(DatasetError, match="cache_dir") as caught:
        load_labelled_images(DatasetQuery(name), Access(unwritable(tmp_path), progress=False))
    assert "cannot be opened as a dataset" not in str(caught.value)
    assert "Not a directory" in str(caught.value)
    assert "TMPDIR" in str(caught.value)


def test_a_dataset_on_the_hub_and_an_unwritable_cache(hub: HubServer, tmp_path: Path) -> None:
    hub.add_repo("org/well", kind="dataset", folder=image_folder(tmp_path / "repo", cat=2, dog=2))
    cache = unwritable(tmp_path)
    with pytest.raises(DatasetError, match=rf"the folders that org/well is kept in .* must be writable.*{WAYS_OUT}"):
        load_labelled_images(DatasetQuery("org/well"), Access(cache, progress=False))
    with pytest.raises(DatasetError, match=WAYS_OUT):
        describe_dataset("org/well", cache_dir=cache)


def test_a_full_disk_at_the_first_byte(tmp_path: Path) -> None:
    """/dev/full accepts nothing; a small image is held back until the file is closed, a large one is not."""
    (tmp_path / "pixels.uint8").symlink_to("/dev/full")
    images = [EncodedImage(png((1, 1, 1)), None)]
    with pytest.raises(DatasetError, match=r"No space left on device; free some .* \(cache_dir, or TMPDIR\)"):
        decode_images(images, tmp_path, total=1, access=Access(progress=False))


LOAD = """
import resource, sys
from pathlib import Path
from lead_hub.access import Access
from lead_hub.errors import DatasetError
from lead_hub.labelled_images import DatasetQuery, load_labelled_images
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
try:
    load_labelled_images(DatasetQuery(sys.argv[1]), Access(Path(sys.argv[2]), progress=False))
except DatasetError as error:
    print(error)
"""


@pytest.mark.slow
def test_no_room_for_what_the_library_prepares(tmp_path: Path) -> None:
    noise = [{"bytes": os.urandom(20_000), "path": None} for _ in range(20)]
    dataset_of([0, 1] * 10, ClassLabel(names=["a", "b"]), noise).to_parquet(str(tmp_path / "data.parquet"))
    command = [sys.executable, "-c", LOAD, str(tmp_path / "data.parquet"), str(tmp_path / "cache"), "100000"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    told = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=True).stdout
    assert "must be writable and have room" in told
    assert "File too large" in told
    assert "cache_dir" in told


def test_what_is_the_datasets_own_fault_is_not_blamed_on_the_cache(tmp_path: Path) -> None:
    query = DatasetQuery(str(tmp_path / "pets"))
    own = PermissionError(13, "Permission denied", str(tmp_path / "pets" / "cat" / "1.png"))
    beside = PermissionError(13, "Permission denied", str(tmp_path / "pets-cache" / "lock"))
    assert cache_error(query, own) is None
    assert cache_error(query, ValueError("no image")) is None
    wrapped = RuntimeError("generating failed")
    wrapped.__cause__ = beside
    assert "pets-cache" in str(cache_error(query, wrapped))

"""describe_dataset(): what there is to choose from, on the test Hub and on disk, without downloading an image."""

import gc
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from datasets import ClassLabel, DatasetDict, Value

from lead_hub.access import Access
from lead_hub.errors import DatasetError, HubError
from lead_hub.labelled_images.description import ColumnDescription, SplitDescription, describe_dataset
from lead_hub.labelled_images.loading import load_labelled_images
from lead_hub.labelled_images.query import DatasetQuery
from tests.labelled_images.small_datasets import dataset_of, image_folder
from tests.loopback_hub import HubServer
from tests.loopback_hub.faults import Fault

CLASSES = ClassLabel(names=["cat", "dog"])
IMAGE = ColumnDescription("image", "Image", "image")


def parquet_files(folder: Path, **rows: int) -> Path:
    """A file for each split with that many rows, of an image, a ClassLabel, an id, a weight and a text."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, count in rows.items():
        table = dataset_of(
            [number % 2 for number in range(count)],
            CLASSES,
            name=([f"n{number}" for number in range(count)], Value("string")),
            weight=([0.5] * count, Value("float32")),
        )
        table.to_parquet(str(folder / f"{split}-00000-of-00001.parquet"))
    return folder


PARQUET_COLUMNS = (
    IMAGE,
    ColumnDescription("label", "ClassLabel of 2 classes", "label"),
    ColumnDescription("name", "string", "label"),
    ColumnDescription("weight", "float32", "other"),
)


def bytes_read(hub: HubServer, text: str) -> list[str]:
    return [request.path for request in hub.requests if request.method == "GET" and text in request.path]


def test_parquet_on_the_hub(hub: HubServer, tmp_path: Path) -> None:
    sha = hub.add_repo("org/parquet", kind="dataset", folder=parquet_files(tmp_path / "repo", train=7, test=3))
    found = describe_dataset("org/parquet", cache_dir=tmp_path / "cache")
    assert (found.dataset, found.sha, found.is_local, found.is_private) == ("org/parquet", sha, False, False)
    assert (found.configs, found.config) == (("default",), "default")
    assert found.splits == (SplitDescription("train", 7), SplitDescription("test", 3))
    assert found.columns == PARQUET_COLUMNS
    assert (found.image_columns, found.label_columns, found.default_split) == (("image",), ("label", "name"), "train")
    assert len(hub.requests) < 40
    assert found.download_bytes == sum(file.stat().st_size for file in (tmp_path / "repo").rglob("*.parquet"))


def test_only_the_end_of_a_large_parquet_file_is_read(hub: HubServer, tmp_path: Path) -> None:
    noise = [{"bytes": os.urandom(200_000), "path": None} for _ in range(100)]
    folder = tmp_path / "repo"
    folder.mkdir()
    dataset_of([0, 1] * 50, CLASSES, noise).to_parquet(str(folder / "train-00000-of-00001.parquet"))
    hub.add_repo("org/large", kind="dataset", folder=folder)
    hub.add_fault(Fault("cut", match="/_cdn/", times=None, after_bytes=2_000_000))  # far less than its 20 MB
    assert describe_dataset("org/large", cache_dir=tmp_path / "cache").splits == (SplitDescription("train", 100),)


def test_the_card_is_believed_without_opening_a_file(hub: HubServer, tmp_path: Path) -> None:
    folder = parquet_files(tmp_path / "repo", train=7)
    features = "".join(
        f"  - name: {name}\n    dtype: {kind}\n" for name, kind in (("image", "image"), ("kind", "string"))
    )
    (folder / "README.md").write_text(
        f"---\ndataset_info:\n  features:\n{features}  splits:\n  - name: train\n    num_bytes: 9\n"
        "    num_examples: 70\n---\n"
    )
    hub.add_repo("org/card", kind="dataset", folder=folder)
    found = describe_dataset("org/card", cache_dir=tmp_path / "cache")
    assert found.splits == (SplitDescription("train", 70),)
    assert found.columns == (IMAGE, ColumnDescription("kind", "string", "label"))
    assert bytes_read(hub, ".parquet") == []


def test_an_image_folder_on_the_hub(hub: HubServer, tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "repo" / "train", cat=3, dog=2)
    image_folder(tmp_path / "repo" / "test", cat=1, dog=1)
    hub.add_repo("org/folder", kind="dataset", folder=folder.parent)
    found = describe_dataset("org/folder", cache_dir=tmp_path / "cache")
    assert found.splits == (SplitDescription("train", 5), SplitDescription("test", 2))
    assert found.columns == (IMAGE, ColumnDescription("label", "ClassLabel of 2 classes", "label"))
    assert bytes_read(hub, ".png") == []
    assert found.download_bytes == sum(file.stat().st_size for file in (tmp_path / "repo" / "train").rglob("*.png"))


def test_an_image_folder_with_a_table(hub: HubServer, tmp_path: Path) -> None:
    image_folder(tmp_path / "repo" / "train", pictures=3)
    lines = [{"file_name": f"pictures/{number:03}.png", "kind": "cat", "boxes": [1.5]} for number in range(3)]
    (tmp_path / "repo/train/metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    hub.add_repo("org/table", kind="dataset", folder=tmp_path / "repo")
    for dataset in ("org/table", str(tmp_path / "repo")):
        found = describe_dataset(dataset, cache_dir=tmp_path / "cache")
        assert found.splits == (SplitDescription("train", None),)
        assert {(column.name, column.role) for column in found.columns} == {
            ("image", "image"),
            ("kind", "label"),
            ("boxes", "other"),
        }


def two_configs(folder: Path, *, default: str = "") -> Path:
    parquet_files(folder / "pets", train=4)
    parquet_files(folder / "farm", test=6)
    lines = [
        "- config_name: pets\n  data_files:\n  - split: train\n    path: pets/*\n",
        "- config_name: farm\n  data_files:\n  - split: test\n    path: farm/*\n",
    ]
    lines = [line + "  default: true\n" * (f": {default}\n" in line) for line in lines]
    (folder / "README.md").write_text(f"---\nconfigs:\n{''.join(lines)}---\n")
    return folder


@pytest.mark.parametrize("place", ["hub", "disk"])
def test_several_configs(hub: HubServer, tmp_path: Path, place: str) -> None:
    one, other = two_configs(tmp_path / "one"), two_configs(tmp_path / "other", default="farm")
    names = {"one": str(one), "other": str(other)}
    if place == "hub":
        for name, folder in (("one", one), ("other", other)):
            hub.add_repo(f"org/configs-{name}", kind="dataset", folder=folder)
            names[name] = f"org/configs-{name}"
    cache = tmp_path / "cache"
    first = describe_dataset(names["one"], cache_dir=cache)
    assert (first.configs, first.config) == (("pets", "farm"), "pets")
    assert first.splits == (SplitDescription("train", 4),)
    asked = describe_dataset(names["one"], config="farm", cache_dir=cache)
    assert (asked.configs, asked.config, asked.default_split) == (("pets", "farm"), "farm", "test")
    default = describe_dataset(names["other"], cache_dir=cache)
    assert (default.config, default.splits) == ("farm", (SplitDescription("test", 6),))
    with pytest.raises(DatasetError, match=r"config must be one of .* \(pets, farm\), found 'birds'"):
        describe_dataset(names["one"], config="birds", cache_dir=cache)


def test_local_parquet_file_and_folder(tmp_path: Path) -> None:
    folder = parquet_files(tmp_path / "data", train=5, test=4)
    found = describe_dataset(str(folder), cache_dir=tmp_path / "cache")
    assert (found.sha, found.is_local, found.is_private) == (None, True, True)
    assert found.splits == (SplitDescription("train", 5), SplitDescription("test", 4))
    file = describe_dataset(str(folder / "test-00000-of-00001.parquet"), cache_dir=tmp_path / "cache")
    assert (file.configs, file.config, file.splits) == ((), None, (SplitDescription("train", 4),))
    assert found.columns == file.columns == PARQUET_COLUMNS


def test_local_image_folder_and_saved_datasets(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "folder", cat=2, dog=3)
    assert describe_dataset(str(folder), cache_dir=tmp_path / "cache").splits == (SplitDescription("train", 5),)
    rows = dataset_of([0, 1, 0], CLASSES)
    rows.save_to_disk(str(tmp_path / "rows"))
    DatasetDict({"validation": rows, "test": rows.select([0])}).save_to_disk(str(tmp_path / "splits"))
    saved = describe_dataset(str(tmp_path / "rows"))
    assert (saved.configs, saved.splits, saved.label_columns) == ((), (SplitDescription("train", 3),), ("label",))
    splits = describe_dataset(str(tmp_path / "splits"))
    assert splits.splits == (SplitDescription("validation", 3), SplitDescription("test", 1))
    assert splits.default_split == "validation"
    with pytest.raises(DatasetError, match="no configurations"):
        describe_dataset(str(tmp_path / "rows"), config="pets")


def test_what_is_named_a_label_is_accepted_as_one(tmp_path: Path) -> None:
    folder = parquet_files(tmp_path / "data", train=8)
    rows = describe_dataset(str(folder), cache_dir=tmp_path / "cache")
    for column in rows.columns:
        query = DatasetQuery(str(folder), label_column=column.name)
        if column.role == "label" and column.name != "name":  # eight names of one image each are no classes
            load_labelled_images(query, Access(tmp_path / "cache", progress=False)).close()
        else:
            with pytest.raises(DatasetError, match="name" if column.name == "name" else "column"):
                load_labelled_images(query, Access(tmp_path / "cache", progress=False))


def test_no_image_column(hub: HubServer, tmp_path: Path) -> None:
    rows = dataset_of([0, 1], CLASSES, text=(["a", "b"], Value("string"))).remove_columns("image")
    folder = tmp_path / "repo"
    folder.mkdir()
    rows.to_parquet(str(folder / "train.parquet"))
    hub.add_repo("org/texts", kind="dataset", folder=folder)
    for dataset in ("org/texts", str(folder)):
        with pytest.raises(DatasetError, match=r"needed, found none; columns: label \(ClassLabel of 2 classes\), text"):
            describe_dataset(dataset, cache_dir=tmp_path / "cache")


@pytest.mark.slow
# The datasets library leaves a csv file to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_table_that_only_names_images(hub: HubServer, tmp_path: Path) -> None:
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv/train.csv").write_text("file,kind\na.png,cat\nb.png,dog\n")
    hub.add_repo("org/csv", kind="dataset", folder=tmp_path / "csv")
    for dataset in ("org/csv", str(tmp_path / "csv")):
        with pytest.raises(DatasetError, match=r"only files that .* reads as 'csv'.* is not an image dataset"):
            describe_dataset(dataset, cache_dir=tmp_path / "cache")
    gc.collect()


def test_private_with_and_without_a_token(hub: HubServer, tmp_path: Path) -> None:
    token, stranger = hub.add_user("alice"), hub.add_user("bob")
    hub.add_repo("alice/secret", kind="dataset", folder=parquet_files(tmp_path / "repo", train=4), private=True)
    for refused in (None, False, stranger):
        with pytest.raises(DatasetError, match=r"has no such dataset for you: .*if it is private log in"):
            describe_dataset("alice/secret", token=refused, cache_dir=tmp_path / "cache")
    hub.requests.clear()
    found = describe_dataset("alice/secret", token=token, cache_dir=tmp_path / "cache")
    assert (found.is_private, found.splits) == (True, (SplitDescription("train", 4),))
    assert {request.user for request in hub.requests if not request.path.startswith("/_cdn/")} == {"alice"}


def test_gated(hub: HubServer, tmp_path: Path) -> None:
    hub.add_repo("org/gated", kind="dataset", folder=parquet_files(tmp_path / "repo", train=4), gated="auto")
    with pytest.raises(HubError, match=r"is gated: accept its terms at .* then log in"):
        describe_dataset("org/gated", cache_dir=tmp_path / "cache")


def test_what_is_not_there(hub: HubServer, tmp_path: Path) -> None:
    hub.add_repo("org/there", kind="dataset", folder=parquet_files(tmp_path / "repo", train=4))
    hub.add_repo("org/empty", kind="dataset", files={"README.md": b"nothing\n"})
    for dataset, revision, words in (
        ("org/nowhere", None, "there is no path org/nowhere here, and .* has no such dataset"),
        ("org/there", "v9", "has no such revision"),
        ("org/empty", None, "cannot be opened as a dataset"),
        ("some/where/deep", None, "is named 'user/name'"),
        (str(tmp_path / "repo"), "v1", "only a Hub dataset has revisions"),
        (str(tmp_path / "repo/table.csv"), None, "a dataset in one file must be .parquet"),
    ):
        (tmp_path / "repo/table.csv").write_text("a,b\n")
        with pytest.raises(DatasetError, match=words):
            describe_dataset(dataset, revision=revision, cache_dir=tmp_path / "cache")


def test_merged_splits_are_refused_as_when_they_are_read(tmp_path: Path) -> None:
    image_folder(tmp_path / "pets" / "Train", cat=1, dog=1)
    image_folder(tmp_path / "pets" / "Test", cat=1, dog=1)
    with pytest.raises(DatasetError, match="Test, Train read as one"):
        describe_dataset(str(tmp_path / "pets"), cache_dir=tmp_path / "cache")


DESCRIBE = """
import sys
from lead_hub.access import Access
from lead_hub.errors import LeadHubError
from lead_hub.labelled_images import DatasetQuery, describe_dataset, load_labelled_images
if sys.argv[2] == "load":
    load_labelled_images(DatasetQuery(sys.argv[1]), Access(progress=False))
try:
    print(describe_dataset(sys.argv[1]))
except LeadHubError as error:
    print(type(error).__name__, error)
"""


def in_a_process(endpoint: str, home: Path, dataset: str, *, offline: bool, step: str = "") -> str:
    environment = os.environ | {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_OFFLINE": str(int(offline))}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", DESCRIBE, dataset, step]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.mark.slow
def test_offline_the_copy_that_was_loaded_is_described(hub: HubServer, tmp_path: Path) -> None:
    hub.add_repo("org/pets", kind="dataset", folder=parquet_files(tmp_path / "repo", train=6))
    online = in_a_process(hub.endpoint, tmp_path / "home", "org/pets", offline=False, step="load")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}"
        offline = in_a_process(closed, tmp_path / "home", "org/pets", offline=True)
        missing = in_a_process(closed, tmp_path / "home", "org/other", offline=True)
        down = in_a_process(closed, tmp_path / "home", "org/other", offline=False)
    assert "SplitDescription(name='train', n_rows=6)" in online
    # Whether everybody may read it, and how large its files are, only the Hub could say.
    known = re.sub(r"download_bytes=\d+", "download_bytes=None", online)
    assert offline == known.replace("is_private=False", "is_private=True") != known
    assert missing.startswith("HubError")
    assert "unset HF_HUB_OFFLINE" in missing
    assert down.startswith("HubDownError")

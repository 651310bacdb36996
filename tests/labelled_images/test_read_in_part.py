"""A Hub dataset of which only what the sample needs is downloaded."""

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from datasets import ClassLabel, Value

from lead_hub.access import Access
from lead_hub.errors import DatasetError, HubError, RunCancelledError
from lead_hub.labelled_images import hub_dataset, read_in_part, row_labels
from lead_hub.labelled_images.loading import LabelledImages, load_labelled_images
from lead_hub.labelled_images.query import DatasetQuery
from lead_hub.labelled_images.row_groups import THREADS, RemoteTables
from tests.labelled_images.small_datasets import colours, dataset_of, image_folder, png
from tests.loopback_hub import HubServer
from tests.loopback_hub.faults import Fault

pytestmark = pytest.mark.slow


def load(dataset: str, cache: Path, **query: str | int) -> LabelledImages:
    return load_labelled_images(DatasetQuery(dataset, **query), Access(cache, progress=False))


@pytest.mark.parametrize("has_table", [False, True])
def test_of_an_image_folder_the_sampled_images_alone_are_fetched(
    hub: HubServer, tmp_path: Path, has_table: bool
) -> None:
    folder = image_folder(tmp_path / "repo" / "train", cat=10, dog=10).parent
    image_folder(folder / "test", cat=5, dog=5)
    if has_table:
        for split, n_images in (("train", 10), ("test", 5)):
            lines = [f"{name}/{i:03}.png,{name}" for name in ("cat", "dog") for i in range(n_images)]
            (folder / split / "metadata.csv").write_text("\n".join(["file_name,kind", *lines]))
    hub.add_repo("org/pets", kind="dataset", folder=folder)
    with_all = load(str(folder), tmp_path / "local", max_images=6)
    images = load("org/pets", tmp_path / "cache", max_images=6)
    assert images.rows.tolist() == with_all.rows.tolist()
    assert images.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert colours(images) == colours(with_all)
    fetched = {file.relative_to(file.parents[2]) for file in (tmp_path / "cache").rglob("*.png")}
    sampled = {Path("train", ["cat", "dog"][c], f"{p:03}.png") for c, p, _ in colours(images)}
    # The first image of each split tells the library that these are files.
    assert fetched == sampled | {Path("train/cat/000.png"), Path("test/cat/000.png")}
    # More of them, later: only what was not there.
    hub.requests.clear()
    more = load("org/pets", tmp_path / "cache", max_images=12)
    assert set(images.rows) < set(more.rows)
    asked = [each.path for each in hub.requests if each.path.startswith("/_cdn/") and each.path.endswith(".png")]
    assert 5 <= len(asked) <= 6


CLASSES = ClassLabel(names=["cat", "dog", "hen", "owl"])


def large_split(folder: Path, labels: Any, *, kind: Any = CLASSES, image_bytes: int = 3000, **columns: Any) -> Path:
    """Parquet files with four groups of five rows each; row r is of the colour (r, 0, 0)."""
    images = [{"bytes": png((row, 0, 0)) + os.urandom(image_bytes), "path": None} for row in range(len(labels))]
    rows = dataset_of(labels, kind, images, **columns)
    table = rows.data.table.combine_chunks().replace_schema_metadata(rows.features.arrow_schema.metadata)
    folder.mkdir(parents=True)
    for first in range(0, len(labels), 20):
        part = table.slice(first, 20)
        pyarrow.parquet.write_table(part, folder / f"train-{first:05}.parquet", row_group_size=5)
    return folder


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every split is a large one, and of few of its groups images are taken at random."""
    monkeypatch.setattr(read_in_part, "WHOLE_UP_TO_BYTES", 0)
    monkeypatch.setattr(read_in_part, "GROUPS_BYTES", 1)


def fetched_groups(cache: Path) -> int:
    kept = [file for file in cache.rglob("lead-hub-row-groups/*/*.parquet") if not file.name.startswith("labels")]
    return len(kept)


SHUFFLED = [(7 * row) % 4 for row in range(100)]  # 7 and 4 have no common factor: 0 3 2 1 0 3 2 1 ...


@pytest.mark.usefixtures("parts")
def test_of_large_tables_those_groups_are_fetched_that_the_sample_needs(hub: HubServer, tmp_path: Path) -> None:
    folder = large_split(tmp_path / "repo", SHUFFLED)
    sha = hub.add_repo("org/large", kind="dataset", folder=folder)
    images = load("org/large", tmp_path / "cache", max_images=8)
    assert (images.sha, images.is_local, images.class_names) == (sha, False, ("cat", "dog", "hen", "owl"))
    assert colours(images) == [[row, 0, 0] for row in images.rows]
    assert images.labels.tolist() == [SHUFFLED[row] for row in images.rows]
    # Two of each class: a group of five consecutive rows holds every class, one of them twice, so that two groups give
    # two of each, and one does not.
    assert sorted(images.labels) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert fetched_groups(tmp_path / "cache") == 2
    assert len({row // 5 for row in images.rows}) == 2
    (note,) = (each for each in images.notes if each.startswith("read in part"))
    assert note.startswith("read in part: 2 of 20 groups of neighbouring rows, 0.00 of 0.00 GB")
    assert "sampled 8 of 100 images, each class in proportion, seed 0" in images.notes


@pytest.mark.usefixtures("parts")
def test_no_answer_brings_more_than_a_group(hub: HubServer, tmp_path: Path) -> None:
    folder = large_split(tmp_path / "repo", SHUFFLED, image_bytes=200_000)
    hub.add_repo("org/large", kind="dataset", folder=folder)
    # A file has 4 MB, one of its groups 1 MB: an answer that is longer never comes to its end.
    hub.add_fault(Fault("cut", match="/_cdn/", times=None, after_bytes=1_100_000))
    images = load("org/large", tmp_path / "cache", max_images=8)
    assert colours(images) == [[row, 0, 0] for row in images.rows]
    assert len([each for each in hub.requests if each.path.startswith("/_cdn/")]) < 40


@pytest.mark.usefixtures("parts")
def test_what_was_read_in_part_is_not_read_again(hub: HubServer, tmp_path: Path) -> None:
    hub.add_repo("org/large", kind="dataset", folder=large_split(tmp_path / "repo", SHUFFLED))
    first = load("org/large", tmp_path / "cache", max_images=8)
    hub.requests.clear()
    again = load("org/large", tmp_path / "cache", max_images=8)
    assert again.rows.tolist() == first.rows.tolist()
    assert colours(again) == colours(first)
    # The end of the first file alone, for the columns.
    assert len([each.path for each in hub.requests if each.path.startswith("/_cdn/")]) == 1
    other_seed = load("org/large", tmp_path / "cache", max_images=8, seed=1)
    assert other_seed.rows.tolist() != first.rows.tolist()
    assert len(list((tmp_path / "cache").rglob("labels-*.parquet"))) == 1


@pytest.mark.usefixtures("parts")
def test_groups_of_one_class_are_known_without_reading_them(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = [row // 25 for row in range(100)]  # each group of five rows is of one class
    hub.add_repo("org/sorted", kind="dataset", folder=large_split(tmp_path / "repo", labels))
    monkeypatch.setattr(row_labels, "MOST_LABEL_READS", 0)
    images = load("org/sorted", tmp_path / "cache", max_images=8)
    assert images.labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert colours(images) == [[row, 0, 0] for row in images.rows]
    assert fetched_groups(tmp_path / "cache") == 4


@pytest.mark.usefixtures("parts")
def test_groups_whose_classes_were_not_looked_up_are_told(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add_repo("org/many", kind="dataset", folder=large_split(tmp_path / "repo", SHUFFLED))
    monkeypatch.setattr(row_labels, "MOST_LABEL_READS", 3)
    images = load("org/many", tmp_path / "cache", max_images=8)
    assert images.labels.tolist() == [SHUFFLED[row] for row in images.rows]
    assert colours(images) == [[row, 0, 0] for row in images.rows]
    assert "the classes of 17 of these groups were not looked up" in images.notes
    assert "sampled 8 of 15 images, each class in proportion, seed 0" in images.notes


@pytest.mark.usefixtures("parts")
def test_groups_names_and_gaps(hub: HubServer, tmp_path: Path) -> None:
    """Class names as texts, rows without one, and a column that says which rows belong together."""
    names = [["cat", None, "dog", "", "hen"][row % 5] for row in range(60)]
    patients = [row // 10 for row in range(60)]
    folder = large_split(tmp_path / "repo", names, kind=Value("string"), patient=(patients, Value("int64")))
    hub.add_repo("org/patients", kind="dataset", folder=folder)
    query = {"max_images": 9, "label_column": "label", "group_column": "patient"}
    images = load("org/patients", tmp_path / "cache", **query)
    assert images.class_names == ("cat", "dog", "hen")
    assert sorted(images.labels) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert [images.class_names[label] for label in images.labels] == [names[row] for row in images.rows]
    assert colours(images) == [[row, 0, 0] for row in images.rows]
    assert images.groups is not None
    of_patient: dict[int, int] = {}
    expected = [of_patient.setdefault(patients[row], len(of_patient)) for row in images.rows]
    assert images.groups.tolist() == expected
    assert "rows without a label, left out: 24 of 60" in images.notes


@pytest.mark.parametrize("max_images", [60, 1000])
@pytest.mark.usefixtures("parts")
def test_who_wants_more_than_half_gets_all_files(hub: HubServer, tmp_path: Path, max_images: int) -> None:
    hub.add_repo("org/large", kind="dataset", folder=large_split(tmp_path / "repo", SHUFFLED))
    images = load("org/large", tmp_path / "cache", max_images=max_images)
    assert len(images) == min(max_images, 100)
    assert fetched_groups(tmp_path / "cache") == 0


def test_a_small_split_is_read_whole(hub: HubServer, tmp_path: Path) -> None:
    hub.add_repo("org/small", kind="dataset", folder=large_split(tmp_path / "repo", SHUFFLED))
    images = load("org/small", tmp_path / "cache", max_images=8)
    assert len({row // 5 for row in images.rows}) > 2
    assert fetched_groups(tmp_path / "cache") == 0
    assert not [note for note in images.notes if "in part" in note]


@pytest.mark.usefixtures("parts")
def test_what_is_not_read_for_want_of_room_or_of_an_answer(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add_repo("org/large", kind="dataset", folder=large_split(tmp_path / "repo", SHUFFLED))
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr("shutil.disk_usage", lambda _place: usage._replace(free=100))
        with pytest.raises(DatasetError, match=r"the files of org/large that are read, 0\.0 GB, must fit the disk"):
            load("org/large", tmp_path / "cache", max_images=8)
    asked = 0

    def enough() -> bool:
        nonlocal asked
        asked += 1
        return asked > 40

    access = Access(tmp_path / "other", progress=False, cancelled=enough)
    with pytest.raises(RunCancelledError):
        load_labelled_images(DatasetQuery("org/large", max_images=8), access)
    assert not list((tmp_path / "other").rglob("*.part"))
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("lead-hub")]
    hub.add_fault(Fault("cut", match="/_cdn/", times=None, after_bytes=500))
    monkeypatch.setattr("lead_hub.hub.requests.SILENCE_S", 1.0)
    with pytest.raises(HubError, match="cannot be reached"):
        load("org/large", tmp_path / "third", max_images=8)
    hub.faults.clear()
    assert len(load("org/large", tmp_path / "third", max_images=8)) == 8


@pytest.mark.usefixtures("parts")
def test_columns_that_are_not_clear_are_explained_as_ever(hub: HubServer, tmp_path: Path) -> None:
    folder = large_split(tmp_path / "repo", SHUFFLED, other=(SHUFFLED, CLASSES))
    hub.add_repo("org/two", kind="dataset", folder=folder)
    with pytest.raises(DatasetError, match="one label column is needed, found 2"):
        load("org/two", tmp_path / "cache", max_images=8)
    assert len(load("org/two", tmp_path / "cache", max_images=8, label_column="other")) == 8


@pytest.mark.usefixtures("parts")
def test_what_is_read_of_a_private_dataset_is_its_readers_alone(hub: HubServer, tmp_path: Path) -> None:
    token = hub.add_user("alice")
    folder = large_split(tmp_path / "repo", SHUFFLED)
    hub.add_repo("alice/large", kind="dataset", folder=folder, private=True)
    access = Access(tmp_path / "cache", token, progress=False)
    images = load_labelled_images(DatasetQuery("alice/large", max_images=8), access)
    assert images.is_private
    kept = list((tmp_path / "cache").rglob("lead-hub-row-groups/*/*.parquet"))
    assert len(kept) == 3
    assert {file.stat().st_mode & 0o777 for file in kept} == {0o600}


@pytest.mark.parametrize("has_card", [False, True])
def test_of_tables_other_splits_are_not_fetched_where_they_are_large(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_card: bool
) -> None:
    folder = tmp_path / "repo" / "data"
    large_split(folder, SHUFFLED)
    for file in folder.iterdir():
        shutil.copy(file, folder / file.name.replace("train", "test"))
    if has_card:
        features = "".join(
            f"  - name: {name}\n    dtype: {kind}\n" for name, kind in (("image", "image"), ("label", "int64"))
        )
        splits = "".join(f"  - name: {split}\n    num_bytes: 9\n    num_examples: 100\n" for split in ("train", "test"))
        card = f"---\ndataset_info:\n  features:\n{features}  splits:\n{splits}---\n"
        (folder.parent / "README.md").write_text(card)
    hub.add_repo("org/splits", kind="dataset", folder=folder.parent)
    together = load("org/splits", tmp_path / "together", max_images=8)
    monkeypatch.setattr(hub_dataset, "OTHERS_UP_TO_BYTES", 0)
    hub.requests.clear()
    alone = load("org/splits", tmp_path / "alone", max_images=8)
    fetched = {Path(each.path).name for each in hub.requests if each.path.startswith("/_cdn/")}
    assert len([name for name in fetched if name.startswith("train")]) == 5
    assert len([name for name in fetched if name.startswith("test")]) == 0
    assert alone.rows.tolist() == together.rows.tolist()
    assert (alone.config, alone.class_names) == (together.config, together.class_names)
    assert colours(alone) == colours(together)
    of_test = load("org/splits", tmp_path / "alone", max_images=8, split="test")
    assert of_test.rows.tolist() == alone.rows.tolist()
    hub.requests.clear()
    load("org/splits", tmp_path / "alone", max_images=8)
    assert not [each.path for each in hub.requests if each.path.endswith(".parquet")]
    with pytest.raises(DatasetError, match=r"split must be one of org/splits's \(train, test\), found 'nowhere'"):
        load("org/splits", tmp_path / "alone", split="nowhere")


def test_a_file_may_be_in_two_splits_and_twice_in_one(hub: HubServer, tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "repo" / "data", cat=3, dog=3).parent
    card = "---\nconfigs:\n- config_name: default\n  data_files:\n{}---\n"
    splits = "  - split: train\n    path: data/**\n  - split: validation\n    path: data/dog/**\n"
    (folder / "README.md").write_text(card.format(splits))
    hub.add_repo("org/two-splits", kind="dataset", folder=folder)
    assert len(load("org/two-splits", tmp_path / "cache")) == 6
    twice = "  - split: train\n    path:\n    - data/cat/*\n    - data/**\n"
    (folder / "README.md").write_text(card.format(twice))
    hub.add_repo("org/twice", kind="dataset", folder=folder)
    assert load("org/twice", tmp_path / "cache").class_names == ("cat", "dog")


@pytest.mark.usefixtures("parts")
def test_what_is_damaged_is_fetched_again_or_told(hub: HubServer, tmp_path: Path) -> None:
    hub.add_repo("org/large", kind="dataset", folder=large_split(tmp_path / "repo", SHUFFLED))
    first = load("org/large", tmp_path / "cache", max_images=8)
    kept = list((tmp_path / "cache").rglob("lead-hub-row-groups/*/*.parquet"))
    for file in kept:  # labels and groups
        file.write_bytes(file.read_bytes()[:-9])
    again = load("org/large", tmp_path / "cache", max_images=8)
    assert again.rows.tolist() == first.rows.tolist()
    assert colours(again) == colours(first)
    groups = [file for file in kept if not file.name.startswith("labels")]
    for file in groups:  # the end is whole, what it tells of is not
        content = file.read_bytes()
        file.write_bytes(b"PAR1" + b"\xff" * 4000 + content[4004:])
    with pytest.raises(DatasetError, match=r"what is kept of train-.*\.parquet must be readable, found .* try again"):
        load("org/large", tmp_path / "cache", max_images=8)


@pytest.mark.usefixtures("parts")
def test_a_refusal_midway_is_told_in_words(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add_repo("org/large", kind="dataset", folder=large_split(tmp_path / "repo", SHUFFLED))
    real = RemoteTables.fetch

    def refused(self: RemoteTables, *arguments: Any, **options: Any) -> None:
        hub.add_fault(Fault("status", match="/resolve/", times=None, status=403))
        real(self, *arguments, **options)

    monkeypatch.setattr(RemoteTables, "fetch", refused)  # the Hub's mind changes at a known moment
    with pytest.raises(HubError, match="org/large"):
        load("org/large", tmp_path / "cache", max_images=8)


@pytest.mark.usefixtures("parts")
def test_the_size_of_images_decides_nothing(hub: HubServer, tmp_path: Path) -> None:
    """What is sampled is the same with a column of groups, however much is in it."""
    labels = [row // 25 for row in range(100)]
    texts = [os.urandom(50 * (row % 7)).hex() for row in range(100)]
    folder = large_split(tmp_path / "repo", labels, patient=(texts, Value("string")))
    hub.add_repo("org/large", kind="dataset", folder=folder)
    without = load("org/large", tmp_path / "cache", max_images=8)
    grouped = load("org/large", tmp_path / "cache", max_images=8, group_column="patient")
    assert grouped.rows.tolist() == without.rows.tolist()


@pytest.mark.usefixtures("parts")
def test_configurations_with_the_same_files_in_another_order(hub: HubServer, tmp_path: Path) -> None:
    folder = large_split(tmp_path / "repo", SHUFFLED)
    names = sorted(file.name for file in folder.iterdir())
    configs = "".join(
        f"- config_name: {config}\n  data_files:\n  - split: train\n    path:\n"
        + "".join(f"    - {n}\n" for n in order)
        for config, order in (("a", names), ("b", names[::-1]))
    )
    (folder / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    hub.add_repo("org/orders", kind="dataset", folder=folder)
    first = load("org/orders", tmp_path / "cache", max_images=8, config="a")
    other = load("org/orders", tmp_path / "cache", max_images=8, config="b")
    assert colours(first) == [[row, 0, 0] for row in first.rows]
    assert colours(other) == [[20 * (4 - row // 20) + row % 20, 0, 0] for row in other.rows]


@pytest.mark.usefixtures("parts")
def test_waiting_for_labels_ends_when_nobody_wants_them(hub: HubServer, tmp_path: Path) -> None:
    hub.add_repo("org/large", kind="dataset", folder=large_split(tmp_path / "repo", SHUFFLED))
    hub.add_fault(Fault("slow", match="/_cdn/", times=None, seconds=0.3))
    seen = 0

    def enough() -> bool:
        nonlocal seen
        seen = len([each for each in hub.requests if each.path.startswith("/_cdn/")])
        return seen >= 7  # five ends of files, and the first labels

    access = Access(tmp_path / "cache", progress=False, cancelled=enough)
    with pytest.raises(RunCancelledError):
        load_labelled_images(DatasetQuery("org/large", max_images=8), access)
    # Twenty groups have labels to read; each of the threads may have had one under way.
    assert len([each for each in hub.requests if each.path.startswith("/_cdn/")]) <= 7 + THREADS


OFFLINE = """
import json, sys
from pathlib import Path
from lead_hub.access import Access
from lead_hub.errors import LeadHubError
from lead_hub.labelled_images import DatasetQuery, load_labelled_images, hub_dataset, read_in_part
is_part, query = json.loads(sys.argv[1])
if is_part:
    read_in_part.WHOLE_UP_TO_BYTES, read_in_part.GROUPS_BYTES = 0, 1
hub_dataset.OTHERS_UP_TO_BYTES = 0
try:
    images = load_labelled_images(DatasetQuery(**query), Access(Path(sys.argv[2]), progress=False))
except LeadHubError as error:
    print(json.dumps(str(error)))
else:
    print(json.dumps([images.sha, images.config, images.rows.tolist(),
        [images.pixels[i][0, 0].tolist() for i in range(len(images))]]))
"""


def loaded(hub: HubServer, cache: Path, query: dict[str, Any], *, is_part: bool, offline: bool) -> Any:
    """What a process of its own loads: whether the Hub is asked is read when the libraries are imported."""
    environment = os.environ | {"HF_ENDPOINT": hub.endpoint, "HF_HUB_OFFLINE": str(int(offline))}
    environment |= {"PYTHONPATH": str(Path(__file__).parents[2]), "HF_HOME": str(cache.parent / "home")}
    command = [sys.executable, "-c", OFFLINE, json.dumps([is_part, query]), str(cache)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize("kind", ["part", "one split", "images"])
def test_what_was_read_is_read_again_offline(hub: HubServer, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "repo"
    if kind == "images":
        image_folder(folder / "train", cat=9, dog=9)
    else:
        large_split(folder, SHUFFLED)
        for file in list(folder.iterdir()):
            shutil.copy(file, folder / file.name.replace("train", "test"))
    sha = hub.add_repo("org/kept", kind="dataset", folder=folder)
    query = {"dataset": "org/kept", "max_images": 8}
    asked = {"is_part": kind == "part"}
    online = loaded(hub, tmp_path / "cache", query, offline=False, **asked)
    assert online[0] == sha
    hub.requests.clear()
    assert loaded(hub, tmp_path / "cache", query, offline=True, **asked) == online
    assert hub.requests == []
    other = loaded(hub, tmp_path / "cache", {**query, "seed": 1}, offline=True, **asked)
    if kind == "images":
        assert "offline, all images of the sample must be in the cache" in other
    elif kind == "part":
        assert "the Hub is not asked for org/kept, because HF_HUB_OFFLINE is set" in other
    else:
        assert other[:2] == online[:2]

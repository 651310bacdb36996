"""Of large tables on the Hub only those groups of rows are downloaded that the sample needs."""

import os
from pathlib import Path

import pytest
from datasets import Value

from lead_hub.errors import DatasetError
from lead_hub.labelled_images import row_labels
from tests.labelled_images.large_splits import CLASSES, SHUFFLED, fetched_groups, large_split, load
from tests.labelled_images.small_datasets import colours
from tests.loopback_hub import HubServer
from tests.loopback_hub.faults import Fault

pytestmark = pytest.mark.slow


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
    assert not [each.path for each in hub.requests if each.path.startswith("/_cdn/") or "paths-info" in each.path]
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
def test_columns_that_are_not_clear_are_explained_as_ever(hub: HubServer, tmp_path: Path) -> None:
    folder = large_split(tmp_path / "repo", SHUFFLED, other=(SHUFFLED, CLASSES))
    hub.add_repo("org/two", kind="dataset", folder=folder)
    with pytest.raises(DatasetError, match="one label column is needed, found 2"):
        load("org/two", tmp_path / "cache", max_images=8)
    assert len(load("org/two", tmp_path / "cache", max_images=8, label_column="other")) == 8


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

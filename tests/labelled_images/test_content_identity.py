"""What is read is what the files hold now, whatever their names and times of change say."""

import json
import os
from pathlib import Path

import pytest
from datasets import ClassLabel, Value
from huggingface_hub import constants

from lead_hub.access import Access
from lead_hub.errors import HubError
from lead_hub.labelled_images.loading import LabelledImages, load_labelled_images
from lead_hub.labelled_images.query import DatasetQuery
from lead_hub.labelled_images.verified_files import DatasetFiles
from tests.labelled_images.small_datasets import colours, dataset_of, image_folder, png, refusal
from tests.loopback_hub import HubServer
from tests.loopback_hub.faults import Fault

CLASSES = ClassLabel(names=["cat", "dog"])
LONG_AGO = (315532800, 315532800)


@pytest.mark.parametrize("place", ["data.parquet", "folder/train.parquet", "set [v2]/train.parquet"])
def test_a_table_replaced_with_the_same_time_of_change(load, tmp_path: Path, place: str) -> None:
    file = tmp_path / place
    file.parent.mkdir(exist_ok=True)
    dataset = file if place == "data.parquet" else file.parent
    seen = []
    for names in ("aabb", "abab"):
        dataset_of(list(names), Value("string")).to_parquet(file)
        os.utime(file, LONG_AGO)
        images = load(dataset)
        assert [images.class_names[label] for label in images.labels] == list(names)
        seen.append(images.sha)
    assert seen[0] != seen[1]


# The datasets library leaves a csv file to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_labels_replaced_with_the_same_time_of_change(load, tmp_path: Path, ending: str) -> None:
    folder = image_folder(tmp_path / "pets", files=4)
    for names in ("xxyy", "xyxy"):
        lines = [{"file_name": f"files/{row:03}.png", "kind": name} for row, name in enumerate(names)]
        table = folder / f"metadata.{ending}"
        if ending == "csv":
            table.write_text("file_name,kind\n" + "".join(f"{line['file_name']},{line['kind']}\n" for line in lines))
        else:
            table.write_text("".join(json.dumps(line) + "\n" for line in lines))
        os.utime(table, LONG_AGO)
        images = load(folder)
        assert [images.class_names[label] for label in images.labels] == list(names)


def test_the_same_content_elsewhere_is_read_from_there(load, tmp_path: Path) -> None:
    first, second = (image_folder(tmp_path / name / "pets", cat=2, dog=2) for name in ("one", "two"))
    sha = load(first).sha
    for file in [*first.rglob("*.png")]:
        file.unlink()
    images = load(second)
    assert (images.sha, len(images)) == (sha, 4)


def pets(hub: HubServer, name: str, folder: Path, *, kind: str) -> str:
    folder.mkdir()
    if kind == "parquet":
        dataset_of([0, 1] * 4, CLASSES).to_parquet(str(folder / "train.parquet"))
    else:
        image_folder(folder, cat=4, dog=4)
    return hub.add_repo(name, kind="dataset", folder=folder)


def loaded(name: str, cache: Path) -> LabelledImages:
    return load_labelled_images(DatasetQuery(name), Access(cache, progress=False))


@pytest.mark.parametrize("kind", ["parquet", "folder"])
def test_other_bytes_on_the_wire_are_fetched_again(hub: HubServer, tmp_path: Path, kind: str) -> None:
    pets(hub, f"org/wire-{kind}", tmp_path / "repo", kind=kind)
    right = loaded(f"org/wire-{kind}", tmp_path / "healthy")
    hub.add_fault(Fault("wrong_bytes", match=".p", method="GET", times=2))
    repaired = loaded(f"org/wire-{kind}", tmp_path / "cache")
    assert hub.faults.left() == []
    assert colours(repaired) == colours(right)
    assert repaired.notes == right.notes == ()
    right.close()
    repaired.close()


@pytest.mark.parametrize("kind", ["parquet", "folder"])
def test_other_bytes_for_good_are_refused_and_leave_nothing(hub: HubServer, tmp_path: Path, kind: str) -> None:
    sha = pets(hub, f"org/wrong-{kind}", tmp_path / "repo", kind=kind)
    hub.add_fault(Fault("wrong_bytes", match=".p", method="GET", times=None))
    with pytest.raises(HubError, match=rf"{sha} must have the content that .* lists, found other bytes 3 times"):
        loaded(f"org/wrong-{kind}", tmp_path / "cache")
    hub.faults.clear()
    images = loaded(f"org/wrong-{kind}", tmp_path / "cache")
    assert len(images) == 8
    images.close()


def test_a_falsified_card_is_fetched_again(hub: HubServer, tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "repo", cat=2, dog=2, cow=2)
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: pets\n  data_files: ['cat/*.png', 'dog/*.png']\n---\n"
    )
    hub.add_repo("org/card-on-the-wire", kind="dataset", folder=folder)
    hub.add_fault(Fault("wrong_bytes", match="README.md", method="GET"))
    images = loaded("org/card-on-the-wire", tmp_path / "cache")
    assert (images.config, images.class_names) == ("pets", ("cat", "dog"))
    images.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", [".huggingface.yaml", "dataset_infos.json"])
def test_falsified_settings_are_fetched_again(hub: HubServer, tmp_path: Path, name: str) -> None:
    folder = image_folder(tmp_path / "repo", cat=2, dog=2, cow=2)
    configs = "configs:\n- config_name: pets\n  data_files: ['cat/*.png', 'dog/*.png']\n"
    infos = json.dumps({"pets": {"description": "of the pets"}})
    (folder / name).write_text(configs if name.endswith("yaml") else infos)
    sha = hub.add_repo(f"org/wire-{name.strip('.')}", kind="dataset", folder=folder)
    hub.add_fault(Fault("wrong_bytes", match=name, method="GET"))
    loaded(f"org/wire-{name.strip('.')}", tmp_path / "cache").close()
    assert hub.faults.left() == []
    files = DatasetFiles(f"org/wire-{name.strip('.')}", sha, Path(constants.HF_HUB_CACHE))
    assert (files.snapshot / name).read_bytes() == (folder / name).read_bytes()


def test_what_was_compared_is_not_compared_again_unless_it_changed(hub: HubServer, tmp_path: Path) -> None:
    pets(hub, "org/remembered", tmp_path / "repo", kind="folder")
    right = loaded("org/remembered", tmp_path / "cache")
    hub.requests.clear()
    loaded("org/remembered", tmp_path / "cache").close()
    assert [each.path for each in hub.requests if "paths-info" in each.path or each.path.endswith(".png")] == []
    (snapshot,) = (tmp_path / "cache").glob("datasets/hub/datasets--*/snapshots/*")
    blob = (snapshot / "cat/001.png").resolve()
    blob.write_bytes(png((123, 0, 0)))
    (snapshot / "dog/002.png").resolve().unlink()
    hub.requests.clear()
    again = loaded("org/remembered", tmp_path / "cache")
    assert colours(again) == colours(right)
    asked = {each.path.rpartition("/")[2] for each in hub.requests if each.path.endswith(".png")}
    assert asked == {"001.png", "002.png"}
    right.close()
    again.close()


def test_damaged_notes_on_what_was_compared_are_made_anew(hub: HubServer, tmp_path: Path) -> None:
    pets(hub, "org/damaged-notes", tmp_path / "repo", kind="folder")
    loaded("org/damaged-notes", tmp_path / "cache").close()
    (notes,) = (tmp_path / "cache").glob("datasets/hub/datasets--*/lead-hub-verified/*.json")
    for text in ("{", "[]", '{"cat/000.png": "yes"}'):
        notes.write_text(text)
        loaded("org/damaged-notes", tmp_path / "cache").close()
        assert len(json.loads(notes.read_text())) == 8


def test_a_table_that_is_no_parquet_is_told(load, tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and no more")
    assert "the files of" in refusal(load, tmp_path / "broken.parquet")

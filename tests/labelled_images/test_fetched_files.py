"""Which files of a Hub dataset are downloaded, and that they are enough afterwards, without the Hub."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lead_hub.errors import DatasetError
from lead_hub.labelled_images import hub_dataset
from tests.labelled_images.large_splits import SHUFFLED, large_split, load
from tests.labelled_images.small_datasets import colours, image_folder
from tests.loopback_hub import HubServer

pytestmark = pytest.mark.slow


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


def test_offline_a_revision_is_the_commit_that_it_was_last(hub: HubServer, tmp_path: Path) -> None:
    """Whichever commit was looked at since then, under its own name."""
    large_split(tmp_path / "repo", SHUFFLED)
    old = hub.add_repo("org/moves", kind="dataset", folder=tmp_path / "repo")
    query, asked = {"dataset": "org/moves", "max_images": 8}, {"is_part": True}
    new = hub.commit("org/moves", kind="dataset", files={"notes.txt": b"of the second commit"})
    assert loaded(hub, tmp_path / "cache", query, offline=False, **asked)[0] == new != old
    assert loaded(hub, tmp_path / "cache", {**query, "revision": old}, offline=False, **asked)[0] == old
    for revision, commit in ((None, new), ("main", new), (old, old), (new, new)):
        found = loaded(hub, tmp_path / "cache", {**query, "revision": revision}, offline=True, **asked)
        assert found[0] == commit

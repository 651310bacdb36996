"""With a cache_dir of its own, a private dataset leaves nothing in the caches that others share."""

from pathlib import Path

import datasets
import pytest
from datasets import ClassLabel
from huggingface_hub import constants

from lead_hub.access import Access
from lead_hub.labelled_images.description import describe_dataset
from lead_hub.labelled_images.loading import load_labelled_images
from lead_hub.labelled_images.query import DatasetQuery
from tests.conftest import CACHES
from tests.labelled_images.small_datasets import dataset_of, image_folder
from tests.loopback_hub import HubServer

SECRET = b"the-secret-of-the-card"


def shared_files() -> dict[str, bytes]:
    """Every file of the shared caches."""
    places = {CACHES, Path(constants.HF_HUB_CACHE), Path(datasets.config.HF_DATASETS_CACHE)}
    paths = [path for place in places for path in place.rglob("*") if path.is_file() and path.name != "CACHEDIR.TAG"]
    return {str(path): path.read_bytes() for path in paths}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["parquet", "folder"])
def test_nothing_stays_behind(hub: HubServer, tmp_path: Path, kind: str) -> None:
    token = hub.add_user("alice")
    (tmp_path / "repo").mkdir()
    if kind == "parquet":
        rows = dataset_of([0, 1] * 4, ClassLabel(names=["cat", "dog"]))
        rows.to_parquet(str(tmp_path / "repo/train.parquet"))
    else:
        image_folder(tmp_path / "repo", cat=9, dog=9)
    (tmp_path / "repo/README.md").write_bytes(b"---\nlicense: mit\n---\n" + SECRET)
    name = f"alice/private-{kind}"
    hub.add_repo(name, kind="dataset", folder=tmp_path / "repo", private=True)
    before = shared_files()
    own = tmp_path / "own"
    for _ in range(2):
        describe_dataset(name, token=token, cache_dir=own)
        images = load_labelled_images(DatasetQuery(name), Access(own, token, progress=False))
        images.pixels[0]
        images.close()
    after = shared_files()
    assert set(after) == set(before)
    assert not [path for path, content in after.items() if SECRET in content]
    assert not [path for path in after if "private-" in path]
    # What was fetched is in the folder that was named, once.
    assert len(list(own.glob("datasets/hub/datasets--*/blobs/*"))) == len(list((tmp_path / "repo").rglob("*.p*")))


def test_what_was_in_the_shared_cache_stays_there(hub: HubServer, tmp_path: Path) -> None:
    token = hub.add_user("alice")
    folder = image_folder(tmp_path / "repo", cat=3, dog=3)
    (folder / "README.md").write_bytes(SECRET)
    hub.add_repo("alice/kept", kind="dataset", folder=folder, private=True)
    load_labelled_images(DatasetQuery("alice/kept"), Access(token=token, progress=False)).close()
    before = shared_files()
    assert [path for path in before if "alice--kept" in path]
    describe_dataset("alice/kept", token=token, cache_dir=tmp_path / "own")
    assert set(shared_files()) >= set(before)


def test_what_is_prepared_is_its_owners_alone(hub: HubServer, tmp_path: Path) -> None:
    token = hub.add_user("alice")
    folder = image_folder(tmp_path / "repo", cat=3, dog=3)
    hub.add_repo("alice/closed", kind="dataset", folder=folder, private=True)
    for dataset in ("alice/closed", str(folder)):
        for access in (Access(tmp_path / "own", token, progress=False), Access(token=token, progress=False)):
            load_labelled_images(DatasetQuery(dataset), access).close()
    shared = Path(datasets.config.HF_DATASETS_CACHE)
    places = [tmp_path / "own" / "datasets", shared / "verified", shared / "by-content"]
    assert [place.stat().st_mode & 0o777 for place in places] == [0o700] * 3
    assert len(list(places[0].rglob("*.arrow"))) == 2
    assert all(any(place.rglob("*.arrow")) for place in places)

"""A Hub that fails while a newer commit is opened: the copy of the older one does not pass for it."""

from pathlib import Path

import pytest
from datasets import ClassLabel

from lead_hub.access import Access
from lead_hub.errors import HubError
from lead_hub.labelled_images import DatasetQuery, describe_dataset, load_labelled_images
from tests.labelled_images.small_datasets import dataset_of, image_folder
from tests.loopback_hub import Fault, HubServer


def dataset(folder: Path, *, kind: str, n_images: int) -> Path:
    """So many images of each of two classes, as files or as rows."""
    if kind == "folder":
        return image_folder(folder, cat=n_images, dog=n_images)
    folder.mkdir()
    dataset_of([0, 1] * n_images, ClassLabel(names=["cat", "dog"])).to_parquet(str(folder / "train.parquet"))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["folder", "parquet"])
@pytest.mark.parametrize("failing", ["/tree/", "/revision/", ".huggingface.yaml"])
def test_an_older_copy_is_not_taken_for_the_newer_commit(
    hub: HubServer, tmp_path: Path, kind: str, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lead_hub.hub.requests.SILENCE_S", 0.5)
    name = f"org/stale-{kind}-{failing.strip('/.').partition('.')[0]}"
    hub.add_repo(name, kind="dataset", folder=dataset(tmp_path / "old", kind=kind, n_images=3))
    access = Access(tmp_path / "cache", progress=False)
    images = load_labelled_images(DatasetQuery(name), access)
    assert len(images) == 6
    images.close()
    hub.commit(name, kind="dataset", folder=dataset(tmp_path / "new", kind=kind, n_images=5))
    hub.add_fault(Fault("status", match=failing, times=None))
    with pytest.raises(HubError, match=r"is commit|cannot be reached"):
        load_labelled_images(DatasetQuery(name), access)
    with pytest.raises(HubError, match=r"is commit|cannot be reached"):
        describe_dataset(name, cache_dir=tmp_path / "cache")

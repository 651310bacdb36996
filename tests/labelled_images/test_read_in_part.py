"""A Hub dataset of which only what the sample needs is downloaded."""

from pathlib import Path

import pytest

from lead_hub.access import Access
from lead_hub.labelled_images.loading import LabelledImages, load_labelled_images
from lead_hub.labelled_images.query import DatasetQuery
from tests.labelled_images.small_datasets import colours, image_folder
from tests.loopback_hub import HubServer


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

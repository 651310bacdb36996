"""Real files of every supported kind, read by the real datasets library."""

import shutil

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Value

from tests.labelled_images.small_datasets import colours, dataset_of, image_folder, png, refusal, write_image


def test_image_folder(load, tmp_path):
    images = load(image_folder(tmp_path / "pets", cat=3, dog=2))
    assert images.class_names == ("cat", "dog")
    assert images.labels.tolist() == [0, 0, 0, 1, 1]
    assert images.labels.dtype == np.int64
    assert images.rows.tolist() == [0, 1, 2, 3, 4]
    assert images.rows.dtype == np.int64
    assert colours(images) == [[0, 0, 0], [0, 1, 0], [0, 2, 0], [1, 0, 0], [1, 1, 0]]
    assert images.pixels[0].shape == (4, 5, 3)
    assert images.pixels[0].dtype == np.uint8
    assert (images.dataset, images.is_local) == (str(tmp_path / "pets"), True)
    assert (images.split, images.image_column, images.label_column) == ("train", "image", "label")
    assert images.notes == ()
    assert len(images) == 5


def test_only_the_chosen_split_is_read(load, tmp_path):
    image_folder(tmp_path / "pets" / "train", cat=2, dog=2)
    for name in ("cat", "dog"):
        write_image(tmp_path / "pets" / "test" / name / "a.png", (99, 99, 99))
        write_image(tmp_path / "pets" / "test" / name / "b.png", (99, 99, 99))
    train = load(tmp_path / "pets")
    test = load(tmp_path / "pets", split="test")
    assert [99, 99, 99] not in colours(train)
    assert set(map(tuple, colours(test))) == {(99, 99, 99)}
    assert train.sha != test.sha


def test_metadata_names_the_labels(load, tmp_path):
    folder = image_folder(tmp_path / "pets", files=4)
    lines = [f"files/{position:03}.png,{name}" for position, name in enumerate(["x", "y", "x", "y"])]
    (folder / "metadata.jsonl").write_text(
        "\n".join(f'{{"file_name": "{line.split(",")[0]}", "kind": "{line.split(",")[1]}"}}' for line in lines)
    )
    images = load(folder)
    assert images.label_column == "kind"
    assert list(zip(images.labels.tolist(), colours(images), strict=True)) == [
        (0, [0, 0, 0]),
        (1, [0, 1, 0]),
        (0, [0, 2, 0]),
        (1, [0, 3, 0]),
    ]


@pytest.mark.parametrize("place", ["pets.parquet", "folder/train.parquet", "folder/data/train-00000-of-00001.parquet"])
def test_parquet(load, tmp_path, place):
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset_of([1, 0, 1, 0], ClassLabel(names=["cat", "dog"])).to_parquet(path)
    images = load(path if place == "pets.parquet" else tmp_path / "folder")
    assert images.class_names == ("cat", "dog")
    assert images.labels.tolist() == [1, 0, 1, 0]
    assert colours(images) == [[0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0]]


def test_parquet_written_without_the_datasets_library(load, tmp_path):
    import pandas as pd

    rows = [{"image": {"bytes": png((row, 0, 0)), "path": "x.png"}, "label": row % 2} for row in range(4)]
    pd.DataFrame(rows).to_parquet(tmp_path / "plain.parquet")
    images = load(tmp_path / "plain.parquet")
    assert images.class_names == ("0", "1")
    assert colours(images) == [[0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0]]


def test_saved_dataset_and_saved_splits(load, tmp_path):
    one = dataset_of(["b", "a", "b", "a"], Value("string"))
    one.save_to_disk(tmp_path / "one")
    DatasetDict({"train": one, "test": one.select([0, 1, 2])}).save_to_disk(tmp_path / "two")
    for folder, n_images in (("one", 4), ("two", 4)):
        images = load(tmp_path / folder)
        assert images.class_names == ("a", "b")
        assert images.labels.tolist() == [1, 0, 1, 0]
        assert len(images) == n_images
    message = refusal(load, tmp_path / "two", split="validation")
    assert "(test, train), found 'validation'" in message


def test_saved_split_of_another_name_is_not_read_as_train(load, tmp_path):
    dataset = DatasetDict({"test": dataset_of([0, 0, 1, 1], ClassLabel(names=["a", "b"]))})
    dataset.save_to_disk(tmp_path / "all")
    from datasets import load_from_disk

    test = load_from_disk(str(tmp_path / "all"))["test"]
    parquet = tmp_path / "test.parquet"
    test.to_parquet(parquet)
    named = Dataset.from_parquet(str(parquet), split="test", cache_dir=str(tmp_path / "c"))
    named.save_to_disk(tmp_path / "named")
    assert "(test), found 'train'" in refusal(load, tmp_path / "named")


def test_what_is_no_image_dataset(load, tmp_path):
    (tmp_path / "table.csv").write_text("file,label\na.png,1\n")
    assert "must be .parquet" in refusal(load, tmp_path / "table.csv")
    (tmp_path / "tables").mkdir()
    shutil.copy(tmp_path / "table.csv", tmp_path / "tables")
    assert "csv or jsonl" in refusal(load, tmp_path / "tables")
    (tmp_path / "empty").mkdir()
    assert "data files" in refusal(load, tmp_path / "empty")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and no more")
    assert "cannot be read" in refusal(load, tmp_path / "broken.parquet")
    assert "only a Hub dataset has revisions" in refusal(load, tmp_path / "empty", revision="main")


def test_empty_split(load, tmp_path):
    dataset_of([], ClassLabel(names=["a", "b"])).to_parquet(tmp_path / "none.parquet")
    assert "found no rows" in refusal(load, tmp_path / "none.parquet")


def test_configurations_are_listed(load, tmp_path):
    folder = image_folder(tmp_path / "pets", cat=2, dog=2, cow=2, hen=2)
    (folder / "README.md").write_text(
        "---\nconfigs:\n"
        "- config_name: pets\n  data_files: ['cat/*.png', 'dog/*.png']\n"
        "- config_name: farm\n  data_files: ['cow/*.png', 'hen/*.png']\n---\n"
    )
    assert "2 configurations; name one with config: pets, farm" in refusal(load, folder)
    assert "(pets, farm), found 'zoo'" in refusal(load, folder, config="zoo")
    farm = load(folder, config="farm")
    assert (farm.config, farm.class_names) == ("farm", ("cow", "hen"))


# The trap of split directories without classes

"""Real files, read by the real datasets library."""

import io
import shutil
from dataclasses import replace

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, Value
from PIL import Image as PillowImage

from lead_hub.errors import DatasetError
from lead_hub.labelled_images import DatasetQuery, LabelledImages, load_labelled_images
from lead_hub.labelled_images.decoded_images import DecodedImages


def write_image(path, colour=(0, 0, 0)):
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.new("RGB", (5, 4), colour).save(path, format="PNG")


def image_folder(folder, **counts):
    """An image of class c at position p has the colour (c, p, 0)."""
    for number, (name, count) in enumerate(counts.items()):
        for position in range(count):
            write_image(folder / name / f"{position:03}.png", (number, position, 0))
    return folder


def png(colour):
    file = io.BytesIO()
    PillowImage.new("RGB", (5, 4), colour).save(file, format="PNG")
    return file.getvalue()


def dataset_of(labels, label_type, colours=None, **columns):
    """Embedded images; row r has the colour (r, 0, 0) unless it is given."""
    images = [{"bytes": png((row, 0, 0)), "path": None} for row in range(len(labels))] if colours is None else colours
    data = {"image": images, "label": labels, **{name: values for name, (values, _) in columns.items()}}
    types = {"image": Image(), "label": label_type, **{name: kind for name, (_, kind) in columns.items()}}
    return Dataset.from_dict(data, features=Features(types))


@pytest.fixture
def load(tmp_path):
    def load(dataset, *, decoded_folder=None, **query) -> LabelledImages:
        return load_labelled_images(
            DatasetQuery(str(dataset), **query),
            cache_dir=tmp_path / "cache",
            decoded_folder=decoded_folder,
            progress=False,
        )

    return load


def colours(images):
    return [images.pixels[position][0, 0].tolist() for position in range(len(images))]


def refusal(load, dataset, **query):
    with pytest.raises(DatasetError) as caught:
        load(dataset, **query)
    return str(caught.value)


# The sources


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
    assert (images.images_in_split, images.unlabelled, images.unreadable) == (5, 0, 0)
    assert images.left_out_classes == images.notes == ()
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
        assert images.images_in_split == n_images
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


@pytest.mark.parametrize(
    "files",
    [
        ["train/1.png", "train/2.png", "test/3.png"],
        ["train/1.png", "validation/2.png", "test/3.png"],
        ["images/train/1.png", "images/val/2.png"],
        ["Train/1.png", "Test/2.png"],
        ["cat/train/1.png", "dog/train/2.png", "cat/test/3.png", "dog/test/4.png"],
        ["trainA/1.png", "trainB/2.png", "testA/3.png", "testB/4.png"],
    ],
)
def test_classes_named_after_splits(load, tmp_path, files):
    for file in files:
        write_image(tmp_path / "pets" / file)
        write_image(tmp_path / "pets" / file.replace(".png", "b.png"))
    message = refusal(load, tmp_path / "pets")
    assert "classes must be what the images show" in message
    assert "FOLDER/train/CLASS/image.jpg" in message


@pytest.mark.parametrize(
    "splits", [("Train", "Test"), ("TRAIN", "TEST"), ("Train", "Valid"), ("data/Train", "data/Val")]
)
def test_splits_read_as_one(load, tmp_path, splits):
    for split in splits:
        image_folder(tmp_path / "pets" / split, cat=2, dog=2)
    message = refusal(load, tmp_path / "pets")
    assert f"{', '.join(sorted(splits))} read as one" in message
    way_out = f"{tmp_path}/pets/{splits[0]}"
    assert message.endswith(way_out)
    assert load(way_out).class_names == ("cat", "dog")


def test_unlabelled_test_images_beside_labelled_training_images(load, tmp_path):
    image_folder(tmp_path / "pets" / "train", cat=2, dog=2)
    write_image(tmp_path / "pets" / "test" / "1.png")
    message = refusal(load, tmp_path / "pets")
    assert f"Name {tmp_path}/pets/train as the dataset" in message
    assert load(tmp_path / "pets" / "train").class_names == ("cat", "dog")


def test_class_directories_at_different_depths(load, tmp_path):
    image_folder(tmp_path / "pets", cat=2)
    image_folder(tmp_path / "pets" / "dogs", poodle=2)
    assert "2 different depths" in refusal(load, tmp_path / "pets")


def test_class_named_train(load, tmp_path):
    image_folder(tmp_path / "vehicles", car=2, train=2)
    message = refusal(load, tmp_path / "vehicles")
    assert "FOLDER/train/train/image.jpg" in message
    image_folder(tmp_path / "right" / "train", car=2, train=2)
    assert load(tmp_path / "right").class_names == ("car", "train")


@pytest.mark.parametrize("split", ["train", "data/train"])
def test_layouts_that_are_right(load, tmp_path, split):
    for name in (split, split.replace("train", "test")):
        image_folder(tmp_path / "pets" / name, cat=2, dog=3)
    images = load(tmp_path / "pets")
    assert images.labels.tolist() == [0, 0, 1, 1, 1]


def test_directories_of_the_same_name_are_told(load, tmp_path):
    image_folder(tmp_path / "things" / "animals", cat=2, other=2)
    image_folder(tmp_path / "things" / "plants", rose=2, other=2)
    images = load(tmp_path / "things")
    assert images.class_names == ("cat", "other", "rose")
    assert images.notes == ("directories of the same name in different places were read as one class: 1 (other)",)


def test_folder_without_classes(load, tmp_path):
    for name in ("a.png", "b.png"):
        write_image(tmp_path / "flat" / name)
    assert "all images lie in one directory" in refusal(load, tmp_path / "flat")


# Labels


def test_labels_with_gaps_booleans_and_html(load, tmp_path):
    for number, (labels, kind, names) in enumerate(
        [
            ([100, 3, 7, 100, 3, 7], Value("int64"), ("3", "7", "100")),
            ([True, False, True, False], Value("bool"), ("False", "True")),
            (["<b>ü</b>", "猫", "<b>ü</b>", "猫"], Value("string"), ("<b>ü</b>", "猫")),
        ]
    ):
        dataset_of(labels, kind).to_parquet(tmp_path / f"{number}.parquet")
        images = load(tmp_path / f"{number}.parquet")
        assert images.class_names == names
        assert [names[label] for label in images.labels] == [str(label) for label in labels]


def test_rows_and_classes_that_are_left_out(load, tmp_path):
    names = ["cat", "dog", "hen", "cow"]
    labels = [0, 0, None, 1, 2, 1, -1, 1]
    dataset_of(labels, ClassLabel(names=names)).to_parquet(tmp_path / "pets.parquet")
    images = load(tmp_path / "pets.parquet")
    assert images.class_names == ("cat", "dog")
    assert images.rows.tolist() == [0, 1, 3, 5, 7]
    assert images.labels.tolist() == [0, 0, 1, 1, 1]
    assert (images.images_in_split, images.unlabelled) == (8, 2)
    assert images.left_out_classes == ("hen",)
    assert images.notes == (
        "rows without a label, left out: 2 of 8",
        "classes with fewer than 2 images, left out: 1 (hen)",
        "classes without an image in split 'train': 1 (cow)",
    )


def test_fewer_than_two_usable_classes(load, tmp_path):
    dataset_of([0, 0, 0, 1], ClassLabel(names=["cat", "dog"])).to_parquet(tmp_path / "one.parquet")
    message = refusal(load, tmp_path / "one.parquet")
    assert "at least 2 classes with 2 images each are needed, found 1 (cat)" in message
    assert "1 classes have one image (dog)" in message


def test_a_column_of_names_is_no_label(load, tmp_path):
    dataset_of([f"photo {row}" for row in range(20)], Value("string")).to_parquet(tmp_path / "names.parquet")
    message = refusal(load, tmp_path / "names.parquet")
    assert "20 classes have one image (photo 0, photo 1, photo 10, photo 11, photo 12, ...)" in message
    assert "label_column" in message


# The sample


def test_sample_is_stratified_and_seeded(load, tmp_path):
    labels = [0] * 60 + [1] * 27 + [2] * 13
    dataset_of(labels, ClassLabel(names=["a", "b", "c"])).to_parquet(tmp_path / "many.parquet")
    first, again, other = (load(tmp_path / "many.parquet", max_images=11, seed=seed) for seed in (0, 0, 1))
    # shares of 11: 6.6, 2.97, 1.43; the last is raised to 2, and 9 are left for 60 and 27: 6.21, 2.79
    assert np.bincount(first.labels).tolist() == [6, 3, 2]
    assert np.array_equal(first.rows, again.rows)
    assert not np.array_equal(first.rows, other.rows)
    assert [colour[0] for colour in colours(first)] == first.rows.tolist()
    assert [labels[row] for row in first.rows] == first.labels.tolist()
    assert "sampled 11 of 100 images" in first.notes[0]


def test_max_images_below_two_per_class(load, tmp_path):
    dataset_of([0, 1, 2] * 2, ClassLabel(names=["a", "b", "c"])).to_parquet(tmp_path / "few.parquet")
    assert "max_images must be at least 6" in refusal(load, tmp_path / "few.parquet", max_images=5)
    with pytest.raises(DatasetError, match="at least 4"):
        DatasetQuery("x", max_images=3)
    with pytest.raises(DatasetError, match="seed"):
        DatasetQuery("x", seed=-1)


def test_reading_labels_decodes_nothing(load, tmp_path):
    """Half of the images are broken, none of which is in the sample of the other class."""
    colours = [{"bytes": png((1, 1, 1)), "path": None}] * 50 + [{"bytes": b"broken", "path": None}] * 50
    dataset_of([0] * 25 + [1] * 25 + [None] * 50, ClassLabel(names=["a", "b"]), colours).to_parquet(
        tmp_path / "x.parquet"
    )
    assert load(tmp_path / "x.parquet").unreadable == 0


# Unreadable images


def test_a_few_unreadable_images_are_dropped_and_told(load, tmp_path):
    folder = image_folder(tmp_path / "pets", cat=30, dog=10)
    (folder / "cat" / "007.png").write_bytes(b"")
    (folder / "dog" / "003.png").write_bytes(b"junk")
    images = load(folder)
    assert images.unreadable == 2
    assert len(images) == 38
    assert images.rows.tolist() == [row for row in range(40) if row not in (7, 33)]
    assert colours(images)[7] == [0, 8, 0]
    assert colours(images)[-7:] == [[1, position, 0] for position in (2, 4, 5, 6, 7, 8, 9)]
    assert images.notes == (
        "unreadable images, dropped: 2 of 40; row 7: 007.png: empty file, 0 bytes;"
        " row 33: 003.png: not an image format that Pillow knows",
    )


@pytest.mark.parametrize(("n_broken", "refused"), [(5, False), (6, True)])
def test_more_than_a_twentieth_unreadable(load, tmp_path, n_broken, refused):
    folder = image_folder(tmp_path / "pets", cat=50, dog=50)
    for position in range(n_broken):
        (folder / "cat" / f"{position:03}.png").write_bytes(b"junk")
    if refused:
        message = refusal(load, folder)
        assert "found 6 of 100 sampled" in message
        assert "row 0: 000.png" in message
        assert list((tmp_path / "cache").glob("lead-hub-images-*")) == []
    else:
        assert len(load(folder)) == 95


def test_a_class_that_loses_its_images_is_left_out(load, tmp_path):
    folder = image_folder(tmp_path / "pets", cat=30, dog=30, hen=2)
    (folder / "hen" / "001.png").write_bytes(b"junk")
    images = load(folder)
    assert images.class_names == ("cat", "dog")
    assert images.left_out_classes == ("hen",)
    assert len(images) == len(images.pixels) == 60
    assert images.rows.max() == 59


# Identity, sharing and cleaning up


def test_fingerprint_follows_content_and_names(load, tmp_path):
    folder = image_folder(tmp_path / "pets", cat=2, dog=2)
    shutil.copytree(folder, tmp_path / "copy")
    first = load(folder).sha
    assert len(first) == 64
    assert set(first) <= set("0123456789abcdef")
    assert load(tmp_path / "copy").sha == first
    (tmp_path / "copy" / "dog" / "001.png").rename(tmp_path / "copy" / "dog" / "002.png")
    renamed = load(tmp_path / "copy").sha
    write_image(folder / "dog" / "001.png", (77, 0, 0))
    changed = load(folder).sha
    assert len({first, renamed, changed}) == 3


def test_decoded_folder_is_shared(load, tmp_path):
    folder = image_folder(tmp_path / "pets", cat=30, dog=30, hen=2)
    (folder / "hen" / "001.png").write_bytes(b"junk")
    shared = tmp_path / "shared" / "decoded"
    first = load(folder, decoded_folder=shared)
    shutil.rmtree(folder)  # the second process needs nothing but the decoded folder
    second = load(folder, decoded_folder=shared)
    for name in ("labels", "rows"):
        assert np.array_equal(getattr(first, name), getattr(second, name))
    for name in ("sha", "class_names", "notes", "left_out_classes", "config", "is_local", "unreadable"):
        assert getattr(first, name) == getattr(second, name)
    assert colours(first) == colours(second)
    first.close()
    assert colours(second)[0] == [0, 0, 0]
    assert [path.name for path in shared.parent.iterdir()] == ["decoded"]
    assert "another query" in refusal(load, folder, decoded_folder=shared, seed=5)


def test_temporary_images_disappear(load, tmp_path):
    images = load(image_folder(tmp_path / "pets", cat=2, dog=2))
    assert len(list((tmp_path / "cache").glob("lead-hub-images-*"))) == 1
    images.close()
    assert list((tmp_path / "cache").glob("lead-hub-images-*")) == []


def test_record_is_checked(load, tmp_path):
    images = load(image_folder(tmp_path / "pets", cat=2, dog=2))
    with pytest.raises(DatasetError, match="one entry per image, found 4, 4 and 3"):
        replace(images, pixels=DecodedImages(images.pixels.folder, images.pixels.places[:-1]))
    with pytest.raises(DatasetError, match="at least 2 classes"):
        replace(images, labels=np.array([0, 0, 0, 1]))
    with pytest.raises(DatasetError, match="at least 2 classes"):
        replace(images, labels=np.array([0, 0, 2, 2]))

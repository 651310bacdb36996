"""What datasets makes of image folders that are not laid out as it expects, and how each is refused."""

import pytest

from tests.labelled_images.small_datasets import image_folder, refusal, write_image


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

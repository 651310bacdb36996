"""Labels, samples and unreadable images, and the record that comes of them."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from datasets import ClassLabel, Value

from lead_hub.errors import DatasetError
from lead_hub.labelled_images.decoded_images import DecodedImages
from lead_hub.labelled_images.query import DatasetQuery
from tests.labelled_images.small_datasets import colours, dataset_of, image_folder, png, refusal, write_image


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


def test_class_numbers_with_gaps_are_no_regression(load, tmp_path):
    """pandas makes floats of integers as soon as one is missing."""
    import pandas as pd

    labels = [7, 3, None, 7, 3, float("nan"), 12, 12]
    rows = [{"image": {"bytes": png((row, 0, 0)), "path": None}, "kind": label} for row, label in enumerate(labels)]
    pd.DataFrame(rows).to_parquet(tmp_path / "gaps.parquet")
    images = load(tmp_path / "gaps.parquet")
    assert images.class_names == ("3", "7", "12")
    assert images.rows.tolist() == [0, 1, 3, 4, 6, 7]
    assert images.labels.tolist() == [1, 0, 1, 0, 2, 2]
    assert images.notes == ("rows without a label, left out: 2 of 8",)
    assert load(tmp_path / "gaps.parquet", label_column="kind").class_names == ("3", "7", "12")
    dataset_of([1, 1, 2, 2], Value("int64"), weight=([1.0, None, 2.0, 2.0], Value("float32"))).to_parquet(
        tmp_path / "beside.parquet"
    )
    assert load(tmp_path / "beside.parquet").label_column == "label"  # no other column is in doubt


@pytest.mark.parametrize(
    "ages", [[1.5, None, 2.0, 1.5], [1.0, 2.0, 1.0, 2.0], [None] * 4, [1.0, float("inf"), None, 2.0]]
)
def test_other_floats_are_still_a_regression(load, tmp_path, ages):
    dataset_of(ages, Value("float64")).to_parquet(tmp_path / "ages.parquet")
    assert "regression is not supported yet" in refusal(load, tmp_path / "ages.parquet")
    assert "regression" in refusal(load, tmp_path / "ages.parquet", label_column="label")


@pytest.mark.parametrize("name", ["", " ", "\t\n"])
def test_no_dataset_at_all_is_not_the_working_directory(name):
    with pytest.raises(DatasetError, match=r"a Hub id such as 'org/name' or a path, found .* is '\.'"):
        DatasetQuery(name)


@pytest.mark.parametrize("name", ["a\0b", "caf\udce9", "~nobody-of-this-name/pets", "x" * 5000])
def test_what_is_no_path_and_no_id(load, name):
    assert "Hub id" in refusal(load, name) or "no path" in refusal(load, name)


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
    with pytest.raises(DatasetError, match="seed must be from 0 to 9223372036854775807, found 9999"):
        DatasetQuery("x", seed=99999999999999999999)


def test_reading_labels_decodes_nothing(load, tmp_path):
    """Half of the images are broken, none of which is in the sample of the other class."""
    colours = [{"bytes": png((1, 1, 1)), "path": None}] * 50 + [{"bytes": b"broken", "path": None}] * 50
    dataset_of([0] * 25 + [1] * 25 + [None] * 50, ClassLabel(names=["a", "b"]), colours).to_parquet(
        tmp_path / "x.parquet"
    )
    assert not [note for note in load(tmp_path / "x.parquet").notes if "unreadable" in note]


# Unreadable images


def test_a_few_unreadable_images_are_dropped_and_told(load, tmp_path):
    folder = image_folder(tmp_path / "pets", cat=30, dog=10)
    (folder / "cat" / "007.png").write_bytes(b"")
    (folder / "dog" / "003.png").write_bytes(b"junk")
    images = load(folder)
    assert any(note.startswith("unreadable images, dropped: 2 of 40") for note in images.notes)
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
        assert list((tmp_path / "cache" / "datasets").glob("lead-hub-images-*")) == []
    else:
        assert len(load(folder)) == 95


def test_a_class_that_loses_its_images_is_left_out(load, tmp_path):
    folder = image_folder(tmp_path / "pets", cat=30, dog=30, hen=2)
    (folder / "hen" / "001.png").write_bytes(b"junk")
    images = load(folder)
    assert images.class_names == ("cat", "dog")
    assert "classes with fewer than 2 images, left out: 1 (hen)" in images.notes
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
    for name in ("sha", "class_names", "notes", "config", "is_local"):
        assert getattr(first, name) == getattr(second, name)
    assert colours(first) == colours(second)
    first.close()
    assert colours(second)[0] == [0, 0, 0]
    assert [path.name for path in shared.parent.iterdir()] == ["decoded"]
    assert "another query" in refusal(load, folder, decoded_folder=shared, seed=5)


def test_temporary_images_disappear(load, tmp_path):
    images = load(image_folder(tmp_path / "pets", cat=2, dog=2))
    assert len(list((tmp_path / "cache" / "datasets").glob("lead-hub-images-*"))) == 1
    images.close()
    assert list((tmp_path / "cache" / "datasets").glob("lead-hub-images-*")) == []


def test_record_is_checked(load, tmp_path):
    images = load(image_folder(tmp_path / "pets", cat=2, dog=2))
    with pytest.raises(DatasetError, match="one entry per image, found 4, 4 and 3"):
        replace(images, pixels=DecodedImages(images.pixels.folder, images.pixels.places[:-1]))
    with pytest.raises(DatasetError, match="at least 2 classes"):
        replace(images, labels=np.array([0, 0, 0, 1]))
    with pytest.raises(DatasetError, match="at least 2 classes"):
        replace(images, labels=np.array([0, 0, 2, 2]))

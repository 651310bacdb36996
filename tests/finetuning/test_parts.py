"""Three parts that share no image; the test part is never drawn by a seed."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset, Features, Image, Value

from lead_hub.access import Access
from lead_hub.errors import DatasetError
from lead_hub.finetuning.parts import (
    FineTuningImages,
    grouped_share,
    image_parts,
    known_classes,
    load_finetuning_images,
    stratified_share,
)
from lead_hub.labelled_images import DatasetQuery
from tests.conftest import COLOURS, coloured_images


def load(folder: Path, **options: str) -> FineTuningImages:
    test_split = options.pop("test_split", None)
    return load_finetuning_images(DatasetQuery(str(folder), **options), Access(progress=False), test_split=test_split)


@pytest.mark.parametrize("counts", [(2, 2), (1, 2), (1, 1, 7), (5, 5, 5, 5, 5), (300, 20, 3, 2, 1), (2,) * 40])
@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_a_share_of_every_class_and_all_of_none(counts: tuple[int, ...], share: float) -> None:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    choosable = sum(count for count in counts if count > 1)
    for seed in range(20):
        part = stratified_share(labels, share, seed=seed)
        taken = np.bincount(labels[part], minlength=len(counts))
        assert len(part) == min(max(1, round(share * choosable)), choosable // 2)
        assert (np.diff(part) > 0).all()
        for count, n_taken in zip(counts, taken, strict=True):
            assert n_taken < count or n_taken == 0
            assert abs(n_taken - count * len(part) / choosable) < 1 or count == 1


def test_the_seed_draws_the_part() -> None:
    labels = np.repeat(np.arange(4), 25)
    first, again, other = (stratified_share(labels, 0.2, seed=seed) for seed in (0, 0, 1))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_classes_of_one_image_each_cannot_be_divided() -> None:
    with pytest.raises(DatasetError, match="classes of several images"):
        stratified_share(np.arange(5), 0.2, seed=0)


@pytest.mark.parametrize("sizes", [(4,) * 10, (1, 1, 1, 1, 30, 2, 2, 2, 1), (1,) * 25, (10, 10), (7, 7, 7, 7)])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_share_of_whole_groups(sizes: tuple[int, ...], n_classes: int) -> None:
    groups = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    labels = np.zeros(len(groups), dtype=np.int64)
    for group in range(len(sizes)):
        members = np.flatnonzero(groups == group)
        labels[members] = np.arange(len(members)) % n_classes if sizes[group] > 1 else group % n_classes
    drawn = set()
    for seed in range(20):
        part = grouped_share(labels, groups, 0.2, seed=seed)
        assert part.tolist() == grouped_share(labels, groups, 0.2, seed=seed).tolist()
        rest = np.setdiff1d(np.arange(len(groups)), part)
        assert set(groups[part]) & set(groups[rest]) == set()
        assert set(labels[rest]) == set(labels)
        assert 1 <= len(part) <= len(groups) / 2
        assert (np.diff(part) > 0).all()
        drawn.add(tuple(part))
    assert len(drawn) > 1
    if len(set(sizes)) == 1:  # so many groups, or where that is none, one
        assert {len(part) for part in drawn} == {max(1, round(0.2 * len(sizes))) * sizes[0]}


def test_groups_of_which_a_class_needs_each_cannot_be_divided() -> None:
    """As where every person is a class: nothing that is learnt of some is known of the others."""
    with pytest.raises(DatasetError, match="fine-tuning needs classes of several groups of images, found 3 groups"):
        grouped_share(np.repeat(np.arange(3), 4), np.repeat(np.arange(3), 4), 0.2, seed=0)


def test_patients_are_in_one_part_each(images: FineTuningImages) -> None:
    """36 images of 3 classes, and of 12 patients, of whom each has one image of each class."""
    patients = np.arange(36) % 12
    train = replace(images.train, groups=patients.astype(np.int64))
    for test in (None, images.test):
        parts = [image_parts(FineTuningImages(train, test), seed=seed) for seed in (0, 1, 2)]
        for part in parts:
            held_out = part.test if test is None else np.array([], dtype=np.int64)
            of_part = [set(patients[chosen]) for chosen in (part.fit, part.validation, held_out)]
            assert sorted(patient for each in of_part for patient in each) == list(range(12))
            assert sorted([*part.fit, *part.validation, *held_out]) == list(range(36))
        assert len({tuple(part.test) for part in parts}) == 1


def test_a_split_that_measures_needs_no_column_of_groups(split_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tables"
    for split, n_columns in (("train", 3), ("test", 2)):
        files = sorted((split_folder / split).rglob("*.png"))
        columns = {
            "image": [{"bytes": file.read_bytes(), "path": None} for file in files],
            "colour": [file.parent.name for file in files],
            "scene": [file.stem for file in files],
        }
        kept = dict(list(columns.items())[:n_columns])
        types = {"image": Image(), "colour": Value("string"), "scene": Value("string")}
        table = Dataset.from_dict(kept, features=Features({name: types[name] for name in kept}))
        folder.mkdir(exist_ok=True)
        table.to_parquet(folder / f"{split}.parquet")
    loaded = load(folder, group_column="scene", label_column="colour")
    assert loaded.train.groups is not None
    assert loaded.test is not None
    assert loaded.test.groups is None


def test_with_a_test_split_all_of_it_measures(images: FineTuningImages) -> None:
    assert images.test_source == "split 'test'"
    parts = [image_parts(images, seed=seed) for seed in (0, 1)]
    for part in parts:
        assert sorted([*part.fit, *part.validation]) == list(range(36))
        assert len(part.validation) == 7  # a fifth of 36
        assert part.test.tolist() == list(range(12))
        assert part.test_labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert parts[0].validation.tolist() != parts[1].validation.tolist()


def test_without_one_a_fixed_part_is_held_out(colour_folder: Path) -> None:
    images = load(colour_folder)
    assert images.test is None
    assert images.test_source == "held-out part of 'train'"
    parts = [image_parts(images, seed=seed) for seed in (0, 1)]
    for part in parts:
        assert sorted([*part.fit, *part.validation, *part.test]) == list(range(36))
        assert (len(part.test), len(part.validation)) == (7, 6)  # fifths of 36 and of the other 29
        assert part.test_labels.tolist() == images.train.labels[part.test].tolist()
    assert parts[0].test.tolist() == parts[1].test.tolist()


def test_the_split_that_is_trained_on_never_measures(split_folder: Path) -> None:
    assert load(split_folder, split="test").test is None
    with pytest.raises(DatasetError, match="test images must be others"):
        load(split_folder, split="test", test_split="test")


def test_a_saved_dataset_without_splits_is_not_its_own_test(images: FineTuningImages, tmp_path: Path) -> None:
    from datasets import ClassLabel, Dataset, Features, Image

    columns = {"image": [picture_bytes(images, row) for row in range(36)], "label": images.train.labels.tolist()}
    features = Features({"image": Image(), "label": ClassLabel(names=list(images.train.class_names))})
    saved = Dataset.from_dict(columns, features=features)
    saved.save_to_disk(tmp_path / "saved")
    saved.to_parquet(tmp_path / "one.parquet")
    for path in (tmp_path / "saved", tmp_path / "one.parquet"):
        assert load(path).test is None
        with pytest.raises(DatasetError, match="test images must be others"):
            load(path, test_split="test")


def picture_bytes(images: FineTuningImages, row: int) -> dict[str, bytes | None]:
    import io

    from PIL import Image as Picture

    file = io.BytesIO()
    Picture.fromarray(images.train.pixels[row]).save(file, format="png")
    return {"bytes": file.getvalue(), "path": None}


def test_a_split_by_another_name_must_exist(split_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(split_folder, tmp_path / "copy")
    (folder / "test").rename(folder / "validation")
    assert load(folder).test is None
    measured = load(folder, test_split="validation")
    assert measured.test_source == "split 'validation'"
    with pytest.raises(DatasetError, match="split must be one of"):
        load(folder, test_split="holdout")


def test_a_test_split_of_other_classes_is_left_alone_unless_it_is_asked_for(split_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(split_folder, tmp_path / "copy")
    for colour in ("red", "green", "blue"):
        (folder / "test" / colour).rename(folder / "test" / f"not {colour}")
    loaded = load(folder)
    assert loaded.test is None
    (note,) = loaded.notes
    assert note.startswith("the split 'test' is not used: the test split must share classes with the split")
    with pytest.raises(DatasetError, match="the test split must share classes"):
        load(folder, test_split="test")


def test_classes_are_matched_by_name(images: FineTuningImages) -> None:
    assert images.test is not None
    positions, numbers = known_classes(images.test, ("red", "violet", "blue"))
    # the test split's classes are blue, green, red, four images each
    assert positions.tolist() == [0, 1, 2, 3, 8, 9, 10, 11]
    assert numbers.tolist() == [2] * 4 + [0] * 4


def test_a_test_split_of_other_classes_is_refused(images: FineTuningImages) -> None:
    assert images.test is not None
    foreign = replace(images.test, class_names=("cat", "dog", "newt"))
    with pytest.raises(DatasetError, match="share classes"):
        FineTuningImages(images.train, foreign)


def test_what_the_classes_of_the_test_split_lack_is_said(tmp_path: Path) -> None:
    coloured_images(tmp_path / "train", classes=COLOURS, n_images=4)
    coloured_images(tmp_path / "test", classes=dict(list(COLOURS.items())[:2]), n_images=2)
    assert load(tmp_path).notes == ("no test images of the classes: blue",)


def test_a_test_split_that_cannot_be_used_is_said_and_a_part_held_out(tmp_path: Path) -> None:
    coloured_images(tmp_path / "train", classes=COLOURS, n_images=4)
    coloured_images(tmp_path / "test", classes={"red": COLOURS["red"]}, n_images=2)
    images = load(tmp_path)
    assert images.test is None
    assert "at least 2 classes" in images.notes[0]

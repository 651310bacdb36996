"""A column that says which images belong together."""

import numpy as np
import pytest
from datasets import ClassLabel, Value

from lead_hub.access import Access
from lead_hub.errors import DatasetError
from lead_hub.labelled_images import DatasetQuery, load_labelled_images
from tests.labelled_images.small_datasets import dataset_of, refusal

CLASSES = ClassLabel(names=["cat", "dog"])


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        (Value("string"), ["a", "b", "a", "c", "b", "a"], [0, 1, 0, 2, 1, 0]),
        (Value("int64"), [7, 7, -1, -1, 0, 7], [0, 0, 1, 1, 2, 0]),
        # What has no group is alone, however many of them there are.
        (Value("string"), [None, "a", "", None, "a", ""], [0, 1, 2, 3, 1, 4]),
        (Value("bool"), [True, False, None, True, True, False], [0, 1, 2, 0, 0, 1]),
    ],
)
def test_groups_are_numbered_in_order_of_appearance(load, tmp_path, kind, values, expected):
    dataset_of([0, 1] * 3, CLASSES, scene=(values, kind)).to_parquet(tmp_path / "rows.parquet")
    images = load(tmp_path / "rows.parquet", group_column="scene")
    assert images.groups.tolist() == expected
    assert load(tmp_path / "rows.parquet").groups is None


def test_a_part_of_the_images_has_the_groups_of_its_images(load, tmp_path):
    scenes = ["a", "b", "c", "b", "a", "d", "e", "e"]
    dataset_of([0, 1] * 4, CLASSES, scene=(scenes, Value("string"))).to_parquet(tmp_path / "rows.parquet")
    images = load(tmp_path / "rows.parquet", group_column="scene")
    part = images.part(np.array([0, 1, 2, 3, 6, 7]))
    assert part.rows.tolist() == [0, 1, 2, 3, 6, 7]
    assert part.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert part.groups.tolist() == [0, 1, 2, 1, 3, 3]  # a, b, c, b, e, e
    assert all(np.array_equal(part.pixels[place], images.pixels[row]) for place, row in enumerate(part.rows.tolist()))
    assert images.part(np.array([0, 1, 2, 5])).groups is None  # a, b, c, d: each alone
    with pytest.raises(DatasetError, match="at least 2 classes, each with a name and 2 images"):
        images.part(np.array([0, 1, 3]))


def test_groups_are_those_of_the_images_that_are_kept(load, tmp_path):
    """A damaged image and one without a label go, with their groups; the sample is the same with groups and without."""
    rows = dataset_of([0, 1, 0, 1, None, 0, 1, 1] * 4, CLASSES, scene=([row // 2 for row in range(32)], Value("int64")))
    rows.to_parquet(tmp_path / "rows.parquet")
    images = load(tmp_path / "rows.parquet", group_column="scene", max_images=12)
    scenes = (images.rows // 2).tolist()
    assert len(scenes) == 12
    same_scene = [[one == other for other in scenes] for one in scenes]
    assert [[one == other for other in images.groups] for one in images.groups] == same_scene
    assert images.rows.tolist() == load(tmp_path / "rows.parquet", max_images=12).rows.tolist()


def test_a_column_of_groups_is_not_taken_for_the_label(load, tmp_path):
    rows = dataset_of([3, 4] * 3, Value("int64"), scene=(["a", "b", "c"] * 2, Value("string")))
    rows.to_parquet(tmp_path / "rows.parquet")
    assert "label, scene" in refusal(load, tmp_path / "rows.parquet")
    images = load(tmp_path / "rows.parquet", group_column="scene")
    assert (images.label_column, images.groups.tolist()) == ("label", [0, 1, 2, 0, 1, 2])
    assert load(tmp_path / "rows.parquet", group_column="scene", label_column="scene").class_names == ("a", "b", "c")


def test_columns_that_tell_no_groups_apart_are_refused(load, tmp_path):
    columns = {"scene": (["a"] * 6, Value("string")), "weight": ([0.5] * 6, Value("float64"))}
    dataset_of([0, 1] * 3, CLASSES, **columns).to_parquet(tmp_path / "rows.parquet")
    one = refusal(load, tmp_path / "rows.parquet", group_column="scene")
    assert "column 'scene' must hold at least 2 groups" in one
    assert "found 'a' for all 6 images" in one
    assert "found 'weight' of type float64" in refusal(load, tmp_path / "rows.parquet", group_column="weight")
    assert "found 'patient'; columns: image (Image)" in refusal(load, tmp_path / "rows.parquet", group_column="patient")


def test_processes_share_the_groups(tmp_path):
    rows = dataset_of([0, 1] * 3, CLASSES, scene=(["a", "a", "b", "b", "c", "c"], Value("string")))
    rows.to_parquet(tmp_path / "rows.parquet")
    query, access = DatasetQuery(str(tmp_path / "rows.parquet"), group_column="scene"), Access(tmp_path, progress=False)
    for _ in range(2):  # written, then opened again
        images = load_labelled_images(query, access, decoded_folder=tmp_path / "decoded")
        assert images.groups.tolist() == [0, 0, 1, 1, 2, 2]

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, Value

from lead_hub.errors import DatasetError
from lead_hub.labelled_images.class_labels import ClassLabels, classes_of_values, read_labels
from lead_hub.labelled_images.columns import Columns


def test_strings_are_sorted_and_kept_as_they_are():
    classes = classes_of_values(["<b>dog</b>", "Ärger", "cat", "猫", "cat"])
    assert classes.names == ("<b>dog</b>", "cat", "Ärger", "猫")
    assert classes.labels.tolist() == [0, 2, 1, 3, 1]


def test_integers_with_gaps_are_sorted_as_numbers():
    classes = classes_of_values([100, 7, 3, 100])
    assert classes.names == ("3", "7", "100")
    assert classes.labels.tolist() == [2, 1, 0, 2]


def test_booleans():
    classes = classes_of_values([True, False, None])
    assert classes.names == ("False", "True")
    assert classes.labels.tolist() == [1, 0, -1]


def test_rows_without_a_label():
    assert classes_of_values(["a", None, "", "b"]).labels.tolist() == [0, -1, -1, 1]
    assert classes_of_values([5, -1, 6]).labels.tolist() == [0, -1, 1]


def test_minus_one_is_a_class_when_there_is_only_one_other():
    classes = classes_of_values([-1, 1, 1])
    assert classes.names == ("-1", "1")
    assert classes.labels.tolist() == [0, 1, 1]


def test_usable_classes_are_numbered_without_gaps():
    labels = ClassLabels(("a", "b", "c", "d"), np.array([3, 0, 3, -1, 2, 0, 3]))
    usable = labels.usable()
    assert usable.kept.names == ("a", "d")
    assert usable.kept.labels.tolist() == [1, 0, 1, -1, -1, 0, 1]
    assert usable.too_small == ("c",)
    assert usable.absent == ("b",)
    assert usable.unlabelled == 1


def test_class_label_column_keeps_its_order_and_its_gaps():
    features = Features({"label": ClassLabel(names=["zebra", "ant"])})
    rows = Dataset.from_dict({"label": [1, None, 0, -1]}, features=features)
    labels = read_labels(rows, Columns("image", "label", ("zebra", "ant")))
    assert labels.names == ("zebra", "ant")
    assert labels.labels.tolist() == [1, -1, 0, -1]


def test_class_label_without_a_name():
    rows = Dataset.from_dict({"label": [0, 2]}, features=Features({"label": Value("int64")}))
    with pytest.raises(DatasetError, match="2 class names, found labels from 0 to 2"):
        read_labels(rows, Columns("image", "label", ("a", "b")))

import pytest
from datasets import ClassLabel, Features, Image, List, Value

from lead_hub.errors import DatasetError
from lead_hub.labelled_images.columns import check_group_column, choose_columns

IMAGE = Image()
CLASSES = ClassLabel(names=["cat", "dog"])


def chosen(features, image_column=None, label_column=None):
    columns = choose_columns(Features(features), image_column=image_column, label_column=label_column)
    return columns.image, columns.label


def refusal(features, **named):
    with pytest.raises(DatasetError) as caught:
        chosen(features, **named)
    return str(caught.value)


def test_by_type_whatever_the_names():
    features = {"id": Value("int64"), "picture": IMAGE, "species": CLASSES, "note": Value("string")}
    assert chosen(features) == ("picture", "species")
    columns = choose_columns(Features(features), image_column=None, label_column=None)
    assert columns.class_names == ("cat", "dog")


@pytest.mark.parametrize("kind", ["string", "large_string", "bool", "int8", "int64", "uint16"])
def test_single_plain_column(kind):
    assert chosen({"image": IMAGE, "kind": Value(kind), "weight": Value("float32")}) == ("image", "kind")


def test_parquet_without_the_image_type():
    features = {"image": {"bytes": Value("binary"), "path": Value("string")}, "label": Value("int64")}
    assert chosen(features) == ("image", "label")


def test_named_columns_settle_what_is_ambiguous():
    features = {"left": IMAGE, "right": IMAGE, "fine": CLASSES, "coarse": CLASSES, "text": Value("string")}
    assert chosen(features, "right", "coarse") == ("right", "coarse")
    assert chosen(features, "left", "text") == ("left", "text")


def test_ambiguity_lists_the_columns_with_their_types():
    two_images = refusal({"left": IMAGE, "right": IMAGE, "label": CLASSES})
    assert "found 2: left, right; name one with image_column" in two_images
    assert "label (ClassLabel of 2 classes)" in two_images
    two_classes = refusal({"image": IMAGE, "fine": CLASSES, "coarse": CLASSES})
    assert "found 2 that could be it: fine, coarse; name one with label_column" in two_classes
    two_plain = refusal({"image": IMAGE, "name": Value("string"), "number": Value("int32")})
    assert "name, number" in two_plain
    assert "number (int32)" in two_plain


def test_nothing_to_choose():
    assert "found none; columns: file (string), label (int64)" in refusal(
        {"file": Value("string"), "label": Value("int64")}
    )
    assert "label column is needed, found none" in refusal({"image": IMAGE})


def test_unknown_names_and_wrong_types():
    features = {"image": IMAGE, "label": CLASSES, "path": Value("string")}
    assert "found 'img'; columns: image (Image)" in refusal(features, image_column="img")
    assert "found 'class'" in refusal(features, label_column="class")
    assert "found 'path' of type string" in refusal(features, image_column="path")
    assert "found column 'image' of type Image" in refusal(features, label_column="image")


def test_multi_label_is_not_supported_yet():
    for several in (List(CLASSES), List(Value("int64")), List(Value("string"))):
        for named in (None, "labels"):
            message = refusal({"image": IMAGE, "labels": several}, label_column=named)
            assert "multi-label datasets are not supported yet" in message
            assert "one class per image" in message


def test_an_id_is_not_taken_for_the_label_beside_multi_labels():
    assert "not supported yet" in refusal({"image": IMAGE, "labels": List(CLASSES), "id": Value("string")})


def test_regression_is_not_supported_yet():
    for named in (None, "age"):
        message = refusal({"image": IMAGE, "age": Value("float64")}, label_column=named)
        assert "regression is not supported yet" in message
        assert "'age' holds float64" in message


@pytest.mark.parametrize("kind", [Value("string"), Value("int64"), Value("bool"), CLASSES])
def test_what_can_tell_groups_apart(kind):
    check_group_column(Features({"image": IMAGE, "label": CLASSES, "patient": kind}), "patient")


@pytest.mark.parametrize("kind", [Value("float32"), IMAGE, List(Value("int64"))])
def test_what_cannot_tell_groups_apart(kind):
    features = Features({"image": IMAGE, "label": CLASSES, "patient": kind})
    with pytest.raises(DatasetError, match="group_column must name a column of numbers or names of groups"):
        check_group_column(features, "patient")
    with pytest.raises(DatasetError, match="group_column must name a column of the dataset, found 'patients'"):
        check_group_column(features, "patients")

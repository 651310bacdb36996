"""Which column holds the images and which the labels: by type, by name, and never by guessing between two."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from datasets import ClassLabel, Features, Image, LargeList, List, Value

from lead_hub.errors import DatasetError

Role: TypeAlias = Literal["image", "label", "other"]

_SUPPORTED = "what is supported: one class per image, as a ClassLabel, integer, boolean or string column"


@dataclass(frozen=True)
class Columns:
    """The two columns that are read.

    Attributes:
        image: name of the image column.
        label: name of the label column.
        class_names: the classes of a ClassLabel column in its order, None for any other type.
    """

    image: str
    label: str
    class_names: tuple[str, ...] | None


def choose_columns(features: Features, *, image_column: str | None, label_column: str | None) -> Columns:
    """Pick both columns; a name that is given wins over the types of the others.

    Raises:
        DatasetError: there is none, or more than one and no name given, or the labels are not single classes.
    """
    image = _image_column(features, image_column)
    label = _label_column(features, label_column, image)
    feature = features[label]
    return Columns(image, label, tuple(feature.names) if isinstance(feature, ClassLabel) else None)


def describe_columns(features: Features) -> str:
    """All columns with their types, as a user would name them."""
    return ", ".join(f"{name} ({type_name(feature)})" for name, feature in features.items()) or "no columns"


def role_of(feature: Any) -> Role:
    """What a column of this type may be named as: the image column, the label column, or neither."""
    if _is_image(feature):
        return "image"
    return "label" if isinstance(feature, ClassLabel) or _is_plain_label(feature) else "other"


def type_name(feature: Any) -> str:
    """A column's type, as a user would name it."""
    if isinstance(feature, ClassLabel):
        return f"ClassLabel of {feature.num_classes} classes"
    element = _element(feature)
    if element is not None:
        return f"list of {type_name(element)}"
    return str(feature.dtype) if isinstance(feature, Value) else type(feature).__name__


def no_image_column(features: Features) -> DatasetError:
    """The error of a dataset that has none."""
    return DatasetError(
        f"a column of type Image is needed, found none; columns: {describe_columns(features)}. A csv or jsonl"
        " table that only names image files is not an image dataset: put it beside the images as metadata.csv"
        " or metadata.jsonl with a column file_name"
    )


def _image_column(features: Features, asked_for: str | None) -> str:
    if asked_for is not None:
        _require(features, asked_for, "image_column")
        if not _is_image(features[asked_for]):
            raise DatasetError(
                f"image_column must name a column of images, found {asked_for!r} of type"
                f" {type_name(features[asked_for])}; columns: {describe_columns(features)}"
            )
        return asked_for
    found: list[str] = [name for name, feature in features.items() if _is_image(feature)]
    if len(found) == 1:
        return found[0]
    if found:
        raise DatasetError(
            f"one image column is needed, found {len(found)}: {', '.join(found)}; name one with image_column."
            f" Columns: {describe_columns(features)}"
        )
    raise no_image_column(features)


def _label_column(features: Features, asked_for: str | None, image: str) -> str:
    if asked_for is not None:
        _require(features, asked_for, "label_column")
        _refuse_unsupported(asked_for, features[asked_for])
        return asked_for
    others = {name: feature for name, feature in features.items() if name != image}
    class_labels: list[str] = [name for name, feature in others.items() if isinstance(feature, ClassLabel)]
    several_labels = [name for name, feature in others.items() if isinstance(_element(feature), ClassLabel)]
    if not class_labels and several_labels:
        _refuse_unsupported(several_labels[0], features[several_labels[0]])
    candidates: list[str] = class_labels or [name for name, feature in others.items() if _is_plain_label(feature)]
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise DatasetError(
            f"one label column is needed, found {len(candidates)} that could be it: {', '.join(candidates)};"
            f" name one with label_column. Columns: {describe_columns(features)}"
        )
    for name, feature in others.items():
        _refuse_unsupported(name, feature)
    raise DatasetError(f"a label column is needed, found none; columns: {describe_columns(features)}; {_SUPPORTED}")


def check_group_column(features: Features, name: str) -> None:
    """Refuse a column that cannot tell which images belong together.

    Raises:
        DatasetError: there is none of that name, or its values are not such as tell groups apart.
    """
    _require(features, name, "group_column")
    if role_of(features[name]) != "label":
        raise DatasetError(
            "group_column must name a column of numbers or names of groups (integers, booleans, strings or a"
            f" ClassLabel), found {name!r} of type {type_name(features[name])}; columns: {describe_columns(features)}"
        )


def _require(features: Features, name: str, parameter: str) -> None:
    if name not in features:
        raise DatasetError(
            f"{parameter} must name a column of the dataset, found {name!r}; columns: {describe_columns(features)}"
        )


def _refuse_unsupported(name: str, feature: Any) -> None:
    if _element(feature) is not None:
        raise DatasetError(
            f"multi-label datasets are not supported yet: column {name!r} is a {type_name(feature)}, several"
            f" values per image; {_SUPPORTED}"
        )
    if isinstance(feature, Value) and feature.dtype.startswith(("float", "double", "decimal")):
        raise DatasetError(
            f"regression is not supported yet: column {name!r} holds {feature.dtype} numbers; {_SUPPORTED}."
            " If the numbers are class ids, store them as integers"
        )
    if not isinstance(feature, ClassLabel) and not _is_plain_label(feature):
        raise DatasetError(f"labels must be classes, found column {name!r} of type {type_name(feature)}; {_SUPPORTED}")


def _is_image(feature: Any) -> bool:
    # Parquet written without the datasets library has no Image type, but the same two fields.
    return isinstance(feature, Image) or (isinstance(feature, dict) and {"bytes", "path"} == set(feature))


def _is_plain_label(feature: Any) -> bool:
    return isinstance(feature, Value) and (
        feature.dtype in ("string", "large_string", "bool") or feature.dtype.startswith(("int", "uint"))
    )


def _element(feature: Any) -> Any:
    """Type of the values of a list column, None for any other column."""
    if isinstance(feature, list):
        return feature[0]
    return feature.feature if isinstance(feature, (List, LargeList)) else None

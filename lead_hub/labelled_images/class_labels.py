"""Values of a label column -> class numbers and names, and which classes have images enough."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow
from datasets import Dataset, Features, Value
from jaxtyping import Int64

from lead_hub.errors import DatasetError
from lead_hub.labelled_images.columns import Columns, role_of
from lead_hub.labelled_images.sampling import MINIMUM_PER_CLASS

UNLABELLED = -1


@dataclass(frozen=True, eq=False)
class ClassLabels:
    """Which class every row of a split is of.

    Attributes:
        names: names of the classes, in the order of a ClassLabel, else sorted.
        labels: index into names for each row, UNLABELLED where the row has none.
    """

    names: tuple[str, ...]
    labels: Int64[np.ndarray, " row"]

    def counts(self) -> Int64[np.ndarray, " class"]:
        """Count the rows of each class."""
        labelled = self.labels[self.labels != UNLABELLED]
        return np.bincount(labelled, minlength=len(self.names)).astype(np.int64)

    def usable(self) -> "UsableClasses":
        """The classes that have at least two rows, renumbered without gaps."""
        counts = self.counts()
        kept = np.flatnonzero(counts >= MINIMUM_PER_CLASS)
        number = np.full(len(self.names) + 1, UNLABELLED, dtype=np.int64)  # the last entry serves UNLABELLED = -1
        number[kept] = np.arange(len(kept))
        return UsableClasses(
            kept=ClassLabels(tuple(self.names[index] for index in kept), number[self.labels]),
            too_small=tuple(self.names[index] for index in np.flatnonzero((counts > 0) & (counts < MINIMUM_PER_CLASS))),
            absent=tuple(self.names[index] for index in np.flatnonzero(counts == 0)),
            unlabelled=int((self.labels == UNLABELLED).sum()),
        )


@dataclass(frozen=True, eq=False)
class UsableClasses:
    """What can be ranked on, and what is left out.

    Attributes:
        kept: the classes with at least two rows; rows of other classes are UNLABELLED in it.
        too_small: names of the classes with one row.
        absent: names of the classes without any.
        unlabelled: number of rows that never had a label.
    """

    kept: ClassLabels
    too_small: tuple[str, ...]
    absent: tuple[str, ...]
    unlabelled: int


def read_labels(rows: Dataset, columns: Columns) -> ClassLabels:
    """Read the label column alone; no image is touched.

    Raises:
        DatasetError: a ClassLabel column holds a number that it has no name for.
    """
    values = _column(rows, columns.label).to_pylist()
    if columns.class_names is None:
        if isinstance(rows.features[columns.label], Value) and rows.features[columns.label].dtype in FLOATS:
            values = [None if value is None or math.isnan(value) else int(value) for value in values]
        return classes_of_values(values)
    labels = np.array([UNLABELLED if value is None else value for value in values], dtype=np.int64)
    if len(labels) and not UNLABELLED <= labels.min() <= labels.max() < len(columns.class_names):
        raise DatasetError(
            f"column {columns.label!r} has {len(columns.class_names)} class names, found labels from"
            f" {labels.min()} to {labels.max()}"
        )
    return ClassLabels(columns.class_names, labels)


FLOATS = frozenset({"float16", "float32", "float64"})


def classes_with_gaps(rows: Dataset, label_column: str | None) -> Features:
    """The columns, where classes that pandas stored as floats, because rows without one are among them, are integers.

    Only of the column that is asked for, and of the others where none could hold labels otherwise.
    """
    features = rows.features
    by_name: list[str] = [label_column] if label_column is not None else list(features)
    if label_column is None and any(role_of(feature) == "label" for feature in features.values()):
        return features
    gaps = [name for name in by_name if isinstance(features.get(name), Value) and features[name].dtype in FLOATS]
    whole = [name for name in gaps if _holds_whole_numbers_and_gaps(_column(rows, name))]
    return Features({**features, **{name: Value("int64") for name in whole}})


def _holds_whole_numbers_and_gaps(column: pyarrow.ChunkedArray) -> bool:
    values = column.to_numpy().astype(np.float64)  # nulls become NaN
    there = values[~np.isnan(values)]
    return 0 < len(there) < len(values) and bool(np.all(np.isfinite(there) & (there == np.rint(there))))


def _column(rows: Dataset, name: str) -> pyarrow.ChunkedArray:
    return rows.select_columns([name]).with_format("arrow")[:][name]


def classes_of_values(values: Sequence[str | int | bool | None]) -> ClassLabels:
    """Number the distinct values in sorted order. None and the empty string are no label.

    Nor is -1 among integers, the convention for unlabelled rows, unless it is one of only two values (-1 and 1).
    """
    distinct = {value for value in values if value is not None and value != ""}
    if -1 in distinct and len(distinct) > 2:
        distinct.discard(-1)
    ordered = sorted(distinct)
    number = {value: index for index, value in enumerate(ordered)}
    labels = [UNLABELLED if value is None else number.get(value, UNLABELLED) for value in values]
    return ClassLabels(tuple(str(value) for value in ordered), np.array(labels, dtype=np.int64))

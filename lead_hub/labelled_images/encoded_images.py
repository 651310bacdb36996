"""Rows of a dataset -> encoded images, a few at a time, without letting the dataset's files fill the memory."""

import pickle  # to open the same files a second time; nothing from outside is ever unpickled
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from datasets import Dataset
from jaxtyping import Int64

_ROWS_PER_READ = 16
_ROWS_PER_MAPPING = 512


@dataclass(frozen=True)
class EncodedImage:
    """One image as a dataset stores it: the content of a file, or the path of one, or neither."""

    content: bytes | None
    path: str | None


def encoded_images(rows: Dataset, column: str, numbers: Int64[np.ndarray, " image"]) -> Iterator[EncodedImage]:
    """The images of the given rows, in that order, as they are stored.

    A dataset's files are memory-mapped, and the pages that were read count as memory of the process until the
    mapping is closed: so the dataset is opened again every few hundred rows. Pickling it keeps the names of its
    files, not their content.
    """
    closed = pickle.dumps(rows.select_columns([column]).with_format("arrow"))
    for first in range(0, len(numbers), _ROWS_PER_MAPPING):
        mapped = pickle.loads(closed)  # noqa: S301 - written one line above
        for start in range(first, min(first + _ROWS_PER_MAPPING, len(numbers)), _ROWS_PER_READ):
            stop = min(start + _ROWS_PER_READ, first + _ROWS_PER_MAPPING)
            for image in mapped[numbers[start:stop].tolist()][column].to_pylist():
                yield EncodedImage(None, None) if image is None else EncodedImage(image["bytes"], image["path"])

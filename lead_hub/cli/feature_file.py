"""Features that somebody extracted elsewhere: a NumPy .npz file -> arrays."""

import zlib
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from lead_hub.errors import DatasetError


@dataclass(frozen=True, eq=False)
class FeatureFile:
    """The arrays of a feature file: features [image, number], labels [image], logits [image, class] or None."""

    features: NDArray[np.generic]
    labels: NDArray[np.generic]
    logits: NDArray[np.generic] | None


def read_feature_file(path: Path) -> FeatureFile:
    """Read the arrays `features`, `labels` and, if there, `logits`. Pickled objects in the file are refused.

    Raises:
        DatasetError: no such file, not an .npz, or an array missing.
    """
    try:
        with path.open("rb") as file:  # which NumPy would leave open where it is no archive
            archive = np.load(file, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise DatasetError(f"{str(path)!r} must be an .npz with arrays by name, found a single array")
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, EOFError, ValueError, RuntimeError, BadZipFile, zlib.error) as error:
        raise DatasetError(f"{str(path)!r} must be a readable .npz file, but reading it failed: {error}") from error
    missing = [name for name in ("features", "labels") if name not in arrays]
    if missing:
        raise DatasetError(f"{str(path)!r} must hold the arrays features and labels, found {sorted(arrays)}")
    return FeatureFile(arrays["features"], arrays["labels"], logits=arrays.get("logits"))

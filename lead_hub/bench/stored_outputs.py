"""The frozen outputs that a matrix keeps: one safetensors file a target, read one checkpoint at a time.

A file holds `labels` [image] and, by checkpoint, `<checkpoint>.features` [image, feature] and, where the checkpoint
kept its own trained head, `<checkpoint>.logits` [image, source class]. Beside it, `kernels/<target>.safetensors` may
hold `<checkpoint>.depth_kernel` and `<checkpoint>.network_kernel` [pair], upper triangles of kernels between images.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open

from lead_hub.bench.matrix_files import MatrixError
from lead_hub.transferability import KERNELS, KernelName


@dataclass(frozen=True, eq=False)
class StoredOutputs:
    """One checkpoint's outputs on the train images of one target."""

    features: Float[np.ndarray, "image feature"]
    labels: Int[np.ndarray, " image"]
    logits: Float[np.ndarray, "image source_class"] | None
    kernels: Mapping[KernelName, Float[np.ndarray, " pair"]] = field(default_factory=dict)


def outputs_file(folder: Path, target: str) -> Path:
    """Where the outputs of one target are."""
    return folder / "outputs" / f"{target}.safetensors"


def kernels_file(folder: Path, target: str) -> Path:
    """Where kernels between the images of one target are, if they are stored."""
    return folder / "kernels" / f"{target}.safetensors"


def outputs_sha256(folder: Path, target: str) -> str:
    """sha256 of the files of one target."""
    digest = hashlib.sha256(outputs_file(folder, target).read_bytes())
    if kernels_file(folder, target).is_file():
        digest.update(kernels_file(folder, target).read_bytes())
    return digest.hexdigest()


def stored_checkpoints(folder: Path, target: str) -> frozenset[str]:
    """Names of the checkpoints whose outputs on a target are stored; none if the file is not there yet.

    Raises:
        MatrixError: the file is no safetensors file, or has no labels.
    """
    path = outputs_file(folder, target)
    if not path.is_file():
        return frozenset()
    try:
        with safe_open(path, framework="numpy") as file:
            names = set(file.keys())
    except (SafetensorError, OSError) as error:
        raise MatrixError(f"{path} must be a safetensors file: {error}") from error
    if "labels" not in names:
        raise MatrixError(f'{path} must hold "labels", found {len(names)} other tensors')
    return frozenset(name.removesuffix(".features") for name in names if name.endswith(".features"))


def read_outputs(folder: Path, target: str, checkpoint: str) -> StoredOutputs:
    """Outputs of one checkpoint.

    Raises:
        MatrixError: they are not there, or do not fit the labels.
    """
    path = outputs_file(folder, target)
    try:
        with safe_open(path, framework="numpy") as file:
            labels = file.get_tensor("labels")
            features = file.get_tensor(f"{checkpoint}.features")
            has_logits = f"{checkpoint}.logits" in set(file.keys())
            logits = file.get_tensor(f"{checkpoint}.logits") if has_logits else None
    except (SafetensorError, OSError) as error:
        raise MatrixError(f"{path} must hold the outputs of {checkpoint}: {error}") from error
    for name, rows in (("features", features), ("logits", logits)):
        if rows is not None and (rows.ndim != 2 or len(rows) != len(labels)):
            raise MatrixError(
                f"{path}: {checkpoint}.{name} must have a row for each of {len(labels)} labels, found {rows.shape}"
            )
    return StoredOutputs(features, labels, logits, read_kernels(folder, target, checkpoint, n_images=len(labels)))


def read_kernels(
    folder: Path, target: str, checkpoint: str, *, n_images: int
) -> dict[KernelName, Float[np.ndarray, " pair"]]:
    """The kernels of one checkpoint by name, those that are stored.

    Raises:
        MatrixError: the file is no safetensors file, or a kernel is not between the target's images.
    """
    path = kernels_file(folder, target)
    if not path.is_file():
        return {}
    try:
        with safe_open(path, framework="numpy") as file:
            stored = set(file.keys())
            kernels = {
                name: file.get_tensor(f"{checkpoint}.{name}") for name in KERNELS if f"{checkpoint}.{name}" in stored
            }
    except (SafetensorError, OSError) as error:
        raise MatrixError(f"{path} must hold kernels between images: {error}") from error
    for name, kernel in kernels.items():
        if kernel.shape != (n_images * (n_images + 1) // 2,):
            raise MatrixError(
                f"{path}: {checkpoint}.{name} must be the upper triangle of a kernel between {n_images} images, found"
                f" {kernel.shape}"
            )
    return kernels

"""The frozen outputs that a matrix keeps: one safetensors file a target, read one checkpoint at a time.

A file holds `labels` [image] and, by checkpoint, `<checkpoint>.features` [image, feature] and, where the checkpoint
kept its own trained head, `<checkpoint>.logits` [image, source class]. Either may be packed: bytes, beside which
`<name>.range` [2, column] holds each column's least value and the step from one byte to the next. Beside the file,
`kernels/<target>.safetensors` may hold `<checkpoint>.depth_kernel` and `<checkpoint>.network_kernel` [pair], upper
triangles of kernels between images.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8
from safetensors import SafetensorError, safe_open

from lead_hub.bench.matrix_files import MatrixError
from lead_hub.transferability import KERNELS, KernelName

MOST_STEPS = 255  # of a byte


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
            names = set(file.keys())
            labels = file.get_tensor("labels")
            wanted = [f"{checkpoint}.features", *({f"{checkpoint}.logits"} & names)]
            found = [file.get_tensor(name) for name in wanted]
            ranges = [file.get_tensor(f"{name}.range") if f"{name}.range" in names else None for name in wanted]
    except (SafetensorError, OSError) as error:
        raise MatrixError(f"{path} must hold the outputs of {checkpoint}: {error}") from error
    for name, rows in zip(wanted, found, strict=True):
        if rows.ndim != 2 or len(rows) != len(labels):
            raise MatrixError(f"{path}: {name} must have a row for each of {len(labels)} labels, found {rows.shape}")
    features, *logits = (
        rows if of_columns is None else unpacked(rows, of_columns)
        for rows, of_columns in zip(found, ranges, strict=True)
    )
    kernels = read_kernels(folder, target, checkpoint, n_images=len(labels))
    return StoredOutputs(features, labels, logits[0] if logits else None, kernels)


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


def kernels_of_all(folder: Path, target: str) -> frozenset[KernelName]:
    """Names of the kernels that are stored of every checkpoint whose outputs are."""
    path = kernels_file(folder, target)
    if not path.is_file():
        return frozenset()
    try:
        with safe_open(outputs_file(folder, target), framework="numpy") as outputs, safe_open(path, "numpy") as file:
            ending = ".features"
            checkpoints = {name.removesuffix(ending) for name in outputs.keys() if name.endswith(ending)}  # noqa: SIM118
            stored = set(file.keys())
    except (SafetensorError, OSError) as error:
        raise MatrixError(f"{path} must hold kernels between images: {error}") from error
    return frozenset(name for name in KERNELS if all(f"{one}.{name}" in stored for one in checkpoints))


def packed(
    values: Float[np.ndarray, "image column"],
) -> tuple[UInt8[np.ndarray, "image column"], Float[np.ndarray, "2 column"]]:
    """Values as bytes, column by column, and their `range`; each is off by half a step of its column at most."""
    least = values.min(axis=0).astype(np.float32)
    steps = (np.ptp(values, axis=0) / MOST_STEPS).astype(np.float32)
    codes = np.rint((values - least) / np.where(steps > 0, steps, 1))
    return codes.clip(0, MOST_STEPS).astype(np.uint8), np.stack([least, steps])


def unpacked(
    codes: UInt8[np.ndarray, "image column"], of_columns: Float[np.ndarray, "2 column"]
) -> Float[np.ndarray, "image column"]:
    """The values that `packed` was given, to half a step."""
    values: np.ndarray = of_columns[0] + of_columns[1] * codes.astype(np.float32)
    return values

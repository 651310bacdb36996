"""Features, labels and logits as users hold them -> checked float64 tensors with labels 0..K-1."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from torch import Tensor

from lead_hub.errors import ScoreError

KernelName: TypeAlias = Literal["depth_kernel", "network_kernel"]
KERNELS: Mapping[KernelName, str] = MappingProxyType(
    {
        "depth_kernel": "how alike images are at several depths of the network",
        "network_kernel": "the tangent kernel of the whole network",
    }
)
Result = TypeVar("Result")
# Of a kernel's largest entry: what single precision leaves between an entry and its mirror image.
SYMMETRY_TOLERANCE = 1e-5


@dataclass(frozen=True, eq=False)
class ScoreInputs:
    """What every score takes. Made by `checked_inputs`, which is where the promises are kept.

    Attributes:
        features: float64.
        labels: 0..K-1, each of which occurs.
        logits: outputs of the checkpoint's own trained head, float64; None without one.
        seed: for scores that draw random numbers.
        groups: 0..G-1, two or more of them: which images are left out together, because they show the same thing; None
            where every image is left out alone.
        depth_kernel: sum of centred kernels of mean eigenvalue 1 at several depths of the network, float64, or None.
        network_kernel: tangent kernel of the whole network, float64, or None.
        standing: by how many standard deviations the checkpoint stands above others on other datasets, in the mean;
            None where nothing is known.
    """

    features: Float[Tensor, "image feature"]
    labels: Int[Tensor, " image"]
    logits: Float[Tensor, "image source_class"] | None = None
    seed: int = 0
    groups: Int[Tensor, " image"] | None = None
    depth_kernel: Float[Tensor, "image image"] | None = None
    network_kernel: Float[Tensor, "image image"] | None = None
    standing: float | None = None
    _made: dict[Callable[..., Any], Any] = field(default_factory=dict, init=False, repr=False)

    def once(self, work: Callable[["ScoreInputs"], Result]) -> Result:
        """What some work makes of these inputs: the first score that needs it has it done, the others find it done."""
        if work not in self._made:
            self._made[work] = work(self)
        made: Result = self._made[work]
        return made


def checked_inputs(
    features: Tensor | ArrayLike,
    labels: Tensor | ArrayLike,
    *,
    logits: Tensor | ArrayLike | None = None,
    seed: int = 0,
    groups: Tensor | ArrayLike | None = None,
    kernels: Mapping[KernelName, Tensor | ArrayLike | None] = MappingProxyType({}),
) -> ScoreInputs:
    """Copy to float64 on the device of the features, and number classes and groups from 0 in order of their ids.

    A kernel is a symmetric matrix, or its upper triangle row by row.

    Raises:
        ScoreError: shapes that do not fit, NaN or infinity, labels or groups that are no integers, fewer than 2 classes
            or groups, a kernel that is not symmetric.
    """
    rows = _float64_rows(features, name="features")
    class_numbers = _numbers(labels, name="labels").to(rows.device)
    source_logits = None if logits is None else _float64_rows(logits, name="logits").to(rows.device)
    group_numbers = None if groups is None else _numbers(groups, name="groups").to(rows.device)
    lengths = {"labels": len(class_numbers), "logits": _length(source_logits), "groups": _length(group_numbers)}
    for name, length in lengths.items():
        if length is not None and length != len(rows):
            raise ScoreError(f"features and {name} must have one row per image, found {len(rows)} and {length}")
    n_classes = int(class_numbers.max()) + 1
    if n_classes < 2:
        raise ScoreError(f"labels must name at least 2 classes, found {n_classes} in {len(rows)} images")
    if group_numbers is not None:
        n_groups = int(group_numbers.max()) + 1
        if n_groups < 2:
            raise ScoreError(
                f"groups must be at least 2, so that others are left when one is left out, found all {len(rows)} images"
                " in one"
            )
        if n_groups == len(rows):
            group_numbers = None
    whole = {
        name: _symmetric(kernel, name=name, n_images=len(rows)).to(rows.device)
        for name, kernel in kernels.items()
        if kernel is not None
    }
    depths, network = whole.get("depth_kernel"), whole.get("network_kernel")
    return ScoreInputs(rows, class_numbers, source_logits, seed, group_numbers, depths, network)


def _symmetric(kernel: Tensor | ArrayLike, *, name: str, n_images: int) -> Float[Tensor, "image image"]:
    values = _as_tensor(kernel, name=name)
    if values.ndim == 1:
        values = unpacked_kernel(values, name=name)
    whole = _float64_rows(values, name=name)
    if whole.shape != (n_images, n_images):
        found = tuple(whole.shape)
        raise ScoreError(f"{name} must have a row and a column for each of {n_images} images, found {found}")
    if float((whole - whole.T).abs().max()) > SYMMETRY_TOLERANCE * float(whole.abs().max()):
        raise ScoreError(f"{name} must be symmetric, as inner products are")
    return (whole + whole.T) / 2


def unpacked_kernel(packed: Tensor, *, name: str = "a kernel") -> Float[Tensor, "image image"]:
    """The symmetric matrix of an upper triangle, row by row.

    Raises:
        ScoreError: it is no triangle.
    """
    n_images = int((2 * len(packed)) ** 0.5)
    if n_images * (n_images + 1) != 2 * len(packed):
        raise ScoreError(f"{name} must be a matrix or its upper triangle row by row, found {len(packed)} numbers")
    whole = packed.new_empty(n_images, n_images)
    first, second = torch.triu_indices(n_images, n_images, device=packed.device)
    whole[first, second] = packed
    whole[second, first] = packed
    return whole


def _length(rows: Tensor | None) -> int | None:
    return None if rows is None else len(rows)


def _float64_rows(values: Tensor | ArrayLike, *, name: str) -> Float[Tensor, "image number"]:
    rows = _as_tensor(values, name=name)
    if rows.is_complex():
        raise ScoreError(f"{name} must be real numbers, found {rows.dtype}")
    if rows.ndim != 2 or 0 in rows.shape:
        raise ScoreError(f"{name} must have shape [images, numbers], none of them 0, found {tuple(rows.shape)}")
    rows = rows.to(torch.float64)
    unusable = int((~torch.isfinite(rows).all(dim=1)).sum())
    if unusable:
        raise ScoreError(f"{name} must be finite, found NaN or infinity for {unusable} of {len(rows)} images")
    return rows


def _numbers(values: Tensor | ArrayLike, *, name: str) -> Int[Tensor, " image"]:
    ids = _as_tensor(values, name=name)
    if ids.is_floating_point() or ids.is_complex():
        raise ScoreError(f"{name} must be integers, found {ids.dtype}: convert them, e.g. {name}.astype(int)")
    if ids.ndim != 1 or len(ids) == 0:
        raise ScoreError(f"{name} must have shape [images], at least one of them, found {tuple(ids.shape)}")
    numbers: Tensor = torch.unique(ids, return_inverse=True)[1]
    return numbers


def _as_tensor(values: Tensor | ArrayLike, *, name: str) -> Tensor:
    if isinstance(values, Tensor):
        # Apple's GPUs have no float64, and these numbers are only right in float64.
        return values.detach().cpu() if values.device.type == "mps" else values.detach()
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ScoreError(f"{name} must be one rectangular array of numbers: {error}") from error
    if array.dtype.kind not in "biuf":
        raise ScoreError(f"{name} must be numbers, found an array of {array.dtype}")
    # A copy in the machine's own byte order: torch knows no other, and warns of read-only arrays.
    return torch.from_numpy(array.astype(np.float64 if array.dtype.kind == "f" else np.int64))

"""CheckpointOutputs on disk, one safetensors file a checkpoint and image set, keyed by all that can change them."""

import hashlib
import json
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file

from lead_hub.checkpoint_outputs.frozen_outputs import CheckpointOutputs, ImageOutputs, PartialOutputs
from lead_hub.errors import CandidateError
from lead_hub.hub import written_whole

# Raise when the meaning of what is stored changes: pooling rules, blocks asked, preparation of pixels, file layout.
FORMAT_VERSION = 4
HEADER_START = 8  # a safetensors file is the header's length in 8 bytes, the header as JSON, the tensors
FACTS = ("family", "parameters", "pooling", "processor", "dtype", "dtype_reason", "device", "depths", "network")
KERNELS = ("depth_kernel", "network_kernel")
PARTIAL_FACTS = tuple(name for name in FACTS if name != "network")

Record = TypeVar("Record")


def outputs_key(facts: dict[str, object]) -> str:
    """sha256 of everything that can change the outputs, as canonical JSON."""
    document = json.dumps({"format": FORMAT_VERSION, **facts}, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(document.encode()).hexdigest()


@dataclass(frozen=True)
class OutputsCache:
    """A folder of outputs. Several runs may share it: files appear whole, by an atomic rename, or not at all."""

    folder: Path

    def path(self, key: str) -> Path:
        """The file of one key."""
        return self.folder / f"{key}.safetensors"

    def partial_path(self, key: str) -> Path:
        """The file of what is known of some of the images of a key."""
        return self.folder / f"{key}.part.safetensors"

    def read(self, key: str, *, n_images: int) -> CheckpointOutputs | None:
        """The outputs stored under a key; None if there are none, or none that can be trusted (with a warning)."""
        path = self.path(key)
        outputs = self._read(path, read_outputs)
        if outputs is not None and len(outputs.features) != n_images:
            warnings.warn(
                f"{path.name} in the cache holds {len(outputs.features)} images instead of {n_images} and is computed"
                " again",
                stacklevel=2,
            )
            return None
        return outputs

    def read_partial(self, key: str, *, n_images: int) -> PartialOutputs | None:
        """What is known of some of the images of a key; None as for `read`."""
        found = self._read(self.partial_path(key), read_partial_outputs)
        return found if found is None or int(found.positions.max()) < n_images else None

    def _read(self, path: Path, reader: Callable[[Path], Record]) -> Record | None:
        try:
            return reader(path) if path.is_file() else None
        except PermissionError as error:
            warnings.warn(
                f"outputs that are kept cannot be read and are computed again: {error}; name another cache_dir, or"
                " change the permissions",
                stacklevel=2,
            )
        except (SafetensorError, OSError, KeyError, ValueError, CandidateError) as error:
            warnings.warn(f"{path.name} in the cache is damaged and is computed again: {error}", stacklevel=2)
        return None

    def write(self, key: str, outputs: CheckpointOutputs) -> None:
        """Store outputs. A full disk or a folder that cannot be written is a warning: the run has them in memory."""
        self._write(self.path(key), lambda part: write_outputs(part, outputs))
        if self.path(key).is_file():
            with suppress(OSError):  # an old part beside the whole does no harm
                self.partial_path(key).unlink()

    def write_partial(self, key: str, outputs: PartialOutputs) -> None:
        """Store what is known of some of the images."""
        self._write(self.partial_path(key), lambda part: write_partial_outputs(part, outputs))

    def _write(self, path: Path, writer: Callable[[Path], None]) -> None:
        try:
            with written_whole(path, private=True) as part:
                writer(part)
        except (OSError, SafetensorError) as error:
            warnings.warn(
                f"outputs could not be kept in {self.folder}, and a next run computes them again: {error}; free some of"
                " the disk, or name another cache_dir",
                stacklevel=2,
            )


def write_outputs(path: Path, outputs: CheckpointOutputs) -> None:
    """Write one record."""
    tensors = {"features": outputs.features.contiguous()}
    if outputs.logits is not None:
        tensors["logits"] = outputs.logits.contiguous()
    kernels = {name: getattr(outputs, name) for name in KERNELS}
    tensors |= {name: kernel.contiguous() for name, kernel in kernels.items() if kernel is not None}
    metadata = {name: str(getattr(outputs, name)) for name in FACTS}
    save_file(tensors, path, metadata={**metadata, "sha256": checksum(tensors)})


def write_partial_outputs(path: Path, outputs: PartialOutputs) -> None:
    """Write what is known of some of the images."""
    images = outputs.images
    tensors = {"positions": outputs.positions.contiguous(), "features": images.features.contiguous()}
    if images.logits is not None:
        tensors["logits"] = images.logits.contiguous()
    tensors |= {f"block {number}": part.contiguous() for number, part in enumerate(images.blocks)}
    metadata = {name: str(getattr(images, name)) for name in PARTIAL_FACTS}
    save_file(tensors, path, metadata={**metadata, "sha256": checksum(tensors)})


def read_partial_outputs(path: Path) -> PartialOutputs:
    """Read what is known of some of the images.

    Raises:
        ValueError: the tensors are not those that were written.
    """
    tensors, metadata = read_checked(path)
    n_blocks = sum(name.startswith("block ") for name in tensors)
    images = ImageOutputs(
        features=tensors["features"],
        logits=tensors.get("logits"),
        blocks=tuple(tensors[f"block {number}"] for number in range(n_blocks)),
        parameters=int(metadata.pop("parameters")),
        **metadata,
    )
    return PartialOutputs(tensors["positions"], images)


def read_outputs(path: Path) -> CheckpointOutputs:
    """Read one record.

    Raises:
        ValueError: the tensors are not those that were written.
    """
    tensors, metadata = read_checked(path)
    return CheckpointOutputs(
        features=tensors["features"],
        logits=tensors.get("logits"),
        depth_kernel=tensors.get("depth_kernel"),
        network_kernel=tensors.get("network_kernel"),
        parameters=int(metadata.pop("parameters")),
        **metadata,
    )


def read_checked(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """A file's tensors, and the facts beside them.

    Raises:
        ValueError: the tensors are not those that were written.
    """
    # In one read: safetensors' own reader opens the file twice, and another run may replace it in between.
    content = path.read_bytes()
    tensors = load(content)
    header_bytes = int.from_bytes(content[:HEADER_START], "little")
    metadata: dict[str, str] = json.loads(content[HEADER_START : HEADER_START + header_bytes])["__metadata__"]
    if metadata.pop("sha256") != checksum(tensors):
        raise ValueError("its content does not match its checksum")
    return tensors, metadata


def checksum(tensors: dict[str, torch.Tensor]) -> str:
    """sha256 over the tensors' bytes: safetensors itself notices a short file, not a changed one."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].contiguous().numpy().tobytes())
    return digest.hexdigest()

"""CheckpointOutputs on disk, one safetensors file a checkpoint and image set, keyed by all that can change them."""

import hashlib
import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file

from lead_hub.checkpoint_outputs.frozen_outputs import CheckpointOutputs
from lead_hub.errors import CandidateError
from lead_hub.hub import written_whole

# Raise when the meaning of what is stored changes: pooling rules, blocks asked, preparation of pixels, file layout.
FORMAT_VERSION = 3
HEADER_START = 8  # a safetensors file is the header's length in 8 bytes, the header as JSON, the tensors
FACTS = ("family", "parameters", "pooling", "processor", "dtype", "dtype_reason", "device", "depths", "network")
KERNELS = ("depth_kernel", "network_kernel")


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

    def read(self, key: str, *, n_images: int) -> CheckpointOutputs | None:
        """The outputs stored under a key; None if there are none, or none that can be trusted (with a warning)."""
        path = self.path(key)
        try:
            if not path.is_file():
                return None
            outputs = read_outputs(path)
        except PermissionError as error:
            warnings.warn(
                f"outputs that are kept cannot be read and are computed again: {error}; name another cache_dir, or"
                " change the permissions",
                stacklevel=2,
            )
            return None
        except (SafetensorError, OSError, KeyError, ValueError, CandidateError) as error:
            warnings.warn(f"{path.name} in the cache is damaged and is computed again: {error}", stacklevel=2)
            return None
        if len(outputs.features) != n_images:
            warnings.warn(
                f"{path.name} in the cache holds {len(outputs.features)} images instead of {n_images} and is computed"
                " again",
                stacklevel=2,
            )
            return None
        return outputs

    def write(self, key: str, outputs: CheckpointOutputs) -> None:
        """Store outputs. A full disk or a folder that cannot be written is a warning: the run has them in memory."""
        try:
            with written_whole(self.path(key), private=True) as part:
                write_outputs(part, outputs)
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


def read_outputs(path: Path) -> CheckpointOutputs:
    """Read one record.

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
    return CheckpointOutputs(
        features=tensors["features"],
        logits=tensors.get("logits"),
        depth_kernel=tensors.get("depth_kernel"),
        network_kernel=tensors.get("network_kernel"),
        parameters=int(metadata.pop("parameters")),
        **metadata,
    )


def checksum(tensors: dict[str, torch.Tensor]) -> str:
    """sha256 over the tensors' bytes: safetensors itself notices a short file, not a changed one."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].contiguous().numpy().tobytes())
    return digest.hexdigest()

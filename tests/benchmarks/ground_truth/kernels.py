"""How alike each target's train pictures are to every checkpoint: at several depths, and by the network's gradients.

One file a pair, `<folder>/<target>/<checkpoint>.safetensors`, so that a run that was stopped goes on; then, a target,
what `lead-hub bench` reads, `<folder>/kernels/<target>.safetensors`. All kernels are between the pictures of which the
matrix stores outputs, centred, of mean eigenvalue 1, in half precision (which moves a mean log-likelihood by less than
0.001), as upper triangles row by row; their mean eigenvalues before are among the file's facts.
"""

import json
import time
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from lead_hub.checkpoint_outputs import LoadedCheckpoint, load_checkpoint
from lead_hub.checkpoint_outputs.depths import block_taps
from lead_hub.checkpoint_outputs.network_kernel import network_kernels

BATCH = 64
NETWORK = ("plain", "adam", "plain_sampled", "adam_sampled")
# Of what a pair's file holds, that the bench reads.
DEPTH_SUM, TANGENT = "depth_kernel", "network_adam"


def write_kernels(
    folder: Path,
    target: str,
    pictures: NDArray[np.uint8],
    pool: Mapping[str, Path],
    *,
    only: Collection[str],
    of_network: bool = True,
) -> None:
    """The pairs of one target that `only` names and that are not there yet; then the target's file, once all are there.

    Args:
        folder: of all targets' kernels.
        target: its name.
        pictures: those whose outputs the matrix stores.
        pool: where each checkpoint is, by name.
        only: names of the checkpoints to work on.
        of_network: whether also by the network's gradients, which takes some ten times as long.
    """
    files = {name: folder / target / f"{name}.safetensors" for name in pool}
    for name, path in files.items():
        if name not in only or path.exists():
            continue
        start = time.perf_counter()
        tensors, facts = pair_kernels(load_checkpoint(pool[name]), pictures, of_network=of_network)
        facts["duration_s"] = f"{time.perf_counter() - start:.1f}"
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        save_file(tensors, part, metadata=facts)
        part.rename(path)
        print(target, name, facts["duration_s"], facts["depths"], facts["notes"], flush=True)
    if all(path.exists() for path in files.values()):
        write_for_bench(folder / "kernels" / f"{target}.safetensors", files)


def pair_kernels(
    checkpoint: LoadedCheckpoint, pictures: NDArray[np.uint8], *, of_network: bool
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Kernels of one checkpoint by name, and how they came about."""
    batches = [checkpoint.prepare(list(pictures[start : start + BATCH])) for start in range(0, len(pictures), BATCH)]
    taps = block_taps(checkpoint.backbone)
    with taps.listening():
        blocks = [(checkpoint.forward(pixels), taps.taken())[1] for pixels in batches]
    depths = [torch.cat(parts).double() for parts in zip(*blocks, strict=True)]
    grams = {f"depth_{number}": rows @ rows.T for number, rows in enumerate(depths, start=1)}
    facts = {"depths": taps.unfit or taps.words, "notes": ""}
    if of_network:
        network = network_kernels(checkpoint.model, lambda pixels: checkpoint.outputs(pixels)[0], lambda: batches)
        grams |= {f"network_{name}": getattr(network, name) for name in NETWORK}
        facts |= {"share": f"{network.share:.4f}", "notes": "; ".join(network.notes)}
    units, means = {}, {}
    for name, gram in grams.items():
        units[name], means[name] = of_unit(gram)
    if depths:
        units[DEPTH_SUM] = sum(kernel for name, kernel in units.items() if name.startswith("depth_"))
    first, second = np.triu_indices(len(pictures))
    facts["mean_eigenvalues"] = json.dumps(means)
    return {name: kernel[first, second].half() for name, kernel in units.items()}, facts


def of_unit(kernel: Tensor) -> tuple[Tensor, float]:
    """The centred kernel of mean eigenvalue 1, and what its mean eigenvalue was."""
    centred = kernel - kernel.mean(dim=0) - kernel.mean(dim=1, keepdim=True) + kernel.mean()
    mean = float(centred.trace()) / len(kernel)
    return (centred / mean if mean > 0 else centred), mean


def write_for_bench(path: Path, files: dict[str, Path]) -> None:
    """The kernels that scores take, in half precision, under the names that they know."""
    tensors = {}
    for checkpoint, file in files.items():
        stored = load_file(file)
        for name, known in ((DEPTH_SUM, "depth_kernel"), (TANGENT, "network_kernel")):
            if name in stored:
                tensors[f"{checkpoint}.{known}"] = stored[name]
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)

"""Weights as packages store them -> tensors by the names of timm's networks.

TensorFlow's kernels are [height, width, in, out], PyTorch's [out, in, height, width].
"""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Weights = Mapping[str, NDArray[Any]]

MOBILENET_REPEATS = (1, 2, 3, 4, 3, 3, 1)
EXPANDED = {"expand": "conv_pw", "depthwise": "conv_dw", "project": "conv_pwl"}
UNEXPANDED = {"depthwise": "conv_dw", "project": "conv_pw"}
BATCH_NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


def in_order(names: Sequence[str], weights: Sequence[Tensor]) -> dict[str, Tensor]:
    """Weights of the same network under other names, in the order of its layers."""
    return dict(zip(names, weights, strict=True))


def mobilenet_v2(weights: Weights, *, head: str | None) -> dict[str, Tensor]:
    """A Keras MobileNetV2 of any width, by timm's names; `head` is the name of its one dense layer, if it has one.

    Raises:
        KeyError: a layer is missing.
    """
    renamed: dict[str, Tensor] = {}
    for layer, (convolution, batch_norm) in _mobilenet_layers().items():
        kernel = weights.get(f"{layer}/kernel", weights.get(f"{layer}/depthwise_kernel"))
        if kernel is None:
            raise KeyError(f"{layer} has no kernel")
        renamed[f"{convolution}.weight"] = convolution_kernel(kernel, is_depthwise="depthwise" in layer)
        for theirs, ours in BATCH_NORM.items():
            renamed[f"{batch_norm}.{ours}"] = _tensor(weights[f"{_norm_of(layer)}/{theirs}"])
        renamed[f"{batch_norm}.num_batches_tracked"] = torch.tensor(0)
    if head is not None:
        renamed["classifier.weight"] = _tensor(weights[f"{head}/kernel"].T)
        renamed["classifier.bias"] = _tensor(weights[f"{head}/bias"])
    return renamed


def convolution_kernel(kernel: NDArray[Any], *, is_depthwise: bool) -> Tensor:
    """[height, width, in, out] -> [out, in, height, width]; a depthwise one's [.., channel, 1] -> [channel, 1, ..]."""
    return _tensor(kernel.transpose((2, 3, 0, 1) if is_depthwise else (3, 2, 0, 1)))


def _mobilenet_layers() -> dict[str, tuple[str, str]]:
    """Keras's name of every convolution -> timm's of it and of the batch norm behind it."""
    layers = {"Conv1": ("conv_stem", "bn1"), "Conv_1": ("conv_head", "bn2")}
    blocks = [(stage, block) for stage, repeats in enumerate(MOBILENET_REPEATS) for block in range(repeats)]
    for number, (stage, block) in enumerate(blocks):
        parts = EXPANDED if number else UNEXPANDED
        theirs = f"block_{number}" if number else "expanded_conv"
        for place, (part, ours) in enumerate(parts.items(), start=1):
            layers[f"{theirs}_{part}"] = f"blocks.{stage}.{block}.{ours}", f"blocks.{stage}.{block}.bn{place}"
    return layers


def _norm_of(layer: str) -> str:
    return {"Conv1": "bn_Conv1", "Conv_1": "Conv_1_bn"}.get(layer, f"{layer}_BN")


def _tensor(values: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def keras_file(path: Path) -> dict[str, NDArray[Any]]:
    """The weights of a Keras .h5 file by layer and name, such as "Conv1/kernel"."""
    import h5py  # type: ignore[import-untyped]

    weights: dict[str, NDArray[Any]] = {}

    def note(name: str, node: object) -> None:
        if isinstance(node, h5py.Dataset):
            weights["/".join(name.split("/")[-2:])] = np.asarray(node)

    with h5py.File(path) as file:
        file["model_weights"].visititems(note)
    return weights


def tensorflow_js(folder: Path) -> dict[str, NDArray[Any]]:
    """The weights of a model of TensorFlow.js that is kept as scripts, unpacked from its bytes: value = min + scale n.

    `model.min.js` has the manifest, `group1-shard*.min.js` a base64 text each.
    """
    manifest = _manifest((folder / "model.min.js").read_text(encoding="utf-8"))
    shards = sorted(folder.glob("group1-shard*.min.js"))
    content = b"".join(base64.b64decode(_exported_text(shard.read_text(encoding="utf-8"))) for shard in shards)
    weights, place = {}, 0
    for entry in manifest:
        count = int(np.prod(entry["shape"]))
        packing = entry.get("quantization")
        stored = np.dtype(packing["dtype"] if packing else entry["dtype"]).newbyteorder("<")
        values = np.frombuffer(content, stored, count, place)
        place += count * stored.itemsize
        if packing:
            values = packing["min"] + packing["scale"] * values.astype(np.float64)
        weights[entry["name"]] = values.reshape(entry["shape"]).astype(np.float32)
    if place != len(content):
        raise ValueError(f"the manifest must describe all {len(content)} bytes, it describes {place}")
    return weights


def _manifest(script: str) -> list[dict[str, Any]]:
    """`weightsManifest:[{paths:[..],weights:[..]}]` of a minified script, where JSON would have names in quotes."""
    start = script.index("weights:[", script.index("weightsManifest:")) + len("weights:")
    text = script[start : _end_of_list(script, start)]
    quoted = re.sub(r"([{,])(\w+):", r'\1"\2":', text)
    numbers = re.sub(r"(?<=[:,\[])(-?)\.(\d)", r"\g<1>0.\2", quoted)
    manifest: list[dict[str, Any]] = json.loads(numbers)
    return manifest


def _end_of_list(text: str, start: int) -> int:
    depth = 0
    for place in range(start, len(text)):
        depth += {"[": 1, "]": -1}.get(text[place], 0)
        if depth == 0:
            return place + 1
    raise ValueError("the list must end")


def _exported_text(script: str) -> str:
    found = re.search(r'exports="([A-Za-z0-9+/=]+)"', script)
    if found is None:
        raise ValueError("a shard must be a script that exports one base64 text")
    return found[1]

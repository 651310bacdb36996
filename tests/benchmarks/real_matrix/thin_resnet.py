"""The thin ResNet-50 of an ONNX file -> transformers' ResNet: half as many channels as usual, norms in the kernels.

Its max pooling pads below and on the right alone, transformers' on all sides: all features lie two pixels elsewhere.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import ResNetConfig

DEPTHS = (3, 4, 6, 3)
WIDTHS = (128, 256, 512, 1024)
NORM_EPS = 1e-5  # torch's own
# The file's network takes blue, green, red from 0 to 255 without these means; ours red, green, blue.
MEAN_BGR = (104, 117, 123)


def thin_config(n_classes: int) -> ResNetConfig:
    """The architecture; strides are in the first convolution of a block, as in the first ResNets."""
    return ResNetConfig(
        embedding_size=64,
        hidden_sizes=list(WIDTHS),
        depths=list(DEPTHS),
        layer_type="bottleneck",
        downsample_in_bottleneck=True,
        num_labels=n_classes,  # type: ignore[call-arg]
    )


def thin_weights(path: Path) -> dict[str, Tensor]:
    """Weights by the names of `ResNetForImageClassification`; every norm only adds the bias of its convolution."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(path)).graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    convolutions = [node.input[1:3] for node in graph.node if node.op_type == "Conv"]
    renamed: dict[str, Tensor] = {}
    for name, (kernel, bias) in zip(layer_names(), convolutions, strict=True):
        renamed |= folded(f"resnet.{name}", arrays[kernel], arrays[bias])
    first = "resnet.embedder.embedder.convolution.weight"
    renamed[first] = renamed[first].flip(1)
    (matrix,) = (array for array in arrays.values() if array.ndim == 2)
    (bias,) = (array for name, array in arrays.items() if array.shape == (matrix.shape[1],) and "BiasAdd" in name)
    return {**renamed, "classifier.1.weight": torch.tensor(matrix.T.copy()), "classifier.1.bias": torch.tensor(bias)}


def layer_names() -> Iterator[str]:
    """Our names of the convolutions in the order of the file: a block's shortcut comes first."""
    yield "embedder.embedder"
    for stage, depth in enumerate(DEPTHS):
        for block in range(depth):
            place = f"encoder.stages.{stage}.layers.{block}"
            if block == 0:
                yield f"{place}.shortcut"
            yield from (f"{place}.layer.{number}" for number in range(3))


def folded(layer: str, kernel: NDArray[np.float32], bias: NDArray[np.float32]) -> dict[str, Tensor]:
    """A convolution with a bias as one without and a norm that divides by 1 and adds the bias."""
    width = len(bias)
    return {
        f"{layer}.convolution.weight": torch.tensor(kernel),
        f"{layer}.normalization.weight": torch.full((width,), (1 + NORM_EPS) ** 0.5),
        f"{layer}.normalization.bias": torch.tensor(bias),
        f"{layer}.normalization.running_mean": torch.zeros(width),
        f"{layer}.normalization.running_var": torch.ones(width),
        f"{layer}.normalization.num_batches_tracked": torch.tensor(0),
    }

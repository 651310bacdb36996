"""Real checkpoint folders of a few thousand weights, built from configs: one entry per family."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import timm
import torch
import transformers
from torch import nn
from transformers import BaseImageProcessor, PreTrainedConfig, PreTrainedModel

IMAGE_SIZE_PX = 64
CLASSES = ("cat", "dog", "newt")
LABELS = {"id2label": dict(enumerate(CLASSES)), "label2id": {name: i for i, name in enumerate(CLASSES)}}


@dataclass(frozen=True)
class TinyFamily:
    """Names of transformers classes and the settings of a tiny config."""

    base: str
    config: str
    settings: dict[str, object]
    classifier: str | None = None
    processor: str = "ViTImageProcessor"
    image_size_px: int = IMAGE_SIZE_PX

    def image_processor(self) -> BaseImageProcessor:
        """An image processor of the family that fits the config."""
        return tiny_processor(self.processor, self.image_size_px)

    def tiny_config(self, **labels: object) -> PreTrainedConfig:
        config: PreTrainedConfig = getattr(transformers, self.config)(**self.settings, **labels)
        return config

    def build(self, *, head: bool, seed: int = 0) -> PreTrainedModel:
        """A model in evaluation mode; with `head`, the classifier of CLASSES."""
        torch.manual_seed(seed)
        config = self.tiny_config(**(LABELS if head else {}))
        name = self.classifier if head else self.base
        assert name is not None
        return randomised(getattr(transformers, name)(config), seed, self.image_size_px)


def randomised(model: nn.Module, seed: int, size_px: int = IMAGE_SIZE_PX) -> nn.Module:
    """Give every weight and statistic a value that shows in the output, so that none can be skipped unnoticed."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if weight.ndim < 2 or len(weight) == 1:  # biases, norms, tokens, positions
                weight.add_(0.2 * noise)
            else:
                weight.copy_(noise * (2 / weight[0].numel()) ** 0.5)
        norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
        for norm in norms:
            norm.momentum = 1.0
        if norms:  # statistics of some images, or activations fade away over the layers
            model.train()(some_pixels(size_px, generator))
    return model.eval()


def some_pixels(size_px: int, generator: torch.Generator) -> torch.Tensor:
    """Model input: squares of different colours and contrasts."""
    colours = torch.randn(16, 3, 1, 1, generator=generator)
    return colours + torch.randn(16, 3, size_px, size_px, generator=generator) * colours.abs()


def tiny_processor(name: str = "ViTImageProcessor", size_px: int = IMAGE_SIZE_PX) -> BaseImageProcessor:
    """An image processor that makes squares of that size."""
    square = {"height": size_px, "width": size_px}
    settings: dict[str, object] = {"size": square}
    if name in {"BitImageProcessor", "CLIPImageProcessor", "MobileNetV2ImageProcessor", "MobileViTImageProcessor"}:
        settings = {"size": {"shortest_edge": size_px}, "crop_size": square}
    if name in {"LevitImageProcessor", "DeiTImageProcessor"}:
        settings = {"size": square, "crop_size": square}
    if name == "ConvNextImageProcessor":
        settings = {"size": {"shortest_edge": size_px}, "crop_pct": 1.0}
    if name == "Siglip2ImageProcessor":  # keeps each image's shape: up to 16 patches of 16 px
        settings = {"patch_size": 16, "max_num_patches": 16}
    processor: BaseImageProcessor = getattr(transformers, name)(**settings)
    return processor


def save_checkpoint(folder: Path, model: PreTrainedModel, processor: BaseImageProcessor | None = None) -> Path:
    """Write a checkpoint folder as `save_pretrained` does."""
    model.save_pretrained(folder)
    (processor or tiny_processor()).save_pretrained(folder)
    return folder


def save_timm(folder: Path, architecture: str, *, classes: int, seed: int = 0) -> PreTrainedModel:
    """A randomly initialised timm architecture saved through transformers' wrapper, which holds its processor."""
    settings = {
        "input_size": [3, IMAGE_SIZE_PX, IMAGE_SIZE_PX],
        "mean": [0.4, 0.5, 0.6],
        "std": [0.2, 0.3, 0.25],
        "interpolation": "bicubic",
        "crop_pct": 1.0,
        "crop_mode": "center",
    }
    torch.manual_seed(seed)
    named = {f"class {index}": index for index in range(classes)}
    config = transformers.TimmWrapperConfig(
        architecture=architecture,
        pretrained_cfg=settings,
        num_labels=classes,
        label2id=named,
        id2label={index: name for name, index in named.items()},
    )
    built: Callable[[PreTrainedConfig], PreTrainedModel] = (
        transformers.TimmWrapperForImageClassification if classes else transformers.TimmWrapperModel
    )
    assert timm.is_model(architecture)
    model = randomised(built(config), seed)
    model.save_pretrained(folder)
    return model


def random_images(count: int = 3, *, seed: int = 0) -> list[np.ndarray]:
    """RGB noise of different sizes, colours and contrasts."""
    generator = np.random.default_rng(seed)
    images = []
    for _ in range(count):
        height, width = generator.integers(20, 90, size=2)
        colour, contrast = generator.uniform(40, 215, size=3), generator.uniform(10, 90)
        image = colour + contrast * generator.standard_normal((height, width, 3))
        images.append(image.clip(0, 255).astype(np.uint8))
    return images

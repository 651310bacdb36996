"""The blocks of every family as its own attributes give them, and what each says of an image, not by depths.py."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

# Every tiny family makes 16 patches of 64 px, if it makes patches of one size.
N_PATCHES = 16


def in_turn(parts: Iterable[Iterable[nn.Module]]) -> list[nn.Module]:
    return [block for part in parts for block in part]


def staged(backbone: nn.Module) -> list[nn.Module]:
    return in_turn(stage.layers for stage in backbone.encoder.stages)


def blocks_of_layers(backbone: nn.Module) -> list[nn.Module]:
    return in_turn(layer.blocks for layer in backbone.encoder.layers)


BLOCKS: dict[str, Callable[[nn.Module], list[nn.Module]]] = {
    **dict.fromkeys(("resnet", "regnet", "bit", "convnext", "convnextv2", "focalnet", "cvt", "levit", "hiera"), staged),
    **dict.fromkeys(("swin", "swinv2", "donut-swin", "pvt_v2"), blocks_of_layers),
    "dinov3_convnext": lambda backbone: in_turn(stage.layers for stage in backbone.model.stages),
    "hgnet_v2": lambda backbone: in_turn(stage.blocks for stage in backbone.encoder.stages),
    "swiftformer": lambda backbone: in_turn(stage.blocks for stage in list(backbone.encoder.network)[::2]),
    "segformer": lambda backbone: in_turn(stage.blocks for stage in backbone.stages),
    **dict.fromkeys(("poolformer", "pvt"), lambda backbone: in_turn(backbone.encoder.block)),
    "efficientnet": lambda backbone: list(backbone.encoder.blocks),
    **dict.fromkeys(("mobilenet_v1", "mobilenet_v2"), lambda backbone: list(backbone.layer)),
    **dict.fromkeys(("mobilevit", "mobilevitv2"), lambda backbone: list(backbone.encoder.layer)),
    **dict.fromkeys(
        ("vit", "vit_mae", "vit_msn", "deit", "beit", "ijepa", "pixio"), lambda backbone: list(backbone.layers)
    ),
    **dict.fromkeys(
        (
            *("data2vec-vision", "dinov2", "dinov2_with_registers", "radio", "tipsv2_vision_model"),
            "internvl_vision",
        ),
        lambda backbone: list(backbone.encoder.layer),
    ),
    "dinov3_vit": lambda backbone: list(backbone.model.layer),
    **dict.fromkeys(
        (
            *("clip_vision_model", "metaclip_2_vision_model", "chinese_clip_vision_model", "mlcd_vision_model"),
            *("siglip_vision_model", "aimv2_vision_model"),
        ),
        lambda backbone: list(backbone.encoder.layers),
    ),
}

# How many tokens come before the patches, and how many of these, from the first on, are class tokens.
CLASS_AND_OTHER_TOKENS = {
    **dict.fromkeys(("vit", "vit_mae", "vit_msn", "beit", "data2vec-vision", "dinov2", "internvl_vision"), (1, 1)),
    **dict.fromkeys(("clip_vision_model", "metaclip_2_vision_model", "chinese_clip_vision_model"), (1, 1)),
    "mlcd_vision_model": (1, 1),
    "deit": (1, 2),
    "dinov2_with_registers": (1, 4),
    "dinov3_vit": (1, 3),
    "tipsv2_vision_model": (1, 2),
    "pixio": (3, 3),
    "radio": (3, 7),
    **dict.fromkeys(("ijepa", "siglip_vision_model", "aimv2_vision_model"), (0, 0)),
}
ON_GRID = {"swin", "swinv2", "donut-swin", "focalnet", "pvt", "pvt_v2", "segformer", "cvt"}
WITHOUT_GRID = {"levit", "hiera"}


def numbers(family: str, output: Tensor) -> Tensor:
    """What a block's output says of an image, place by place."""
    if family in CLASS_AND_OTHER_TOKENS:
        n_class, n_before = CLASS_AND_OTHER_TOKENS[family]
        assert output.shape[1] == n_before + N_PATCHES
        patches = sum(output[:, n_before + place] for place in range(N_PATCHES)) / N_PATCHES
        classes = [sum(output[:, token] for token in range(n_class)) / n_class] if n_class else []
        return torch.cat([*classes, patches], dim=1)
    if family in WITHOUT_GRID:
        return output.sum(dim=1) / output.shape[1]
    if family in ON_GRID:
        side = int(output.shape[1] ** 0.5)
        first = output.shape[1] - side**2
        assert first in {0, 1}
        classes = [output[:, 0]] if first else []
        return torch.cat([*classes, quarters(output[:, first:].unflatten(1, (side, side)))], dim=1)
    return quarters(output.permute(0, 2, 3, 1))


def quarters(places: Tensor) -> Tensor:
    """[image, height, width, channel] of even sides -> means over four quarters, channel by channel."""
    height, width = places.shape[1:3]
    assert height % 2 == width % 2 == 0
    halves = ((0, height // 2), (height // 2, height)), ((0, width // 2), (width // 2, width))
    means = [
        sum(places[:, row, column] for row in range(*rows) for column in range(*columns)) / (height * width / 4)
        for rows in halves[0]
        for columns in halves[1]
    ]
    return torch.stack(means, dim=2).flatten(1)

"""What a network says of an image at a few of its depths: which blocks are asked, and how their outputs become numbers.

The blocks of a network are its smallest repeated parts, as a rule a family names them; asked are the first, those after
a third and two thirds, and the last (fewer where there are fewer blocks). A feature map is averaged over its quarters,
tokens give the class token and the mean of the patches. All of it happens in hooks during the one forward pass, before
anything behind a block can change its output in place. A network that no rule here fits is asked nothing: no guess.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel

N_DEPTHS = 4

# A block's output and the arguments it was called with -> numbers, float32.
BlockPooling: TypeAlias = Callable[[Tensor, tuple[Any, ...]], Float[Tensor, "image number"]]


class UnfitBlockError(ValueError):
    """A block's output is not what the rule of its family says."""


@dataclass(frozen=True)
class BlockRule:
    """Where the blocks of a network are, and how their outputs become one vector an image.

    Attributes:
        names: what the name of every block matches, from its first to its last letter.
        pool: from a block's output to numbers.
        words: the pooling in words.
    """

    names: str
    pool: BlockPooling
    words: str


def quarter_means(feature_map: Float[Tensor, "image channel height width"]) -> Float[Tensor, "image number"]:
    """Means over the quarters, which share the middle row or column of an odd size: average pooling to 2 x 2."""
    if feature_map.dtype == torch.float32:
        return nn.functional.adaptive_avg_pool2d(feature_map, 2).flatten(1)
    # In low precision that would give the means in it, too, and lose the digits that tell images apart.
    height, width = feature_map.shape[2:]
    means = [
        feature_map[:, :, rows, columns].mean(dim=(2, 3), dtype=torch.float32)
        for rows in (slice(0, -(-height // 2)), slice(height // 2, height))
        for columns in (slice(0, -(-width // 2)), slice(width // 2, width))
    ]
    return torch.stack(means, dim=2).flatten(1)


def _feature_map(output: Tensor, _arguments: tuple[Any, ...]) -> Tensor:
    _check_axes(output, 4)
    return quarter_means(output)


def _feature_map_channels_last(output: Tensor, _arguments: tuple[Any, ...]) -> Tensor:
    _check_axes(output, 4)
    return quarter_means(output.permute(0, 3, 1, 2))


def _tokens_on_grid(output: Tensor, arguments: tuple[Any, ...]) -> Tensor:
    """Of tokens whose block is told their height and width; a class token comes before them."""
    _check_axes(output, 3)
    size = arguments[1] if len(arguments) > 1 and isinstance(arguments[1], (tuple, list)) else arguments[1:3]
    if len(size) != 2 or not all(isinstance(side, int) for side in size):
        raise UnfitBlockError(f"a block must be told the height and width of its tokens, found {size}")
    height, width = size
    n_class = output.shape[1] - height * width
    if n_class not in {0, 1}:
        raise UnfitBlockError(f"tokens must be those of a grid of {height} x {width}, found {output.shape[1]}")
    patches = output[:, n_class:].transpose(1, 2)
    means = quarter_means(patches.reshape(*patches.shape[:2], height, width))
    return torch.cat([output[:, 0].float(), means], dim=1) if n_class else means


def _tokens(n_class: int, n_others: int) -> BlockPooling:
    """Of class tokens, then others that are no patches (registers, distillation), then patches."""

    def pool(output: Tensor, _arguments: tuple[Any, ...]) -> Tensor:
        _check_axes(output, 3)
        if output.shape[1] <= n_class + n_others:
            raise UnfitBlockError(f"patches must follow {n_class + n_others} tokens, found {output.shape[1]} tokens")
        mean = output[:, n_class + n_others :].mean(dim=1, dtype=torch.float32)
        return torch.cat([output[:, :n_class].mean(dim=1, dtype=torch.float32), mean], dim=1) if n_class else mean

    return pool


def _check_axes(output: Tensor, n_axes: int) -> None:
    if output.ndim != n_axes:
        raise UnfitBlockError(f"a block's output must have {n_axes} axes, found {tuple(output.shape)}")


QUARTERS = "means over quarters"


def _map_rule(names: str) -> BlockRule:
    return BlockRule(names, _feature_map, QUARTERS)


def _grid_rule(names: str) -> BlockRule:
    return BlockRule(names, _tokens_on_grid, QUARTERS)


def _token_rule(names: str, *, n_class: int, n_others: int = 0) -> BlockRule:
    words = "class token and mean of patches" if n_class else "mean of patches"
    return BlockRule(names, _tokens(n_class, n_others), words)


_STAGE_LAYERS = r"(encoder|model)\.stages\.\d+\.layers\.\d+"
_STAGE_BLOCKS = r"(encoder\.)?(stages|layers|network)\.\d+\.blocks\.\d+"
_LAYERS = r"((encoder|model)\.)?layers?\.\d+"

# By model_type, in the order of pooling.py. Not there: dinat, which needs a library that no test has; SigLIP 2, among
# whose tokens is padding; and what goes by the general rule.
FAMILY_BLOCKS: Mapping[str, BlockRule] = MappingProxyType(
    {
        **dict.fromkeys(
            ("resnet", "regnet", "bit", "convnext", "convnextv2", "dinov3_convnext"), _map_rule(_STAGE_LAYERS)
        ),
        **dict.fromkeys(("mobilenet_v1", "mobilenet_v2"), _map_rule(r"layer\.\d+")),
        # Of these, whose blocks are of two kinds, one nested in stages and one not, the stages.
        **dict.fromkeys(("mobilevit", "mobilevitv2"), _map_rule(r"encoder\.layer\.\d+")),
        "efficientnet": _map_rule(r"encoder\.blocks\.\d+"),
        "poolformer": _map_rule(r"encoder\.block\.\d+\.\d+"),
        **dict.fromkeys(("swiftformer", "hgnet_v2"), _map_rule(_STAGE_BLOCKS)),
        **dict.fromkeys(("swin", "swinv2", "donut-swin", "pvt_v2", "segformer"), _grid_rule(_STAGE_BLOCKS)),
        **dict.fromkeys(("focalnet", "cvt"), _grid_rule(_STAGE_LAYERS)),
        "pvt": _grid_rule(r"encoder\.block\.\d+\.\d+"),
        # Tokens of windows, or of a grid of which the blocks are told nothing.
        **dict.fromkeys(("levit", "hiera"), _token_rule(_STAGE_LAYERS, n_class=0)),
        **dict.fromkeys(("ijepa", "siglip_vision_model", "aimv2_vision_model"), _token_rule(_LAYERS, n_class=0)),
        **dict.fromkeys(
            (
                *("vit", "vit_mae", "vit_msn", "beit", "data2vec-vision", "dinov2", "internvl_vision"),
                *("clip_vision_model", "metaclip_2_vision_model", "chinese_clip_vision_model"),
                *("mlcd", "mlcd_vision_model"),
            ),
            _token_rule(_LAYERS, n_class=1),
        ),
        "deit": _token_rule(_LAYERS, n_class=1, n_others=1),  # the distillation token
    }
)

# Where the number of class tokens and registers stands in the config.
FAMILY_BLOCKS_BY_SETTINGS: Mapping[str, Callable[[Any], BlockRule]] = MappingProxyType(
    {
        **dict.fromkeys(
            ("dinov2_with_registers", "dinov3_vit", "tipsv2_vision_model"),
            lambda config: _token_rule(_LAYERS, n_class=1, n_others=int(config.num_register_tokens)),
        ),
        "pixio": lambda config: _token_rule(_LAYERS, n_class=int(config.n_cls_tokens)),
        "radio": lambda config: _token_rule(
            _LAYERS, n_class=int(config.num_cls_tokens), n_others=int(config.num_registers)
        ),
    }
)

_TIMM_STAGE_BLOCKS = r"stages\.\d+\.blocks\.\d+"
_TIMM_LAYER_BLOCKS = r"layers\.\d+\.blocks\.\d+"
# By the class of the network. Not there: HighResolutionNet, whose parts give several maps each.
TIMM_BLOCKS: Mapping[str, BlockRule] = MappingProxyType(
    {
        "ResNet": _map_rule(r"layer\d\.\d+"),
        "RegNet": _map_rule(r"s\d\.b\d+"),
        # A layer of a dense block gives what it adds to the map alone: asked is the whole.
        "DenseNet": _map_rule(r"features\.denseblock\d+"),
        "InceptionV3": _map_rule(r"Mixed_\d\w"),
        **dict.fromkeys(("EfficientNet", "MobileNetV3", "GhostNet"), _map_rule(r"blocks\.\d+\.\d+")),
        **dict.fromkeys(("ByobNet", "NormFreeNet"), _map_rule(r"stages\.\d+\.\d+")),
        "StarNet": _map_rule(r"stages\.\d+\.[1-9]\d*"),  # 0 is the convolution that halves the map
        **dict.fromkeys(
            (
                *("ConvNeXt", "ResNetV2", "MaxxVit", "FastVit", "RepVit", "HighPerfGpuNet", "EdgeNeXt"),
                *("DaVit", "EfficientVit", "EfficientVitLarge", "EfficientVitMsra", "EfficientFormerV2"),
                *("SwiftFormer", "MetaNeXt", "NextViT"),
            ),
            _map_rule(_TIMM_STAGE_BLOCKS),
        ),
        # Its blocks give maps of two forms, its stages of one.
        "TinyVit": _map_rule(r"stages\.\d+"),
        "FocalNet": _map_rule(_TIMM_LAYER_BLOCKS),
        **dict.fromkeys(
            ("SwinTransformer", "SwinTransformerV2"),
            BlockRule(_TIMM_LAYER_BLOCKS, _feature_map_channels_last, QUARTERS),
        ),
        "MambaOut": BlockRule(_TIMM_STAGE_BLOCKS, _feature_map_channels_last, QUARTERS),
        "PyramidVisionTransformerV2": _grid_rule(_TIMM_STAGE_BLOCKS),
        "Xcit": _grid_rule(r"blocks\.\d+"),  # not the last two, in which the class token alone changes
        # Tokens in the order of windows, or of no grid at all.
        **dict.fromkeys(("Hiera", "MlpMixer"), _token_rule(r"blocks\.\d+", n_class=0)),
    }
)


def _transformer_rule(network: Any) -> BlockRule:
    """A class token where there is one, then registers or the distillation token, then patches."""
    n_class = 0 if getattr(network, "cls_token", None) is None else 1
    n_others = int(getattr(network, "num_prefix_tokens", n_class)) - n_class
    return _token_rule(r"blocks\.\d+", n_class=n_class, n_others=n_others)


# Of these the form of what a block gives, or the number of blocks, is the network's own choice.
TIMM_BLOCKS_BY_SETTINGS: Mapping[str, Callable[[Any], BlockRule]] = MappingProxyType(
    {
        **dict.fromkeys(("VisionTransformer", "VisionTransformerDistilled", "Eva", "Beit"), _transformer_rule),
        # A block is told the grid of the tokens that enter it, not of those that leave.
        "MultiScaleVit": lambda network: _token_rule(_TIMM_STAGE_BLOCKS, n_class=int(network.cls_token is not None)),
        **dict.fromkeys(
            ("Levit", "LevitDistilled"),
            lambda network: (
                _map_rule(_TIMM_STAGE_BLOCKS) if network.use_conv else _token_rule(_TIMM_STAGE_BLOCKS, n_class=0)
            ),
        ),
        # Stages of attention give their blocks tokens, of whose grid these are told nothing; the stages give maps.
        "MetaFormer": lambda network: _map_rule(
            _TIMM_STAGE_BLOCKS if all(stage.use_nchw for stage in network.stages) else r"stages\.\d+"
        ),
        # The last of its parts is the convolution before the head.
        "RexNet": lambda network: _map_rule(rf"features\.({'|'.join(map(str, range(len(network.features) - 1)))})"),
    }
)


def block_rule(backbone: nn.Module) -> BlockRule | None:
    """The rule of the backbone's family, None without one."""
    if isinstance(backbone, PreTrainedModel):
        family = str(backbone.config.model_type)
        if family in FAMILY_BLOCKS_BY_SETTINGS:
            return FAMILY_BLOCKS_BY_SETTINGS[family](backbone.config)
        return FAMILY_BLOCKS.get(family)
    kind = type(backbone).__name__
    if kind in TIMM_BLOCKS_BY_SETTINGS:
        return TIMM_BLOCKS_BY_SETTINGS[kind](backbone)
    return TIMM_BLOCKS.get(kind)


def depth_positions(n_blocks: int) -> tuple[int, ...]:
    """Positions of the first block, of those after a third and two thirds, and of the last one, each once."""
    last = n_blocks - 1
    return tuple(sorted({round(last * step / (N_DEPTHS - 1)) for step in range(N_DEPTHS)}))


def depth_kernel(
    pooled: Sequence[Float[Tensor, "image _number"]], device: torch.device
) -> Float[Tensor, " pair"] | None:
    """Sum over depths of the centred linear kernels, each of mean eigenvalue 1: its upper triangle, row by row.

    A depth at which all images are the same adds nothing; None where all depths are such. Scale and centre are those of
    all images here; for a part of the images, the rows and columns of this kernel need centring again and no more.
    """
    n_images = len(pooled[0])
    total = torch.zeros(n_images, n_images, device=device)
    for rows in pooled:
        # Minus the first row first: what is constant becomes 0 exactly. In float64, as means may be far from 0.
        centred = rows.to(device).double()
        centred -= centred[:1].clone()
        centred -= centred.mean(dim=0)
        mean_eigenvalue = float(centred.square().sum()) / n_images
        if mean_eigenvalue > 0:
            scaled = (centred / mean_eigenvalue**0.5).float()
            total.addmm_(scaled, scaled.T)
    if not bool(total.any()):
        return None
    first, second = torch.triu_indices(n_images, n_images)
    return total.cpu()[first, second]


@dataclass(eq=False)
class BlockTaps:
    """What the asked blocks of a network say in one forward pass after the other.

    Attributes:
        blocks: the asked blocks by name, first to last; none where the network is not asked.
        rule: how their outputs become numbers.
        words: which blocks are asked, or why none.
        unfit: what was wrong with the output of a block, if anything.
    """

    blocks: Mapping[str, nn.Module]
    rule: BlockRule | None
    words: str
    unfit: str = ""
    _pooled: dict[str, Tensor] = field(default_factory=dict)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Within the block of code, every forward pass leaves what `taken` gives."""
        handles = [block.register_forward_hook(self._hook(name)) for name, block in self.blocks.items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def taken(self) -> tuple[Tensor, ...]:
        """[image, number] for every asked block in the last forward pass; empty where a block did not fit its rule."""
        pooled, self._pooled = self._pooled, {}
        if self.unfit or not self.blocks:
            return ()
        if missing := [name for name in self.blocks if name not in pooled]:
            self.unfit = f"the forward pass did not come by {missing[0]}"
            return ()
        return tuple(pooled[name] for name in self.blocks)

    def _hook(self, name: str) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        def hook(_block: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
            first = output[0] if isinstance(output, tuple) else output
            try:
                if self.rule is None or not isinstance(first, Tensor):
                    raise UnfitBlockError(f"a block must give a tensor, found {type(first).__name__}")
                self._pooled[name] = self.rule.pool(first, arguments)
            except UnfitBlockError as error:
                self.unfit = f"{name}: {error}"

        return hook


def block_taps(backbone: nn.Module) -> BlockTaps:
    """The blocks of a network that are asked."""
    rule = block_rule(backbone)
    if rule is None:
        return BlockTaps({}, None, f"none: no rule says where the blocks of {type(backbone).__name__} are")
    matching = [(name, part) for name, part in backbone.named_modules() if re.fullmatch(rule.names, name)]
    if not matching:
        return BlockTaps({}, rule, f"none: no part of {type(backbone).__name__} matches {rule.names!r}")
    positions = depth_positions(len(matching))
    numbers = ", ".join(str(position + 1) for position in positions)
    words = f"blocks {numbers} of {len(matching)}: {rule.words}"
    return BlockTaps(dict(matching[position] for position in positions), rule, words)

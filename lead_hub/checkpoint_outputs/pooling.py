"""One feature vector per image: which part of a backbone's output it is, per family.

The rule of a family is what its own classifier, or the evaluation in its paper, puts its linear layer on. It
never depends on whether the checkpoint has a head: a bare backbone and the classifier that was saved around it
give the same vector. Weights that were not in the checkpoint are never read: a normalisation that the file lacks
is applied without weights, and a learned pooler that the file lacks is replaced by a mean.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel

from lead_hub.errors import CandidateError

READOUT_PREFIXES = ("pooler.", "head.")  # parts after last_hidden_state: only the rules below decide on their use
Output: TypeAlias = Mapping[str, Any]
PIXELS = "pixel_values"  # beside the backbone's outputs: the model input that they are of


@dataclass(frozen=True)
class PoolingRule:
    """How a backbone's output becomes one vector per image.

    Attributes:
        name: the rule in words, for the leaderboard and the cache key.
        pool: from the backbone's output, with its input under PIXELS where there is one, to features;
            `last_hidden_state` and the like may be in low precision.
    """

    name: str
    pool: Callable[[Output], Float[Tensor, "image feature"]]


def _hidden(output: Output) -> Tensor:
    # A mean over many tokens in bfloat16 would lose the digits that tell images apart.
    hidden: Tensor = output["last_hidden_state"]
    return hidden.float()


def _pooler_output(output: Output) -> Tensor:
    pooled: Tensor = output["pooler_output"]
    if math.prod(pooled.shape[2:]) != 1:
        raise CandidateError(
            f"the pooled output must be one vector per image, found shape {tuple(pooled.shape)}: the checkpoint was"
            " configured not to pool",
            stage="extract",
        )
    return pooled.float().flatten(1)


def _class_and_mean_patch(output: Output, registers: int) -> Tensor:
    tokens = _hidden(output)
    return torch.cat([tokens[:, 0], tokens[:, 1 + registers :].mean(dim=1)], dim=1)


CLASS_TOKEN = PoolingRule("class token", lambda output: _hidden(output)[:, 0])
CLASS_AND_DISTILLATION_TOKENS = PoolingRule(
    "class and distillation tokens, concatenated", lambda output: _hidden(output)[:, :2].flatten(1)
)
MEAN_OF_TOKENS = PoolingRule("mean of tokens", lambda output: _hidden(output).mean(dim=1))
MEAN_OVER_SPACE = PoolingRule("mean over space", lambda output: _hidden(output).mean(dim=(-2, -1)))
NORMALISED_MEAN_OVER_SPACE = PoolingRule("mean over space, layer norm of the backbone", _pooler_output)
NORMALISED_CLASS_TOKEN = PoolingRule("class token, layer norm of the backbone", _pooler_output)

MEAN_OVER_SPACE_CHANNELS_LAST = PoolingRule(
    "mean over space, channels last", lambda output: _hidden(output).mean(dim=(1, 2))
)

TIMM_RULE = PoolingRule("timm: input of the classifier", _pooler_output)
# Two classifiers, one on each token, whose answers are averaged; timm's own input of "the" classifier averages the
# tokens, from which neither can be had. The same vector as of these weights in transformers ("deit" below).
TIMM_DISTILLED_RULE = PoolingRule("timm: class and distillation tokens, concatenated", _pooler_output)

FAMILY_RULES: Mapping[str, PoolingRule] = MappingProxyType(
    {
        # The classifiers of these average the last feature map over height and width.
        "resnet": MEAN_OVER_SPACE,
        "regnet": MEAN_OVER_SPACE,
        "bit": MEAN_OVER_SPACE,
        "mobilenet_v1": MEAN_OVER_SPACE,
        "mobilenet_v2": MEAN_OVER_SPACE,
        "mobilevit": MEAN_OVER_SPACE,
        "mobilevitv2": MEAN_OVER_SPACE,
        "pvt_v2": MEAN_OVER_SPACE,
        # The head's batch norm is one affine map per channel, which a linear layer absorbs: no need of the head.
        "swiftformer": MEAN_OVER_SPACE,
        # Average first, then the backbone's own trained layer norm: its `pooler_output`.
        "convnext": NORMALISED_MEAN_OVER_SPACE,
        "convnextv2": NORMALISED_MEAN_OVER_SPACE,
        "dinov3_convnext": NORMALISED_MEAN_OVER_SPACE,
        # The classifiers of these average the tokens of the last stage.
        "swin": MEAN_OF_TOKENS,
        "swinv2": MEAN_OF_TOKENS,
        "donut-swin": MEAN_OF_TOKENS,
        "focalnet": MEAN_OF_TOKENS,
        "levit": MEAN_OF_TOKENS,
        "ijepa": MEAN_OF_TOKENS,
        # The classifier reads the class token after the last layer norm. ViTModel's own `pooler_output` is not it:
        # that is a tanh layer from BERT, which most checkpoints lack. MAE and MSN: linear probe of their papers.
        "vit": CLASS_TOKEN,
        "vit_mae": CLASS_TOKEN,
        "vit_msn": CLASS_TOKEN,
        "pvt": CLASS_TOKEN,
        # DINOv3 has no classifier in transformers; its paper probes the class token.
        "dinov3_vit": CLASS_TOKEN,
        # model_type "deit" is the distilled one: its classifier averages a head on each of the two tokens, a linear
        # map of both. (The undistilled DeiT checkpoints are of model_type "vit".)
        "deit": CLASS_AND_DISTILLATION_TOKENS,
        # CLIP's linear probes read the image embedding before its projection: the class token after the last norm.
        "clip_vision_model": NORMALISED_CLASS_TOKEN,
        "metaclip_2_vision_model": NORMALISED_CLASS_TOKEN,
        "chinese_clip_vision_model": NORMALISED_CLASS_TOKEN,
    }
)

# Where the model itself gives the vector, or gives its output in a form of its own.
OWN_OUTPUT_RULES: Mapping[str, PoolingRule] = MappingProxyType(
    {
        "mlcd": NORMALISED_CLASS_TOKEN,
        "mlcd_vision_model": NORMALISED_CLASS_TOKEN,
        "tipsv2_vision_model": CLASS_TOKEN,
        # Several class tokens, of which the model itself gives the mean, after the last layer norm.
        "pixio": PoolingRule("mean of class tokens", _pooler_output),
        # The class tokens of the teachers that describe whole images, one after the other, as the model itself gives.
        "radio": PoolingRule("summary: class tokens, concatenated", lambda output: output["summary"].float()),
        # Height and width come before the channels; the classifier averages over them.
        "dinat": MEAN_OVER_SPACE_CHANNELS_LAST,
        # Built as a backbone, with its last stage alone; the classifier averages that.
        "hgnet_v2": PoolingRule(
            "mean over space, last stage", lambda output: output["feature_maps"][-1].float().mean(dim=(-2, -1))
        ),
    }
)


def pooling_rule(backbone: PreTrainedModel, untrained: frozenset[str]) -> PoolingRule:
    """The rule of the backbone's family, or the general rule for a family not known by name.

    Args:
        backbone: the bare model, without a classification head.
        untrained: names of its weights that were not in the checkpoint.
    """
    family = str(backbone.config.model_type)
    if family in FAMILY_RULES:
        return FAMILY_RULES[family]
    if family in OWN_OUTPUT_RULES:
        return OWN_OUTPUT_RULES[family]
    if family in _RULES_BY_SETTINGS:
        return _RULES_BY_SETTINGS[family](backbone, untrained)
    return _general_rule(backbone, untrained)


def _general_rule(backbone: PreTrainedModel, untrained: frozenset[str]) -> PoolingRule:
    """Of a family not known by name: its own trained pooler, else mean over space, its class token or mean of tokens.

    What the tokens are is told by their number, against that of the patches, and by the tokens in the embeddings.
    Where these do not add up, nothing is guessed.
    """
    if _has_trained_pooler(backbone, untrained):
        return PoolingRule("general rule: the model's own pooler", _pooler_output)
    special = _special_tokens(backbone)

    def pool(output: Output) -> Tensor:
        hidden = output.get("last_hidden_state")
        if isinstance(hidden, Tensor) and hidden.ndim == 4:
            return hidden.float().mean(dim=_space_of(hidden, backbone))
        if isinstance(hidden, Tensor) and hidden.ndim == 3:
            n_patches = _count_patches(backbone, output)
            _check_tokens(hidden.shape[1], n_patches, special=special, family=type(backbone).__name__)
            return hidden[:, 0].float() if special else hidden.float().mean(dim=1)
        found = f"shape {tuple(hidden.shape)}" if isinstance(hidden, Tensor) else f"only {sorted(output)}"
        raise CandidateError(
            "the backbone's last_hidden_state must be [image, channel, height, width] or [image, token, feature],"
            f" found {found} from {type(backbone).__name__}; this family needs a rule of its own",
            stage="extract",
        )

    tokens = "class token" if special else "mean of tokens"
    return PoolingRule(f"general rule: mean over space, or {tokens}", pool)


def _has_trained_pooler(backbone: PreTrainedModel, untrained: frozenset[str]) -> bool:
    """Whether a learned pooler came with the checkpoint; BERT's, which ends in a tanh, was never made for images."""
    for prefix in READOUT_PREFIXES:
        part = getattr(backbone, prefix.removesuffix("."), None)
        if not isinstance(part, nn.Module) or not any(True for _ in part.parameters()):
            continue
        is_berts = any(isinstance(module, nn.Tanh) for module in part.modules())
        if not is_berts and not any(name.startswith(prefix) for name in untrained):
            return True
    return False


_CLASS_TOKENS = ("cls_token", "class_token", "class_embedding")
_OTHER_TOKENS = ("register_tokens", "register_token", "registers", "distillation_token", "dist_token", "storage_tokens")


def _special_tokens(backbone: PreTrainedModel) -> Mapping[str, int]:
    """Learned tokens that the embeddings put beside the patches, by name: how many of each.

    A token of that name elsewhere, as in a pooling head or a decoder, is none of them.
    """
    found: dict[str, int] = {}
    for name, weight in backbone.named_parameters():
        *place, last = name.split(".")
        in_embeddings = not place or place[0].startswith(("embed", "patch_embed"))
        if in_embeddings and last in _CLASS_TOKENS + _OTHER_TOKENS:
            found[last] = weight.numel() // weight.shape[-1]
    return found


def _count_patches(backbone: PreTrainedModel, output: Output) -> int | None:
    """How many patches the model cuts its input into, None where its config does not tell."""
    patch, pixels = getattr(backbone.config, "patch_size", None), output.get(PIXELS)
    size = pixels.shape[-2:] if isinstance(pixels, Tensor) else getattr(backbone.config, "image_size", None)
    if patch is None or size is None:
        return None
    (patch_height, patch_width), (height, width) = (
        (each, each) if isinstance(each, int) else tuple(each)[-2:] for each in (patch, size)
    )
    return int(height // patch_height) * int(width // patch_width)


def _check_tokens(n_tokens: int, n_patches: int | None, *, special: Mapping[str, int], family: str) -> None:
    n_class = sum(number for name, number in special.items() if name in _CLASS_TOKENS)
    if special:
        adds_up = n_class == 1 and n_patches is not None and n_tokens == n_patches + sum(special.values())
    else:
        adds_up = n_patches is None or n_tokens <= n_patches  # fewer, where a later stage merges them
    if not adds_up:
        raise CandidateError(
            f"tokens must be one for each patch and at most one class token before them, {family} gives {n_tokens} for"
            f" {n_patches or 'an unknown number of'} patches and learned {dict(special) or 'no'} tokens: which of them"
            " describe the image is not clear, this family needs a rule of its own",
            stage="extract",
        )


def _space_of(feature_map: Tensor, backbone: PreTrainedModel) -> tuple[int, int]:
    """The axes of height and width: the other one, of channels, has the width that the config names."""
    config, (_, first, middle, last) = backbone.config, feature_map.shape
    named = [getattr(config, name, None) for name in ("hidden_size", "hidden_sizes", "embed_dim", "embed_dims")]
    widths = {each for value in named for each in (value if isinstance(value, (list, tuple)) else [value])}
    if (last in widths) != (first in widths):
        return (1, 2) if last in widths else (2, 3)
    if (first == middle) != (middle == last):  # as square as the image is
        return (1, 2) if first == middle else (2, 3)
    raise CandidateError(
        f"a feature map must have one axis of channels, {type(backbone).__name__} gives {tuple(feature_map.shape)} and"
        " its config does not tell which: this family needs a rule of its own",
        stage="extract",
    )


def _dinov2_rule(backbone: PreTrainedModel, _untrained: frozenset[str]) -> PoolingRule:
    # What the family's classifier reads. Registers hold no place of the image and are left out, as there.
    registers = int(getattr(backbone.config, "num_register_tokens", 0))
    return PoolingRule(
        "class token and mean of patch tokens, concatenated",
        lambda output: _class_and_mean_patch(output, registers),
    )


def _beit_rule(backbone: PreTrainedModel, untrained: frozenset[str]) -> PoolingRule:
    # With mean pooling the last norm sits in the pooler, which pretraining-only checkpoints lack.
    if not backbone.config.use_mean_pooling:
        return CLASS_TOKEN
    norm = _trained_norm(backbone, "pooler.layernorm", untrained)
    width, epsilon = int(backbone.config.hidden_size), float(backbone.config.layer_norm_eps)

    def pool(output: Output) -> Tensor:
        mean = _hidden(output)[:, 1:].mean(dim=1)
        return norm(mean).float() if norm else nn.functional.layer_norm(mean, (width,), eps=epsilon)

    return PoolingRule(f"mean of patch tokens, layer norm {'trained' if norm else 'without weights'}", pool)


def _hiera_rule(backbone: PreTrainedModel, untrained: frozenset[str]) -> PoolingRule:
    norm = _trained_norm(backbone, "pooler.layernorm", untrained)
    epsilon = float(backbone.config.layer_norm_eps)

    def pool(output: Output) -> Tensor:
        mean = _hidden(output).mean(dim=1)
        return norm(mean).float() if norm else nn.functional.layer_norm(mean, mean.shape[1:], eps=epsilon)

    return PoolingRule(f"mean of tokens, layer norm {'trained' if norm else 'without weights'}", pool)


def _trained_norm(backbone: PreTrainedModel, name: str, untrained: frozenset[str]) -> nn.Module | None:
    norm = dict(backbone.named_modules()).get(name)
    weights = {f"{name}.{weight}" for weight, _ in norm.named_parameters()} if norm is not None else set()
    return norm if weights and not weights & untrained else None


def _aimv2_rule(backbone: PreTrainedModel, untrained: frozenset[str]) -> PoolingRule:
    # The attention pooling head where the checkpoint was trained with one; its class token lives in that head alone.
    if _has_trained_pooler(backbone, untrained):
        return PoolingRule("attention pooling head", _pooler_output)
    return MEAN_OF_TOKENS


def _internvl_rule(backbone: PreTrainedModel, _untrained: frozenset[str]) -> PoolingRule:
    # As in BEiT, whose settings these are, but that with mean pooling there is no last norm at all.
    if not backbone.config.use_mean_pooling:
        return CLASS_TOKEN
    return PoolingRule("mean of patch tokens", lambda output: _hidden(output)[:, 1:].mean(dim=1))


def _siglip_rule(backbone: PreTrainedModel, untrained: frozenset[str]) -> PoolingRule:
    # The attention pooling head is the image embedding that SigLIP was trained and evaluated by.
    has_head = any(name.startswith("head.") for name, _ in backbone.named_parameters())
    if has_head and not any(name.startswith("head.") for name in untrained):
        return PoolingRule("attention pooling head", _pooler_output)
    if backbone.config.model_type == "siglip2_vision_model":
        raise CandidateError(
            "a SigLIP 2 tower must bring its trained attention pooling head, found none: a mean of its tokens would"
            " count padding; use the full checkpoint",
            stage="load",
        )
    return MEAN_OF_TOKENS


def _efficientnet_rule(backbone: PreTrainedModel, _untrained: frozenset[str]) -> PoolingRule:
    if backbone.config.pooling_type == "max":
        return PoolingRule("maximum over space", lambda output: _hidden(output).amax(dim=(-2, -1)))
    return MEAN_OVER_SPACE


def _segformer_rule(backbone: PreTrainedModel, _untrained: frozenset[str]) -> PoolingRule:
    return MEAN_OVER_SPACE if backbone.config.reshape_last_stage else MEAN_OF_TOKENS


def _poolformer_rule(_backbone: PreTrainedModel, _untrained: frozenset[str]) -> PoolingRule:
    # The classifier averages a group norm of one group. Its weights belong to the head and scale each channel of
    # the average, which a linear layer absorbs: without them base and classifier give the same vector.
    def pool(output: Output) -> Tensor:
        return nn.functional.group_norm(_hidden(output), num_groups=1).mean(dim=(-2, -1))

    return PoolingRule("group norm without weights, mean over space", pool)


def _cvt_rule(backbone: PreTrainedModel, _untrained: frozenset[str]) -> PoolingRule:
    # The classifier's layer norm belongs to the head; without its weights, as for PoolFormer.
    if not backbone.config.cls_token[-1]:
        return MEAN_OVER_SPACE

    def pool(output: Output) -> Tensor:
        token: Tensor = output["cls_token_value"].float().flatten(1)
        return nn.functional.layer_norm(token, token.shape[1:])

    return PoolingRule("class token, layer norm without weights", pool)


_RULES_BY_SETTINGS: Mapping[str, Callable[[PreTrainedModel, frozenset[str]], PoolingRule]] = MappingProxyType(
    {
        "aimv2_vision_model": _aimv2_rule,
        "internvl_vision": _internvl_rule,
        "beit": _beit_rule,
        "data2vec-vision": _beit_rule,
        "cvt": _cvt_rule,
        "dinov2": _dinov2_rule,
        "dinov2_with_registers": _dinov2_rule,
        "efficientnet": _efficientnet_rule,
        "hiera": _hiera_rule,
        "poolformer": _poolformer_rule,
        "segformer": _segformer_rule,
        "siglip_vision_model": _siglip_rule,
        "siglip2_vision_model": _siglip_rule,
    }
)

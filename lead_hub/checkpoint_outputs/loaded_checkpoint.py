"""A checkpoint folder -> a model that gives one feature vector per image, and its head's logits if it has one.

Which of its weights really came from the checkpoint, and which were made up, is judged by transformers' own report.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, UInt8
from timm.models.deit import VisionTransformerDistilled
from torch import Tensor, nn
from transformers import (
    BaseImageProcessor,
    Data2VecVisionModel,
    HGNetV2Backbone,
    PreTrainedConfig,
    PreTrainedModel,
    Siglip2VisionModel,
    ViTMAEModel,
)

from lead_hub.checkpoint_files import check_weights
from lead_hub.checkpoint_outputs.checkpoint_folder import (
    LOAD_ERRORS,
    model_class,
    quiet_transformers,
    read_config,
)
from lead_hub.checkpoint_outputs.declared_sizes import HeldWeights, bounded_build, held_weights
from lead_hub.checkpoint_outputs.image_preparation import load_image_processor, prepare_images, unpacked_patches
from lead_hub.checkpoint_outputs.pooling import (
    PIXELS,
    READOUT_PREFIXES,
    TIMM_DISTILLED_RULE,
    TIMM_RULE,
    PoolingRule,
    pooling_rule,
)
from lead_hub.errors import CandidateError

# Follow from the config, or are read only while pretraining or training: whether they are there changes no feature.
_HARMLESS = re.compile(
    r"(^|\.)(mask_token|position_ids|num_batches_tracked|relative_position_index|attention_bias_idxs"
    r"|relative_coords_table|attn_mask|inv_freq)$"
)
_NAMES_SHOWN = 3
_TIMM_PREFIX = "timm_model."


@dataclass(frozen=True, eq=False)
class LoadedWeights:
    """What of a model is the checkpoint's.

    Attributes:
        backbone: the part that gives features, all of it from the checkpoint but for `untrained`.
        untrained: names within the backbone of readout weights (poolers) that the checkpoint lacks.
        head_is_trained: whether there is a classification head and all of its weights came from the checkpoint.
    """

    backbone: nn.Module
    untrained: frozenset[str]
    head_is_trained: bool


def sort_weights(
    model: PreTrainedModel, report: Mapping[str, Collection[Any]], held: HeldWeights, folder: Path
) -> LoadedWeights:
    """Judge transformers' loading report.

    Raises:
        CandidateError: a backbone weight is missing or left over, or any weight has another shape.
    """
    _refuse_mismatches(report, folder)
    backbone, prefix = _backbone(model)
    _refuse_leftovers(model, backbone, report["unexpected_keys"], held=held, folder=folder)
    head = _head_names(model, prefix)
    missing = {name for name in report["missing_keys"] if not _HARMLESS.search(name)}
    untrained = {name.removeprefix(prefix) for name in missing - head}
    lost = {name for name in untrained if not name.startswith(READOUT_PREFIXES)}
    if lost:
        of_all = sum(name.startswith(prefix) and name not in head for name in model.state_dict())
        raise CandidateError(
            f"all weights of the backbone must be in the checkpoint, {len(lost)} of {of_all} are not in {folder}:"
            f" {_shown(lost)}; the file belongs to another architecture or was saved in part",
            stage="load",
        )
    return LoadedWeights(backbone, frozenset(untrained), head_is_trained=bool(head) and not missing & head)


def _refuse_mismatches(report: Mapping[str, Collection[Any]], folder: Path) -> None:
    wrong = [f"{name} {tuple(found)} for {tuple(wanted)}" for name, found, wanted in report["mismatched_keys"]]
    wrong += [str(message) for message in report["error_msgs"]]
    if wrong:
        raise CandidateError(
            f"the weights must have the shapes that config.json asks for, {len(wrong)} do not in {folder}:"
            f" {_shown(wrong)}; config and weights are of different checkpoints",
            stage="load",
        )


def _refuse_leftovers(
    model: PreTrainedModel, backbone: nn.Module, leftovers: Collection[str], *, held: HeldWeights, folder: Path
) -> None:
    """Refuse weights of the backbone's own parts that it does not use: it would be another network than was trained.

    What stands beside the backbone (pretraining heads, another tower, averages of the weights) is nobody's loss.
    """
    in_file = held.names or frozenset(leftovers)
    if twice := [name for name in in_file if f"{model.base_model_prefix}.{name}" in in_file]:
        # transformers takes the one for the other, and which of them it ends with depends on their order.
        raise CandidateError(
            f"each weight must be in the file once, {len(twice)} are there with and without the prefix"
            f" {model.base_model_prefix!r} in {folder}: {_shown(twice)}; save the model again with save_pretrained",
            stage="load",
        )
    prefixes = (_TIMM_PREFIX, f"{model.base_model_prefix}.", "vision_model.")
    is_prefixed = any(name.startswith(prefixes) for name in in_file)
    # In a file whose backbone has a prefix, what has none is outside of it; transformers reports some without it.
    inside = [name for name in leftovers if not is_prefixed or name.startswith(prefixes) or name not in in_file]
    own = {name.removeprefix(next(filter(name.startswith, prefixes), "")) for name in inside}
    parts = {name for name, _ in backbone.named_children()}
    lost = {name for name in own if name.split(".")[0] in parts and not _HARMLESS.search(name)}
    lost -= {name for name in lost if name.startswith((*READOUT_PREFIXES, *_classifier_names(backbone)))}
    if held.names is None:  # a pickle: of its layers alone it is sure that they are the backbone's
        lost = {name for name in lost if re.search(r"\.\d+\.", name)}
    if lost:
        raise CandidateError(
            f"the backbone must use all of its weights in the file, {len(lost)} are left over in {folder}:"
            f" {_shown(lost)}; config.json describes another network, perhaps with fewer layers",
            stage="load",
        )


def _classifier_names(backbone: nn.Module) -> tuple[str, ...]:
    """Where a timm network's classifier is, also when it is built without."""
    named = (getattr(backbone, "pretrained_cfg", None) or {}).get("classifier") or ()
    return tuple(f"{name}." for name in ((named,) if isinstance(named, str) else named))


def _backbone(model: PreTrainedModel) -> tuple[nn.Module, str]:
    """The model without its head, and the prefix of its weights' names."""
    if model.config.model_type == "timm_wrapper":
        return cast(nn.Module, model.timm_model), _TIMM_PREFIX
    if not type(model).__name__.endswith(("ForImageClassification", "ForImageClassificationWithTeacher")):
        return model, ""
    inner = [(name, child) for name, child in model.named_children() if isinstance(child, PreTrainedModel)]
    if len(inner) != 1:
        raise CandidateError(
            f"a classifier must hold one bare backbone, {type(model).__name__} holds {len(inner)}: this family is not"
            " supported",
            stage="load",
        )
    return inner[0][1], f"{inner[0][0]}."


def _head_names(model: PreTrainedModel, prefix: str) -> set[str]:
    if model.config.model_type != "timm_wrapper":
        return {name for name in model.state_dict() if not name.startswith(prefix)}
    found = cast(Any, model.timm_model).get_classifier()
    classifiers = found if isinstance(found, (tuple, list)) else [found]
    weights = {id(weight) for part in classifiers for weight in part.parameters()}
    return {name for name, weight in model.named_parameters() if id(weight) in weights}


def _shown(names: Collection[str]) -> str:
    shown = ", ".join(sorted(names)[:_NAMES_SHOWN])
    return shown + (", ..." if len(names) > _NAMES_SHOWN else "")


# What a model raises on pixels it was not made for, apart from torch's own RuntimeError.
_FORWARD_ERRORS = (ValueError, LookupError, TypeError, AttributeError, AssertionError, ArithmeticError)


@dataclass(frozen=True, eq=False)
class LoadedCheckpoint:
    """A checkpoint in memory, in float32 and evaluation mode, without gradients.

    Attributes:
        model: all that is run, the trained head included; move this one between devices.
        backbone: the part of it that gives the features; the model itself without a trained head.
        image_processor: the checkpoint's own.
        family: model_type of the config, or "timm:" and timm's name of the architecture.
        rule: how the backbone's output becomes one vector.
        source_classes: names of the trained head's classes in order, None without such a head.
        parameters: number of weights of `model`.
    """

    model: nn.Module
    backbone: nn.Module
    image_processor: BaseImageProcessor
    family: str
    rule: PoolingRule
    source_classes: tuple[str, ...] | None
    parameters: int

    @property
    def pooling(self) -> str:
        """The rule in words."""
        return self.rule.name

    @property
    def processor(self) -> str:
        """Class name of the image processor."""
        return type(self.image_processor).__name__

    def prepare(self, images: Sequence[UInt8[np.ndarray, "_height _width 3"]]) -> Float[Tensor, "image ..."]:
        """RGB images of any sizes -> the model's input, by the checkpoint's own image processor."""
        return prepare_images(self.image_processor, images)

    @torch.inference_mode()
    def forward(
        self, pixel_values: Float[Tensor, "image ..."]
    ) -> tuple[Float[Tensor, "image feature"], Float[Tensor, "image source_class"] | None]:
        """Features and the trained head's logits, both float32, from one pass, without gradients.

        Raises:
            CandidateError: the model does not take what its image processor makes (stage "extract").
            RuntimeError: as torch raised it, so that the caller can tell that memory ran out.
        """
        return self.outputs(pixel_values)

    def outputs(
        self, pixel_values: Float[Tensor, "image ..."]
    ) -> tuple[Float[Tensor, "image feature"], Float[Tensor, "image source_class"] | None]:
        """As `forward`, with gradients where the caller has turned them on: for training."""
        try:
            output, logits = self._outputs(pixel_values)
            features = self.rule.pool({**output, PIXELS: pixel_values})
        except _FORWARD_ERRORS as error:
            raise CandidateError(
                f"{type(self.model).__name__} must take the pixels that its own {self.processor} makes, found"
                f" {tuple(pixel_values.shape)} and {type(error).__name__}: {error}; do the sizes in"
                " preprocessor_config.json and config.json agree?",
                stage="extract",
            ) from error
        if features.ndim != 2 or len(features) != len(pixel_values):
            raise CandidateError(
                f"{self.pooling} must give [image, feature], found {tuple(features.shape)} for {len(pixel_values)}"
                f" images of {self.family}",
                stage="extract",
            )
        return features.float(), None if logits is None else logits.float()

    def _outputs(self, pixel_values: Tensor) -> tuple[Mapping[str, Any], Tensor | None]:
        if self.family.startswith("timm:"):
            return _timm_outputs(self.backbone, pixel_values, with_logits=self.source_classes is not None)
        seen: list[Mapping[str, Any]] = []
        handle = self.backbone.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
        try:
            output = self.model(**_inputs(self.backbone, pixel_values))
        finally:
            handle.remove()
        return seen[0], None if self.model is self.backbone else output.logits


def _timm_outputs(timm_model: Any, pixels: Tensor, *, with_logits: bool) -> tuple[Mapping[str, Any], Tensor | None]:
    hidden = timm_model.forward_features(pixels)
    if isinstance(timm_model, VisionTransformerDistilled):
        before_classifier = hidden[:, :2].flatten(1)
    else:
        before_classifier = timm_model.forward_head(hidden, pre_logits=True)
    logits = timm_model.forward_head(hidden) if with_logits else None
    return {"pooler_output": before_classifier}, logits


def _rule(weights: LoadedWeights) -> PoolingRule:
    if isinstance(weights.backbone, PreTrainedModel):
        return pooling_rule(weights.backbone, weights.untrained)
    return TIMM_DISTILLED_RULE if isinstance(weights.backbone, VisionTransformerDistilled) else TIMM_RULE


def _inputs(backbone: nn.Module, pixels: Tensor) -> dict[str, Tensor]:
    if isinstance(backbone, Siglip2VisionModel):
        return unpacked_patches(pixels)
    if isinstance(backbone, ViTMAEModel):  # an order of its patches, which it otherwise draws at random
        patches = backbone.embeddings.patch_embeddings.num_patches
        return {"pixel_values": pixels, "noise": torch.arange(patches, device=pixels.device).expand(len(pixels), -1)}
    return {"pixel_values": pixels}


def load_checkpoint(folder: Path, *, allow_pickle: bool = False) -> LoadedCheckpoint:
    """Load a local checkpoint folder: config.json, weights and image processor. Runs no remote code.

    Args:
        folder: as written by save_pretrained, or a timm checkpoint as on the Hub.
        allow_pickle: also read PyTorch pickles, with weights_only; otherwise safetensors only.

    Raises:
        CandidateError: with stage "load" and the reason, whatever is wrong with the folder.
    """
    with quiet_transformers():
        config = read_config(folder)
        check_weights(folder, allow_pickle=allow_pickle)
        built = model_class(config)
        image_processor = load_image_processor(folder)
        model, weights = _load_weights(built, config, folder, allow_pickle=allow_pickle)
    is_timm = config.model_type == "timm_wrapper"
    return LoadedCheckpoint(
        model=model if weights.head_is_trained or is_timm else weights.backbone,
        backbone=weights.backbone,
        image_processor=image_processor,
        family=f"timm:{config.architecture}" if is_timm else str(config.model_type),
        rule=_rule(weights),
        source_classes=_class_names(config) if weights.head_is_trained else None,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
    )


def _load_weights(
    built: type[PreTrainedModel], config: PreTrainedConfig, folder: Path, *, allow_pickle: bool
) -> tuple[PreTrainedModel, LoadedWeights]:
    try:
        held = held_weights(folder)
        with bounded_build(held, folder):
            # Cast: its signature does not say that with output_loading_info there are two results.
            model, report = cast(Any, built).from_pretrained(
                folder,
                config=_settings(built, config),
                dtype=torch.float32,
                use_safetensors=None if allow_pickle else True,
                weights_only=True,
                local_files_only=True,
                # Reported by us with names and shapes, where transformers would only point at its log.
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                **({"add_pooling_layer": True} if built is Data2VecVisionModel else {}),
            )
    except LOAD_ERRORS as error:
        raise CandidateError(
            f"the weights must be whole and fit {built.__name__}, in {folder} they do not:"
            f" {type(error).__name__}: {error}; download them again",
            stage="load",
        ) from error
    return model.eval().requires_grad_(requires_grad=False), sort_weights(model, report, held, folder)


def _settings(built: type[PreTrainedModel], config: PreTrainedConfig) -> PreTrainedConfig:
    wanted = cast(type[PreTrainedConfig], built.config_class)
    settings = config if isinstance(config, wanted) else cast(PreTrainedConfig, config.vision_config)
    settings.return_dict = True
    if built is HGNetV2Backbone:
        settings.out_features = [settings.stage_names[-1]]
    settings.output_hidden_states = False
    settings.output_attentions = False
    if built is ViTMAEModel:
        settings.mask_ratio = 0.0
    return settings


def _class_names(config: PreTrainedConfig) -> tuple[str, ...]:
    names = cast(dict[int, str], config.id2label)
    return tuple(str(names.get(index, f"LABEL_{index}")) for index in range(cast(int, config.num_labels)))

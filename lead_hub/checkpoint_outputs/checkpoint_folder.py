"""What kind of checkpoint a local folder holds, judged before any weight is read."""

import inspect
import logging
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import timm
import transformers
from huggingface_hub.errors import StrictDataclassError
from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars
from safetensors import SafetensorError
from transformers import CONFIG_MAPPING, MODEL_MAPPING, AutoConfig, PreTrainedConfig, PreTrainedModel
from transformers.models.auto import modeling_auto
from transformers.utils import logging as transformers_logging

from lead_hub.checkpoint_files import read_json
from lead_hub.checkpoint_outputs.declared_sizes import check_declared
from lead_hub.errors import CandidateError

_one_at_a_time = threading.RLock()  # the switches are global: a second thread would put them back under the first


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence its loading report and progress bar: what matters of them becomes CandidateError. Put back after."""
    with _one_at_a_time:
        reports: Any = transformers_logging  # partly untyped
        verbosity, bars, no_hub_bars = (
            reports.get_verbosity(),
            reports.is_progress_bar_enabled(),
            are_progress_bars_disabled(),
        )
        reports.set_verbosity(logging.CRITICAL)
        if bars:
            reports.disable_progress_bar()
        try:
            yield
        finally:
            reports.set_verbosity(verbosity)
            if bars:
                reports.enable_progress_bar()
            if no_hub_bars:  # transformers switches the bars of huggingface_hub along with its own
                disable_progress_bars()


# All that config files and weights from strangers have been seen to raise inside transformers, timm, safetensors.
LOAD_ERRORS: tuple[type[Exception], ...] = (
    OSError,
    EOFError,
    ValueError,  # JSON and Unicode errors are among its subclasses
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    ImportError,
    RuntimeError,
    UnpicklingError,
    SafetensorError,
    StrictDataclassError,
)

PATCH_INPUTS = ("pixel_attention_mask", "spatial_shapes")  # that SigLIP 2's image processor makes beside the pixels
# A full two-tower checkpoint gives its vision tower; the text tower is never built.
VISION_TOWERS = {
    "clip": "CLIPVisionModel",
    "metaclip_2": "MetaClip2VisionModel",
    "chinese_clip": "ChineseCLIPVisionModel",
    "siglip": "SiglipVisionModel",
    "siglip2": "Siglip2VisionModel",
    "metaclip_2_vision_model": "MetaClip2VisionModel",  # a bare tower that transformers' own table lacks
}
# Its classifier holds no bare model that gives the vector: the head is left out.
_ONLY_AS_BACKBONES = {"hgnet_v2": "HGNetV2Backbone"}
# The tables of transformers that tell what else a model may be for; an older version lacks some.
_OTHER_TASKS: Mapping[str, tuple[Mapping[str, str | tuple[str, ...]], ...]] = {
    task: tuple(getattr(modeling_auto, f"MODEL_FOR_{name}_MAPPING_NAMES", {}) for name in names)
    for task, names in {
        "detector": ("OBJECT_DETECTION", "ZERO_SHOT_OBJECT_DETECTION"),
        "segmenter": (
            *("IMAGE_SEGMENTATION", "SEMANTIC_SEGMENTATION", "INSTANCE_SEGMENTATION", "UNIVERSAL_SEGMENTATION"),
            "MASK_GENERATION",
        ),
        "depth estimator": ("DEPTH_ESTIMATION",),
        "video model": ("VIDEO_CLASSIFICATION",),
        "text recogniser": ("TEXT_RECOGNITION", "TABLE_RECOGNITION"),
        "keypoint model": ("KEYPOINT_DETECTION", "KEYPOINT_MATCHING", "POSE_ESTIMATION"),
        "model from image to image": ("IMAGE_TO_IMAGE", "IMAGE_MATTING", "NORMAL_ESTIMATION", "POINTMAP_ESTIMATION"),
        "model that writes": ("IMAGE_TEXT_TO_TEXT", "VISUAL_QUESTION_ANSWERING"),
    }.items()
}
# Of version 4, deprecated there and gone since; those for images first.
_REMOVED = frozenset(
    {
        *("deta", "efficientformer", "nat", "tvlt", "van", "vit_hybrid"),
        *(
            "bort",
            "ernie_m",
            "gptsan-japanese",
            "graphormer",
            "jukebox",
            "mctct",
            "mega",
            "mmbt",
            "nezha",
            "open-llama",
        ),
        *(
            "qdqbert",
            "realm",
            "retribert",
            "speech_to_text_2",
            "trajectory_transformer",
            "transfo-xl",
            "xlm-prophetnet",
        ),
    }
)
_LAST_WITH_REMOVED = "4.57"
# timm.create_model takes these from a config's `model_args`: they would read other files than this folder's, or give no
# model that makes one vector of an image.
_FORBIDDEN_TIMM_ARGUMENTS = {
    *("checkpoint_path", "cache_dir", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay"),
    *("pretrained_model_args", "pretrained_filter_fn", "model_name", "features_only", "feature_cfg"),
}
RGB_CHANNELS = 3


def read_config(folder: Path) -> PreTrainedConfig:
    """The checkpoint's configuration, known to transformers without remote code.

    Raises:
        CandidateError: missing, broken, needing remote code, or of an architecture that is not installed.
    """
    declared = read_json(folder, "config.json")
    check_declared(declared, folder)
    model_type = declared.get("model_type")
    if "auto_map" in declared and not _is_known(model_type):
        raise CandidateError(
            f"a checkpoint must load without remote code, which lead-hub never runs; {folder} is of model_type"
            f" {model_type!r} and needs {_shown_auto_map(declared['auto_map'])} from its own Python files: convert it"
            " to a transformers or timm architecture",
            stage="load",
        )
    try:
        config: PreTrainedConfig = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except LOAD_ERRORS as error:
        raise CandidateError(
            f"config.json must describe a model of transformers {transformers.__version__} or timm"
            f" {timm.__version__}, found model_type {model_type!r} in {folder}: {_why_not_read(model_type, error)}",
            stage="load",
        ) from error
    if getattr(config, "quantization_config", None):
        raise CandidateError(
            f"weights must be plain numbers, those in {folder} are quantised: use the checkpoint they were made from",
            stage="load",
        )
    if config.model_type == "timm_wrapper":
        _check_timm(config, folder)
        config.model_args = _timm_arguments(config, declared, folder)
    return config


def _is_known(model_type: object) -> bool:
    return isinstance(model_type, str) and model_type in CONFIG_MAPPING


def _shown_auto_map(auto_map: object) -> list[str] | str:
    return sorted(map(str, auto_map)) if isinstance(auto_map, dict) else repr(auto_map)


def _why_not_read(model_type: object, error: Exception) -> str:
    if _is_known(model_type):
        return f"{error}; correct that setting, or download the file again"
    if isinstance(model_type, str) and model_type in _REMOVED:
        return (
            f"transformers has removed it after version {_LAST_WITH_REMOVED}, and no newer one has it: use a timm"
            " checkpoint of that architecture, if there is one"
        )
    if isinstance(model_type, str) and model_type:
        return "neither of them knows it: check the spelling; if it is a newer one, update transformers"
    return "it names none: save the model with save_pretrained"


def _check_timm(config: PreTrainedConfig, folder: Path) -> None:
    # An architecture such as "hf-hub:org/name" would make timm download another checkpoint's configuration.
    if not timm.is_model(config.architecture):
        raise CandidateError(
            f"the timm architecture must be one that timm {timm.__version__} has, found {config.architecture!r} in"
            f" {folder}: a newer timm may know it",
            stage="load",
        )
    if forbidden := sorted(_FORBIDDEN_TIMM_ARGUMENTS & set(config.model_args or {})):
        raise CandidateError(
            f"model_args must only describe the architecture, found {forbidden} in {folder}", stage="load"
        )


def _timm_arguments(config: PreTrainedConfig, declared: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The arguments that timm stored to build the network again, but for what transformers passes itself.

    Newer versions of timm store the number of classes and of input channels among them.
    """
    arguments = {name: value for name, value in (config.model_args or {}).items() if value is not None}
    n_classes = arguments.pop("num_classes", None)
    declared_classes = declared.get("num_classes", n_classes)
    if n_classes is not None and n_classes != declared_classes:
        raise CandidateError(
            f"config.json must give one number of classes, found num_classes {declared_classes} and {n_classes} in its"
            f" model_args in {folder}: save the model again with timm",
            stage="load",
        )
    if (channels := arguments.get("in_chans", 3)) != RGB_CHANNELS:
        raise CandidateError(
            f"the network must take RGB images, that in {folder} takes {channels} channels: use one that was trained on"
            " colour",
            stage="load",
        )
    return arguments


def model_class(config: PreTrainedConfig) -> type[PreTrainedModel]:
    """The class to build: the family's classifier where the config names it, else its bare backbone.

    Raises:
        CandidateError: not a model from one image to one description of it.
    """
    named = config.architectures[0] if config.architectures else None
    if config.model_type == "timm_wrapper":
        bare = named == "TimmWrapperModel" or config.num_labels == 0
        return transformers.TimmWrapperModel if bare else transformers.TimmWrapperForImageClassification
    if config.model_type in _ONLY_AS_BACKBONES:
        return _vision_class(getattr(transformers, _ONLY_AS_BACKBONES[config.model_type]), config)
    classifiers = modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES.get(config.model_type, ())
    if named and named in ((classifiers,) if isinstance(classifiers, str) else classifiers):
        return _vision_class(getattr(transformers, named), config)
    if config.model_type in VISION_TOWERS:
        return _vision_class(getattr(transformers, VISION_TOWERS[config.model_type]), config)
    _refuse_other_tasks(config, named)
    if type(config) not in MODEL_MAPPING:
        raise CandidateError(
            f"transformers must have a bare model of model_type {config.model_type!r}, it has none; found"
            f" architecture {named}",
            stage="load",
        )
    only: object = MODEL_MAPPING[type(config)]
    name = str(getattr(only, "__name__", ""))
    if re.search(r"For[A-Z]", name):
        raise CandidateError(
            f"transformers must have a bare model of model_type {config.model_type!r}, it has only {name}",
            stage="load",
        )
    return _vision_class(only, config)


def _vision_class(found: object, config: PreTrainedConfig) -> type[PreTrainedModel]:
    # A few configs map to a tuple of classes; none of those is a vision model.
    model = found if isinstance(found, type) and issubclass(found, PreTrainedModel) else None
    if model is None or model.main_input_name != "pixel_values" or config.is_encoder_decoder:
        raise CandidateError(
            f"the model must go from the pixels of one image to a description of it; model_type {config.model_type!r}"
            f" takes {getattr(found, 'main_input_name', 'other inputs')} and is no such vision model",
            stage="load",
        )
    inputs = inspect.signature(model.forward).parameters.values()
    asked_for = [each.name for each in inputs if each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD]
    if others := [name for name in asked_for if name not in {"self", "pixel_values", *PATCH_INPUTS}]:
        raise CandidateError(
            f"the model must need nothing but the pixels of one image; {model.__name__} of model_type"
            f" {config.model_type!r} also asks for {', '.join(others)}",
            stage="load",
        )
    return model


def _refuse_other_tasks(config: PreTrainedConfig, named: str | None) -> None:
    classifies = config.model_type in modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES
    for task, mappings in _OTHER_TASKS.items():
        of_this_task = {_first(mapping[config.model_type]) for mapping in mappings if config.model_type in mapping}
        # Families such as SegFormer also classify: only the architecture tells what this checkpoint is.
        if named in of_this_task or (of_this_task and not classifies):
            raise CandidateError(
                f"the checkpoint must be a classifier or a bare backbone, found a {task}: {named or 'no architecture'}"
                f" of model_type {config.model_type!r}; use the backbone it was made from",
                stage="load",
            )


def _first(names: str | tuple[str, ...]) -> str:
    return names if isinstance(names, str) else names[0]

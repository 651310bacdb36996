"""What kind of checkpoint a local folder holds, judged before any weight is read."""

import json
import logging
import threading
from collections.abc import Iterator
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

# A full two-tower checkpoint gives its vision tower; the text tower is never built.
VISION_TOWERS = {
    "clip": "CLIPVisionModel",
    "metaclip_2": "MetaClip2VisionModel",
    "chinese_clip": "ChineseCLIPVisionModel",
    "siglip": "SiglipVisionModel",
    "siglip2": "Siglip2VisionModel",
    "metaclip_2_vision_model": "MetaClip2VisionModel",  # a bare tower that transformers' own table lacks
}
_INDEX = "model.safetensors.index.json"
_OTHER_TASKS = {
    "detector": (
        modeling_auto.MODEL_FOR_OBJECT_DETECTION_MAPPING_NAMES,
        modeling_auto.MODEL_FOR_ZERO_SHOT_OBJECT_DETECTION_MAPPING_NAMES,
    ),
    "segmenter": (
        modeling_auto.MODEL_FOR_IMAGE_SEGMENTATION_MAPPING_NAMES,
        modeling_auto.MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES,
        modeling_auto.MODEL_FOR_INSTANCE_SEGMENTATION_MAPPING_NAMES,
        modeling_auto.MODEL_FOR_UNIVERSAL_SEGMENTATION_MAPPING_NAMES,
        modeling_auto.MODEL_FOR_MASK_GENERATION_MAPPING_NAMES,
    ),
    "depth estimator": (modeling_auto.MODEL_FOR_DEPTH_ESTIMATION_MAPPING_NAMES,),
    "video model": (modeling_auto.MODEL_FOR_VIDEO_CLASSIFICATION_MAPPING_NAMES,),
}
# timm.create_model takes these from a config's `model_args` and would read other files than this folder's.
_FORBIDDEN_TIMM_ARGUMENTS = {"checkpoint_path", "cache_dir", "pretrained_cfg", "pretrained_cfg_overlay"}


def read_config(folder: Path) -> PreTrainedConfig:
    """The checkpoint's configuration, known to transformers without remote code.

    Raises:
        CandidateError: missing, broken, needing remote code, or of an architecture that is not installed.
    """
    declared = read_json(folder, "config.json")
    model_type = declared.get("model_type")
    if "auto_map" in declared and model_type not in CONFIG_MAPPING:
        raise CandidateError(
            f"a checkpoint must load without remote code, which lead-hub never runs; {folder} is of model_type"
            f" {model_type!r} and needs {sorted(declared['auto_map'])} from its own Python files: convert it to a"
            " transformers or timm architecture",
            stage="load",
        )
    try:
        config: PreTrainedConfig = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except LOAD_ERRORS as error:
        raise CandidateError(
            f"config.json must describe a model of transformers {transformers.__version__} or timm"
            f" {timm.__version__}, found model_type {model_type!r} in {folder}: {error}; a newer version may know it",
            stage="load",
        ) from error
    if getattr(config, "quantization_config", None):
        raise CandidateError(
            f"weights must be plain numbers, those in {folder} are quantised: use the checkpoint they were made from",
            stage="load",
        )
    if config.model_type == "timm_wrapper":
        _check_timm(config, folder)
    return config


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """A JSON object in the checkpoint's folder."""
    try:
        content = json.loads((folder / name).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CandidateError(
            f"a checkpoint folder must hold {name}, {folder} does not: save the model with save_pretrained",
            stage="load",
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise CandidateError(
            f"{name} must be a readable JSON file, in {folder} it is not: {error}; download it again", stage="load"
        ) from error
    if not isinstance(content, dict):
        raise CandidateError(
            f"{name} must hold a JSON object, found {type(content).__name__} in {folder}", stage="load"
        )
    return content


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


def check_weights(folder: Path, *, allow_pickle: bool) -> None:
    """Refuse a folder without weights, or with pickles only unless they are allowed."""
    if (folder / "adapter_config.json").is_file():
        # With peft installed, transformers would fetch the base model it names from the Hub.
        raise CandidateError(
            f"a checkpoint must hold all of its weights, {folder} holds an adapter: merge it into its base model",
            stage="load",
        )
    if (folder / "model.safetensors").is_file():
        return
    if (folder / _INDEX).is_file():
        _check_shards(folder)
        return
    pickles = sorted(path.name for path in folder.glob("*.bin"))
    if allow_pickle and any((folder / f"pytorch_model.bin{end}").is_file() for end in ("", ".index.json")):
        return
    if pickles and not allow_pickle:
        raise CandidateError(
            f"weights must be safetensors, {folder} holds only pickles ({', '.join(pickles)}): pass allow_pickle=True"
            " to read them with torch's weights_only, or convert them",
            stage="load",
        )
    raise CandidateError(
        f"a checkpoint folder must hold model.safetensors (or its index), {folder} holds no weights that can be"
        " read: save the model with save_pretrained",
        stage="load",
    )


def _check_shards(folder: Path) -> None:
    # An index could name pickles, or files elsewhere on this machine.
    shards = read_json(folder, _INDEX).get("weight_map")
    names = set(map(str, shards.values())) if isinstance(shards, dict) else set()
    strange = sorted(name for name in names if not name.endswith(".safetensors") or Path(name).name != name)
    if strange or not names:
        raise CandidateError(
            f"{_INDEX} must name safetensors files beside it, found {strange[:3] or 'none'} in {folder}", stage="load"
        )


def model_class(config: PreTrainedConfig) -> type[PreTrainedModel]:
    """The class to build: the family's classifier where the config names it, else its bare backbone.

    Raises:
        CandidateError: not a model from one image to one description of it.
    """
    named = config.architectures[0] if config.architectures else None
    if config.model_type == "timm_wrapper":
        bare = named == "TimmWrapperModel" or config.num_labels == 0
        return transformers.TimmWrapperModel if bare else transformers.TimmWrapperForImageClassification
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
    return _vision_class(MODEL_MAPPING[type(config)], config)


def _vision_class(found: object, config: PreTrainedConfig) -> type[PreTrainedModel]:
    # A few configs map to a tuple of classes; none of those is a vision model.
    model = found if isinstance(found, type) and issubclass(found, PreTrainedModel) else None
    if model is not None and model.main_input_name == "pixel_values" and not config.is_encoder_decoder:
        return model
    raise CandidateError(
        f"the model must go from the pixels of one image to a description of it; model_type {config.model_type!r}"
        f" takes {getattr(found, 'main_input_name', 'other inputs')} and is no such vision model",
        stage="load",
    )


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

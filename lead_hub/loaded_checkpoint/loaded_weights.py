"""Which weights of a freshly built model really came from the checkpoint, and which were made up."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from torch import nn
from transformers import PreTrainedModel

from lead_hub.errors import CandidateError
from lead_hub.pooling import READOUT_PREFIXES

# Follow from the config, or are read only while pretraining or training: their absence changes no feature.
_HARMLESS = re.compile(
    r"(^|\.)(mask_token|position_ids|num_batches_tracked|relative_position_index|attention_bias_idxs"
    r"|relative_coords_table)$"
)
_NAMES_SHOWN = 3


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


def sort_weights(model: PreTrainedModel, report: Mapping[str, Collection[Any]], folder: Path) -> LoadedWeights:
    """Judge transformers' loading report.

    Raises:
        CandidateError: a backbone weight is missing, or any weight has another shape.
    """
    _refuse_mismatches(report, folder)
    backbone, prefix = _backbone(model)
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


def _backbone(model: PreTrainedModel) -> tuple[nn.Module, str]:
    """The model without its head, and the prefix of its weights' names."""
    if model.config.model_type == "timm_wrapper":
        return cast(nn.Module, model.timm_model), "timm_model."
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

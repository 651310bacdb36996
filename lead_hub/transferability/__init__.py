"""Stage 5: outputs of one checkpoint on labelled images -> one number that predicts its accuracy after fine-tuning.

`SCORES` is the one list of scores. Adding one: a file with its function and its `ScoreMethod`, a name in this list.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import ParamSpec

from numpy.typing import ArrayLike
from torch import Tensor

from lead_hub.errors import ScoreError
from lead_hub.transferability.concept_variation import CONCEPT_VARIATION
from lead_hub.transferability.etran import ETRAN, ETRAN_CLASSIFICATION, ETRAN_ENERGY
from lead_hub.transferability.gbc import GBC
from lead_hub.transferability.h_score import H_SCORE
from lead_hub.transferability.interclass_distance import INTERCLASS_DISTANCE
from lead_hub.transferability.kernel_alignment import KERNEL_ALIGNMENT
from lead_hub.transferability.knn import KNN
from lead_hub.transferability.lead import LEAD
from lead_hub.transferability.lead_head import LEAD_HEAD, LOO_LOG_LOSS
from lead_hub.transferability.lead_network import LEAD_NETWORK
from lead_hub.transferability.lead_paper import LEAD_PAPER
from lead_hub.transferability.lead_prior import LEAD_PRIOR, MOST_STANDING, prior_shift
from lead_hub.transferability.leep import LEEP
from lead_hub.transferability.linear_probe import LINEAR_PROBE
from lead_hub.transferability.logme import LOGME
from lead_hub.transferability.ncti import NCTI
from lead_hub.transferability.nleep import NLEEP
from lead_hub.transferability.parc import PARC
from lead_hub.transferability.ped import PED_LOGME, PED_SFDA
from lead_hub.transferability.score import ScoreMethod, TransferabilityScore
from lead_hub.transferability.score_inputs import KERNELS, KernelName, ScoreInputs, checked_inputs, unpacked_kernel
from lead_hub.transferability.sfda import SFDA
from lead_hub.transferability.static_facts import DOWNLOADS, IMAGENET_TOP1, PARAMETERS, static_score
from lead_hub.transferability.transrate import TRANSRATE

__all__ = [
    "KERNELS",
    "MOST_STANDING",
    "SCORES",
    "KernelName",
    "ScoreMethod",
    "TransferabilityScore",
    "prior_shift",
    "score",
    "transferabilities",
    "transferability",
    "unpacked_kernel",
]

SCORES: Mapping[str, ScoreMethod] = MappingProxyType(
    {
        method.name: method
        for method in (
            *(LEAD, LEAD_NETWORK, LEAD_PRIOR, LEAD_HEAD, LEAD_PAPER, LOGME, LOO_LOG_LOSS),
            *(H_SCORE, LEEP, NLEEP, GBC, TRANSRATE, PARC),
            *(SFDA, PED_SFDA, PED_LOGME, ETRAN_ENERGY, ETRAN_CLASSIFICATION, ETRAN, NCTI, KNN, LINEAR_PROBE),
            *(KERNEL_ALIGNMENT, INTERCLASS_DISTANCE, CONCEPT_VARIATION),
            *(PARAMETERS, IMAGENET_TOP1, DOWNLOADS),
        )
    }
)

NO_KERNELS: Mapping[KernelName, Tensor | ArrayLike | None] = MappingProxyType({})


def transferability(  # noqa: PLR0913 - everything that a score can be of
    features: Tensor | ArrayLike,
    labels: Tensor | ArrayLike,
    method: str = "lead",
    *,
    logits: Tensor | ArrayLike | None = None,
    facts: Mapping[str, float] | None = None,
    seed: int = 0,
    groups: Tensor | ArrayLike | None = None,
    kernels: Mapping[KernelName, Tensor | ArrayLike | None] = NO_KERNELS,
) -> TransferabilityScore:
    """How well a checkpoint with these frozen features should do when fine-tuned. Higher is better.

    `transferability` gives the score with its per-image terms and the figures that belong beside it; `score` gives the
    number alone.

    Args:
        features: [n_images, n_features], NumPy or torch, on any device.
        labels: [n_images], integers; any ids, not necessarily 0..K-1.
        method: a name in `SCORES`, which tells each one's range and cost.
        logits: [n_images, n_source_classes], outputs of the checkpoint's own trained head, for scores that need it.
        facts: what is known of the checkpoint, by name, for scores that are such a fact: "parameters",
            "imagenet_top1_percent", "downloads"; or that take one into account: "standing", by how many standard
            deviations it stands above others on other datasets.
        seed: for scores that draw random numbers; the others ignore it.
        groups: [n_images], integers: images of the same thing (copies, crops, one patient) have the same number and are
            left out together, by the scores that leave images out; the others ignore it.
        kernels: between the images, by a name in `KERNELS`, for scores that need them: [n_images, n_images], or the
            upper triangle of that, row by row.

    Raises:
        ScoreError: unknown method, inputs that do not fit, or a score that is undefined for them.
    """
    found = transferabilities(
        features, labels, (method,), logits=logits, facts=facts, seed=seed, groups=groups, kernels=kernels
    )[method]
    if isinstance(found, ScoreError):
        raise found
    return found


Arguments = ParamSpec("Arguments")


def _value_of(call: Callable[Arguments, TransferabilityScore]) -> Callable[Arguments, float]:
    """`score`: the arguments of `transferability` are its own."""

    @functools.wraps(call, assigned=("__doc__", "__module__"), updated=())
    def score(*arguments: Arguments.args, **options: Arguments.kwargs) -> float:
        return call(*arguments, **options).value

    score.__qualname__ = "score"  # so that it can be sent to another process
    score.__signature__ = inspect.signature(call).replace(return_annotation=float)  # type: ignore[attr-defined]
    return score


score = _value_of(transferability)


def transferabilities(  # noqa: PLR0913 - everything that scores can be of
    features: Tensor | ArrayLike,
    labels: Tensor | ArrayLike,
    methods: Iterable[str],
    *,
    logits: Tensor | ArrayLike | None = None,
    facts: Mapping[str, float] | None = None,
    seed: int = 0,
    groups: Tensor | ArrayLike | None = None,
    kernels: Mapping[KernelName, Tensor | ArrayLike | None] = NO_KERNELS,
) -> dict[str, TransferabilityScore | ScoreError]:
    """Several scores of the same features: what more than one of them needs is computed once.

    Returns:
        Each score by its name, or why it is undefined for these inputs.

    Raises:
        ScoreError: unknown method, or inputs that do not fit.
    """
    chosen = list(methods)
    for method in chosen:
        if method not in SCORES:
            raise ScoreError(f"the score must be one of {', '.join(SCORES)}, found {method!r}")
    lacking = {method: _lacking(SCORES[method], logits=logits, kernels=kernels) for method in chosen}
    found: dict[str, TransferabilityScore | ScoreError] = {
        method: ScoreError(reason) for method, reason in lacking.items() if reason
    }
    possible = [SCORES[method] for method in chosen if method not in found]
    if possible:
        used = {name for method in possible for name in (*method.needs_kernels, *method.uses_kernels)}
        needed = {name: kernels.get(name) for name in KERNELS if name in used}
        checked = checked_inputs(features, labels, logits=logits, seed=seed, groups=groups, kernels=needed)
        inputs = replace(checked, standing=(facts or {}).get("standing"))
        found |= {method.name: _score_or_reason(method, inputs, facts) for method in possible}
    return {method: found[method] for method in chosen}


def _lacking(
    method: ScoreMethod,
    *,
    logits: Tensor | ArrayLike | None,
    kernels: Mapping[KernelName, Tensor | ArrayLike | None],
) -> str:
    """What a score needs and was not given, in words; empty where there is all."""
    if method.needs_logits and logits is None:
        return f"{method.name} needs the logits of the checkpoint's own trained head, found none"
    missing = [name for name in method.needs_kernels if kernels.get(name) is None]
    return f"{method.name} needs {KERNELS[missing[0]]} ({missing[0]}), found none" if missing else ""


def _score_or_reason(
    method: ScoreMethod, inputs: ScoreInputs, facts: Mapping[str, float] | None
) -> TransferabilityScore | ScoreError:
    try:
        return static_score(method, facts) if method.function is None else method.function(inputs)
    except ScoreError as error:
        return error

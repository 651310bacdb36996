"""Outputs of one checkpoint -> the scores that the run asks for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch

from lead_hub.candidates import Candidate
from lead_hub.checkpoint_outputs import CheckpointOutputs
from lead_hub.errors import CandidateError, ScoreError
from lead_hub.labelled_images import LabelledImages
from lead_hub.recommendation.run import Run
from lead_hub.transferability import TransferabilityScore, transferability


@dataclass(frozen=True)
class OutputsScores:
    """One checkpoint's scores.

    Attributes:
        ranking: the score that ranks.
        others: values of the other ones, by name; None where one is undefined for these outputs.
        undefined: why, in words; empty where all are defined.
    """

    ranking: TransferabilityScore
    others: Mapping[str, float | None]
    undefined: str = ""


def score_outputs(
    outputs: CheckpointOutputs, images: LabelledImages, *, candidate: Candidate, run: Run, device: torch.device
) -> OutputsScores:
    """All scores of one checkpoint's outputs, on the GPU where there is one (float64, so not on others).

    Raises:
        CandidateError: the score that ranks is undefined for them (stage "score").
    """
    place = device if device.type == "cuda" else torch.device("cpu")
    features, labels = outputs.features.to(place), torch.from_numpy(images.labels)
    logits = None if outputs.logits is None else outputs.logits.to(place)
    facts = known_facts(candidate, outputs)

    def scored(method: str) -> TransferabilityScore:
        return transferability(features, labels, method, logits=logits, facts=facts, seed=run.query.seed)

    try:
        ranking = scored(run.method)
    except ScoreError as error:
        raise CandidateError(str(error), stage="score") from error
    others = {method: value_or_reason(partial(scored, method)) for method in run.methods[1:]}
    reasons = [f"no {method}: {reason}" for method, reason in others.items() if isinstance(reason, str)]
    values = {method: None if isinstance(value, str) else value for method, value in others.items()}
    return OutputsScores(ranking, values, "; ".join(reasons))


def value_or_reason(score: Callable[[], TransferabilityScore]) -> float | str:
    """A score's value, or why there is none."""
    try:
        return score().value
    except ScoreError as error:
        return str(error)


def known_facts(candidate: Candidate, outputs: CheckpointOutputs) -> dict[str, float]:
    """What is known of a checkpoint without looking at any image, for the scores that are such a fact."""
    facts = {
        "parameters": outputs.parameters,
        "imagenet_top1_percent": candidate.imagenet_top1_percent,
        "downloads": candidate.downloads,
    }
    return {name: float(value) for name, value in facts.items() if value is not None}

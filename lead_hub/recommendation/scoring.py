"""Outputs of one checkpoint -> its scores and its row; or its row as a score card has it."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from lead_hub.candidates import Candidate
from lead_hub.checkpoint_files import CheckpointFiles
from lead_hub.checkpoint_outputs import CheckpointOutputs, out_of_memory
from lead_hub.errors import CandidateError, ScoreError
from lead_hub.labelled_images import LabelledImages
from lead_hub.leaderboard import read_row
from lead_hub.recommendation.board_rows import ranked_checkpoint
from lead_hub.recommendation.judging import ScoredCandidate, scored_images
from lead_hub.recommendation.steps import FoundOutputs
from lead_hub.score_cards import ScoreCards
from lead_hub.transferability import SCORES, KernelName, TransferabilityScore, transferabilities

Result = TypeVar("Result")
# What a GPU's libraries of linear algebra say where there is no memory for their own.
NO_HANDLE = ("CUBLAS_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_NOT_INITIALIZED", "CUSOLVER_STATUS")


@dataclass(frozen=True)
class OutputsScores:
    """One checkpoint's scores.

    Attributes:
        ranking: the score that ranks.
        others: values of the other ones, by name; None where one is undefined for these outputs.
        undefined: why, and what else is not as it should be, in words; empty where all is.
    """

    ranking: TransferabilityScore
    others: Mapping[str, float | None]
    undefined: str = ""


def from_card(candidate: Candidate, files: CheckpointFiles, cards: ScoreCards | None) -> ScoredCandidate | None:
    """The candidate as a score card of the same files has it; None without one."""
    card = cards.find(checkpoint=candidate.checkpoint, sha=files.sha) if cards else None
    if card is None:
        return None
    try:
        return ScoredCandidate(read_row({**card, "revision": candidate.revision, "is_private": files.is_private}))
    except (KeyError, TypeError) as error:
        warnings.warn(f"a score card of {candidate.checkpoint} is not used, for a row needs {error}", stacklevel=2)
        return None


def scored_candidate(
    candidate: Candidate,
    files: CheckpointFiles,
    found: FoundOutputs,
    *,
    methods: Sequence[str],
    images: LabelledImages,
    seed: int,
) -> ScoredCandidate:
    """The candidate's row, without a rank, and what its score says of every image.

    Args:
        candidate: as the user gave it.
        files: of it.
        found: its outputs, which the main process has.
        methods: names of the scores; the first one ranks.
        images: that the outputs are of.
        seed: of what a score draws.

    Raises:
        CandidateError: the score that ranks is undefined for the outputs (stage "score").
    """
    scores = score_outputs(found, images, candidate=candidate, methods=methods, seed=seed)
    row = ranked_checkpoint(
        candidate,
        files,
        main_process_outputs(found),
        score=scores.ranking,
        images_per_s=found.images_per_s,
        images=images,
    )
    note = "; ".join(filter(None, (row.note, *scores.ranking.notes, scores.undefined)))
    return ScoredCandidate(replace(row, other_scores=scores.others, note=note), images=scored_images(scores.ranking))


def main_process_outputs(found: FoundOutputs) -> CheckpointOutputs:
    """The outputs where they are sure to be: the main process has read or extracted them."""
    assert found.outputs is not None
    return found.outputs


def score_outputs(
    found: FoundOutputs, images: LabelledImages, *, candidate: Candidate, methods: Sequence[str], seed: int
) -> OutputsScores:
    """All scores of one checkpoint's outputs, on the GPU where there is one (float64, so not on others).

    Raises:
        CandidateError: the score that ranks is undefined for them (stage "score").
    """
    outputs = main_process_outputs(found)
    facts, labels = known_facts(candidate, outputs), torch.from_numpy(images.labels)
    kernels: dict[KernelName, Tensor | None] = {
        "depth_kernel": outputs.depth_kernel,
        "network_kernel": outputs.network_kernel,
    }

    def scores_on(device: torch.device) -> dict[str, TransferabilityScore | ScoreError]:
        features, logits = outputs.features.to(device), None if outputs.logits is None else outputs.logits.to(device)
        to_score = partial(transferabilities, logits=logits, facts=facts, seed=seed, groups=images.groups)
        return to_score(features, labels, methods, kernels=kernels)

    try:
        found_scores = where_memory_suffices(found.device, scores_on)
    except ScoreError as error:
        raise CandidateError(str(error), stage="score") from error
    scores = {method: better_reason(method, score, outputs) for method, score in found_scores.items()}
    ranking = scores[methods[0]]
    if isinstance(ranking, str):
        raise CandidateError(ranking, stage="score")
    others = {method: scores[method] for method in methods[1:]}
    reasons = [f"no {method}: {reason}" for method, reason in others.items() if isinstance(reason, str)]
    if outputs.network_kernel is not None and outputs.network:  # of a network that is in it in part
        reasons.append(outputs.network)
    values = {method: None if isinstance(value, str) else value.value for method, value in others.items()}
    if outputs.depth_kernel is None and "depth_kernel" in SCORES[methods[0]].uses_kernels:
        reasons.insert(0, f"judged by its last features alone, not by several depths; {outputs.depths}")
    return OutputsScores(ranking, values, "; ".join(reasons))


def where_memory_suffices(device: torch.device, work: Callable[[torch.device], Result]) -> Result:
    """Do something on a GPU, or, where there is none or it is full, on the processor."""
    if device.type == "cuda":
        try:
            return work(device)
        except RuntimeError as error:
            if not (out_of_memory(error) or any(words in str(error) for words in NO_HANDLE)):
                raise
    return work(torch.device("cpu"))


def better_reason(
    method: str, score: TransferabilityScore | ScoreError, outputs: CheckpointOutputs
) -> TransferabilityScore | str:
    """A score, or why there is none: where a kernel is missing, why that is."""
    if not isinstance(score, ScoreError):
        return score
    needed = SCORES[method].needs_kernels
    if "depth_kernel" in needed and outputs.depth_kernel is None:
        return f"{method} needs the outputs of several depths; {outputs.depths}"
    if "network_kernel" in needed and outputs.network_kernel is None:
        return f"{method} needs the tangent kernel of the network; {outputs.network}"
    return str(score)


def known_facts(candidate: Candidate, outputs: CheckpointOutputs) -> dict[str, float]:
    """What is known of a checkpoint without looking at any image, for the scores that are such a fact."""
    facts = {
        "parameters": outputs.parameters,
        "imagenet_top1_percent": candidate.imagenet_top1_percent,
        "downloads": candidate.downloads,
        "standing": candidate.standing,
    }
    return {name: float(value) for name, value in facts.items() if value is not None}

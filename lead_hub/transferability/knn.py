"""Accuracy of the vote of the nearest other images, by the cosine between frozen features."""

import torch
from jaxtyping import Float
from torch import Tensor

from lead_hub.transferability.linear_probe import ahead
from lead_hub.transferability.score import ScoreMethod, TransferabilityScore
from lead_hub.transferability.score_inputs import ScoreInputs

NEIGHBOURS = 5
# Two cosines closer than this are equal but for rounding.
COSINE_TOLERANCE = 1e-12
# Votes are whole numbers, and what breaks their ties a mean cosine: below it all, above what rounding makes of that.
TIE_TOLERANCE = 1e-10
# Images whose cosines with all others are held at a time.
CHUNK = 1024


def knn(inputs: ScoreInputs) -> TransferabilityScore:
    """Share of images whose nearest other images vote for their class: in [0, 1], higher is better; no seed matters.

    The 5 nearest vote, and with them all that are as near as the fifth, so neither the order of the images nor the
    numbers of the classes can decide. Of classes with as many votes the one with the larger sum of cosines wins; an
    image counts as wrong where that, too, is equal. An image of zeros has the cosine 0 with all.
    """
    features, labels = inputs.features, inputs.labels
    directions = _directions(features)
    one_hot = torch.nn.functional.one_hot(labels).to(features.dtype)
    votes = torch.cat([_votes(directions, one_hot, start=start) for start in range(0, len(labels), CHUNK)])
    per_image = ahead(votes, labels, tolerance=TIE_TOLERANCE)
    return TransferabilityScore(float(per_image.mean()), per_image, predicted=votes.argmax(dim=1))


def _directions(features: Float[Tensor, "image feature"]) -> Float[Tensor, "image feature"]:
    # Largest number 1 first, so that squares stay in range.
    largest = features.abs().amax(dim=1, keepdim=True)
    rows = features / torch.where(largest > 0, largest, 1.0)
    lengths = rows.norm(dim=1, keepdim=True)
    return rows / torch.where(lengths > 0, lengths, 1.0)


def _votes(
    directions: Float[Tensor, "image feature"], one_hot: Float[Tensor, "image target_class"], *, start: int
) -> Float[Tensor, "row target_class"]:
    """For the images from `start` on, number of votes for every class, plus at most a quarter for how near they are."""
    cosines = directions[start : start + CHUNK] @ directions.T
    # No image votes for itself.
    cosines.diagonal(offset=start).fill_(float("-inf"))
    n_neighbours = min(NEIGHBOURS, len(directions) - 1)
    furthest = cosines.topk(n_neighbours, dim=1).values[:, -1:]
    voting = (cosines >= furthest - COSINE_TOLERANCE).to(cosines.dtype)
    nearness = torch.where(voting > 0, cosines, 0.0) @ one_hot / voting.sum(dim=1, keepdim=True)
    return voting @ one_hot + nearness / 4


KNN = ScoreMethod(
    name="knn",
    function=knn,
    title="leave-one-out accuracy of the 5 nearest neighbours",
    paper="Fix and Hodges, Discriminatory Analysis: Nonparametric Discrimination, 1951",
    range="[0, 1]",
    needs_logits=False,
    cost="cosines between all pairs of images; no seed",
)

"""Accuracy of the vote of the nearest other images, by the cosine between frozen features."""

import torch
from jaxtyping import Float, Int
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
    image counts as wrong where that, too, is equal. An image of zeros has the cosine 0 with all. Images of the same
    group are no others to each other, and a group has one vote, which is its nearest image's: copies are one neighbour.
    """
    features, labels = inputs.features, inputs.labels
    directions = _directions(features)
    one_hot = torch.nn.functional.one_hot(labels).to(features.dtype)
    chunks = range(0, len(labels), CHUNK)
    votes = torch.cat([_votes(directions, one_hot, groups=inputs.groups, start=start) for start in chunks])
    per_image = ahead(votes, labels, tolerance=TIE_TOLERANCE)
    return TransferabilityScore(float(per_image.mean()), per_image, predicted=votes.argmax(dim=1))


def _directions(features: Float[Tensor, "image feature"]) -> Float[Tensor, "image feature"]:
    # Largest number 1 first, so that squares stay in range.
    largest = features.abs().amax(dim=1, keepdim=True)
    rows = features / torch.where(largest > 0, largest, 1.0)
    lengths = rows.norm(dim=1, keepdim=True)
    return rows / torch.where(lengths > 0, lengths, 1.0)


def _votes(
    directions: Float[Tensor, "image feature"],
    one_hot: Float[Tensor, "image target_class"],
    *,
    groups: Int[Tensor, " image"] | None,
    start: int,
) -> Float[Tensor, "row target_class"]:
    """For the images from `start` on, number of votes for every class, plus at most a quarter for how near they are."""
    cosines = directions[start : start + CHUNK] @ directions.T
    # No image votes for itself.
    cosines.diagonal(offset=start).fill_(float("-inf"))
    standing = cosines if groups is None else _nearest_of_groups(cosines, groups, start=start)
    n_neighbours = min(NEIGHBOURS, standing.shape[1] - 1)
    furthest = standing.topk(n_neighbours, dim=1).values[:, -1:]
    voting = ((standing >= furthest - COSINE_TOLERANCE) & (standing > float("-inf"))).to(cosines.dtype)
    if groups is not None:
        voting = _shared_votes(voting, standing, cosines, groups=groups)
    nearness = torch.where(voting > 0, voting * cosines, 0.0) @ one_hot / voting.sum(dim=1, keepdim=True)
    return voting @ one_hot + nearness / 4


def _nearest_of_groups(
    cosines: Float[Tensor, "row image"], groups: Int[Tensor, " image"], *, start: int
) -> Float[Tensor, "row group"]:
    """The largest cosine with an image of every group, minus infinity for the row's own group."""
    own = groups[start : start + len(cosines), None]
    standing = cosines.new_full((len(cosines), int(groups.max()) + 1), float("-inf"))
    standing.scatter_reduce_(1, groups.expand(len(cosines), -1), cosines, reduce="amax")
    return standing.scatter(1, own, float("-inf"))


def _shared_votes(
    voting: Float[Tensor, "row group"],
    standing: Float[Tensor, "row group"],
    cosines: Float[Tensor, "row image"],
    *,
    groups: Int[Tensor, " image"],
) -> Float[Tensor, "row image"]:
    """A group's one vote, for the image of it that is nearest, or in equal parts for those that are equally near."""
    nearest = (cosines >= standing[:, groups] - COSINE_TOLERANCE).to(cosines.dtype) * voting[:, groups]
    n_nearest = torch.zeros_like(voting).scatter_add_(1, groups.expand(len(cosines), -1), nearest)
    return nearest / n_nearest.clamp(min=1)[:, groups]


KNN = ScoreMethod(
    name="knn",
    function=knn,
    title="leave-one-out accuracy of the 5 nearest neighbours",
    paper="Fix and Hodges, Discriminatory Analysis: Nonparametric Discrimination, 1951",
    range="[0, 1]",
    needs_logits=False,
    cost="cosines between all pairs of images; no seed",
    leaves_out=True,
)

"""Concept variation: do images that lie near each other have different labels?

Sources: Vilalta, "Understanding accuracy performance through concept characterization and algorithm analysis", ICML
1999 workshop, in the form of the library pymfe (`ft_conceptvar`); as a transferability score Singh, Hess, Vanschoren,
"Occam's model: Selecting simpler representations for better transferability estimation", 2025, arXiv 2502.06925.

Departures:

1. The score is minus the mean variation, so that higher is better: that is inferred from what the variation says, as
   the sign was not to be found in the paper.
2. An image whose distances to all others are the largest that there can be has no neighbour, and the score is refused;
   pymfe gives NaN.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from lead_hub.errors import ScoreError
from lead_hub.transferability.discriminant import own_class
from lead_hub.transferability.score import ScoreMethod, TransferabilityScore
from lead_hub.transferability.score_inputs import ScoreInputs

ALPHA = 2.0
# Images whose distances to all others are held at a time.
CHUNK = 1024


def concept_variation(inputs: ScoreInputs) -> TransferabilityScore:
    """Minus the mean share of an image's neighbourhood that has another label: in [-1, 0], higher is better.

    Every feature is brought to [0, 1]. Another image at distance d, of at most m = sqrt(number of features), weighs
    2^(-2 d / (m - d)) in the neighbourhood. The shares are the images' terms. No seed matters.

    Raises:
        ScoreError: an image is as far from all others as images can be, so that nothing is near it.
    """
    rows = _in_unit_range(inputs.features)
    one_hot = torch.nn.functional.one_hot(inputs.labels).to(rows.dtype)
    chunks = range(0, len(rows), CHUNK)
    near = torch.cat([_near(rows, one_hot, start=start) for start in chunks])
    total = near.sum(dim=1)
    n_alone = int((total == 0).sum())
    if n_alone:
        raise ScoreError(
            "concept variation needs others nearer to every image than the furthest that there can be, found"
            f" {n_alone} of {len(rows)} images without: use more images"
        )
    per_image = own_class(near, inputs.labels) / total - 1
    return TransferabilityScore(float(per_image.mean()), per_image)


def _in_unit_range(features: Float[Tensor, "image feature"]) -> Float[Tensor, "image feature"]:
    """Every feature from 0 to 1; 0 where it is constant."""
    rows = features - features.amin(dim=0)
    spread = rows.amax(dim=0)
    return rows / torch.where(spread > 0, spread, 1.0)


def _near(
    rows: Float[Tensor, "image feature"], one_hot: Float[Tensor, "image target_class"], *, start: int
) -> Float[Tensor, "row target_class"]:
    """For the images from `start` on, the summed weights of the other images of every class."""
    chosen = rows[start : start + CHUNK]
    distances = torch.cdist(chosen, rows)
    room = (rows.shape[1] ** 0.5 - distances).clamp(min=torch.finfo(rows.dtype).eps)
    weights = torch.exp2(-ALPHA * distances / room)
    weights.diagonal(offset=start).zero_()
    return weights @ one_hot


CONCEPT_VARIATION = ScoreMethod(
    name="concept-variation",
    function=concept_variation,
    title="concept variation",
    paper="Vilalta, ICML 1999 workshop; as a score: Singh et al., 2025, arXiv 2502.06925",
    range="[-1, 0]",
    needs_logits=False,
    cost="distances between all pairs of images; no seed",
)

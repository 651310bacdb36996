"""INT: how far apart images of two classes lie, over all pairs of classes.

Sources: Bezdek and Pal, "Some new indexes of cluster validity", IEEE Transactions on Systems, Man, and Cybernetics B,
1998, with the factor over pairs of classes that the library pymfe gives it (`ft_int`); as a transferability score
Singh, Hess, Vanschoren, "Occam's model: Selecting simpler representations for better transferability estimation",
2025, arXiv 2502.06925, under the name of pairwise normalised interclass distance.

No departure. Normalised are the numbers of images and of classes, not the unit of the features: a checkpoint whose
features are twice as long scores twice as high, and nothing within a class is looked at.
"""

import torch

from lead_hub.transferability.score import ScoreMethod, TransferabilityScore
from lead_hub.transferability.score_inputs import ScoreInputs

# Images whose distances to all others are held at a time.
CHUNK = 1024


def interclass_distance(inputs: ScoreInputs) -> TransferabilityScore:
    """Mean over pairs of classes of the mean Euclidean distance of their images: at least 0, higher is better.

    Every pair of classes counts the same, however many images it has. No seed matters.
    """
    # About their mean, so that a distance is no small difference of large numbers.
    rows, labels = inputs.features - inputs.features.mean(dim=0), inputs.labels
    one_hot = torch.nn.functional.one_hot(labels).to(rows.dtype)
    n_of_class = one_hot.sum(dim=0)
    sums = one_hot.new_zeros(len(n_of_class), len(n_of_class))
    for part, members in zip(torch.split(rows, CHUNK), torch.split(one_hot, CHUNK), strict=True):
        sums += members.T @ (torch.cdist(part, rows) @ one_hot)
    means = sums / (n_of_class[:, None] * n_of_class)
    between = means.sum() - means.diagonal().sum()
    return TransferabilityScore(float(between) / (len(n_of_class) * (len(n_of_class) - 1)))


INTERCLASS_DISTANCE = ScoreMethod(
    name="interclass-distance",
    function=interclass_distance,
    title="pairwise interclass distance (INT)",
    paper="Bezdek and Pal, IEEE Trans. SMC-B 1998; as a score: Singh et al., 2025, arXiv 2502.06925",
    range="[0, inf)",
    needs_logits=False,
    cost="distances between all pairs of images; no seed",
)

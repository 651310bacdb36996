"""What a ridge classifier says of every image when that image, or its whole group, was left out of its training."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lead_hub.transferability.spectrum import GramSpectrum, gram_spectrum

# "global": centred only, because the ridge strength is relative and so any one scale cancels; the logits are
# then the same for rotated features. "each": every feature also gets unit variance; rotation changes that.
FeatureScaling = Literal["global", "each"]

# Ridge strengths to choose from, strongest first, in units of the mean squared norm of a centred feature row
# (the mean eigenvalue of the images' Gram matrix): half a decade apart.
RELATIVE_STRENGTHS = tuple(10.0 ** (4 - step / 2) for step in range(21))


@dataclass(frozen=True, eq=False)
class LeaveOneOutLogits:
    """Predictions for one-hot targets, each made without the image it is for.

    Attributes:
        logits: one row per image; about 0 for a wrong and 1 for the right class.
        relative_strength: the ridge strength that was chosen, in units of the mean eigenvalue.
        squared_error: of all logits together: what the strength was chosen by.
    """

    logits: Float[Tensor, "image target_class"]
    relative_strength: float
    squared_error: float


def leave_one_out_logits(
    features: Float[Tensor, "image feature"],
    labels: Int[Tensor, " image"],
    *,
    relative_strengths: tuple[float, ...] = RELATIVE_STRENGTHS,
    scaling: FeatureScaling = "global",
    groups: Int[Tensor, " image"] | None = None,
    spectrum: GramSpectrum | None = None,
) -> LeaveOneOutLogits:
    """Exact leave-one-out predictions of ridge regression onto one-hot labels, intercept not penalised.

    With hat matrix H and in-sample predictions F, leaving image i out predicts Y_i - (Y_i - F_i) / (1 - h_ii)
    (Allen 1974, the PRESS statistic), so nothing is refitted. All classes share one strength: downhill along
    `relative_strengths` to the nearest minimum of the squared leave-one-out error, from where generalised
    cross-validation (Golub, Heath, Wahba 1979) has its smallest value. That start costs next to nothing and is
    mostly the end; every step from it costs a matrix product. A class with one image is predicted by a model that
    never saw the class: its logit is 0.

    With groups, an image is predicted by a model that saw no image of its group: leaving group G out predicts
    Y_G - (I - H_GG)^-1 (Y_G - F_G) with the block H_GG of the hat matrix, as exact as for one image, of which it is the
    general case. Generalised cross-validation knows of no groups, so every strength is then tried.

    Args:
        features: of the images.
        labels: 0..K-1.
        relative_strengths: to choose from, strongest first.
        scaling: what is done to the features first.
        groups: images that are left out together.
        spectrum: of the features after the scaling, where it is there already.
    """
    if spectrum is None:
        spectrum = gram_spectrum(standardised(features, scaling=scaling))
    one_hot = torch.nn.functional.one_hot(labels).to(features.dtype)
    mean_eigenvalue = float(spectrum.eigenvalues.sum()) / len(features)
    # Constant features have no eigenvalue above 0; only the intercept is left, whatever the strength.
    unit = mean_eigenvalue if mean_eigenvalue > 0 else 1.0
    strengths = torch.tensor(relative_strengths, dtype=features.dtype, device=features.device) * unit
    press = _PressResiduals.of(spectrum, one_hot, strengths)
    if groups is None:
        chosen, residuals = _nearest_minimum(press)
    else:
        chosen, residuals = _least_error(press, group_blocks(groups))
    return LeaveOneOutLogits(one_hot - residuals, relative_strengths[chosen], float(residuals.square().sum()))


def explained_share(
    predictions: Float[Tensor, "image target_class"],
    labels: Int[Tensor, " image"],
    *,
    groups: Int[Tensor, " image"] | None = None,
) -> float:
    """How much less squared error left-out predictions have than the class frequencies of the other images, in [0, 1].

    0 also where they are worse than the frequencies: the coefficient of determination, out of sample. With groups, the
    other images are those of other groups.
    """
    one_hot = torch.nn.functional.one_hot(labels).to(predictions.dtype)
    if groups is None:
        # Leaving an image out moves the mean of its column away from it by a factor n / (n - 1).
        left_out = (one_hot - one_hot.mean(dim=0)) * len(one_hot) / (len(one_hot) - 1)
    else:
        of_group = torch.zeros(int(groups.max()) + 1, one_hot.shape[1], dtype=one_hot.dtype, device=one_hot.device)
        of_group.index_add_(0, groups, one_hot)
        others = one_hot.sum(dim=0) - of_group[groups]
        left_out = one_hot - others / others.sum(dim=1, keepdim=True)
    share = 1 - (one_hot - predictions).square().sum() / left_out.square().sum()
    return float(share.clamp(min=0))


def standardised(
    features: Float[Tensor, "image feature"], *, scaling: FeatureScaling
) -> Float[Tensor, "image feature"]:
    """Features without their mean, of which the largest is 1, or each of unit variance."""
    # Minus the first row first: features that are constant become 0 exactly, not rounding errors that the
    # division below would blow up. In place, because these matrices are the largest that there are.
    centred = features - features[0]
    centred -= centred.mean(dim=0)
    if scaling == "each":
        scale = centred.square().mean(dim=0).sqrt()
    else:
        scale = torch.linalg.vector_norm(centred, ord=math.inf)
    centred /= torch.where(scale > 0, scale, 1.0)
    return centred


@dataclass(frozen=True, eq=False)
class _PressResiduals:
    """Leave-one-out residuals at any of the given strengths, after the work that all of them share.

    With squared singular values s^2, the fit at strength l is P (s^2 + l)^-1 P^T Y in the principal coordinates P.
    """

    eigenvalues: Float[Tensor, "axis 1"]
    strengths: Float[Tensor, " strength"]
    coordinates: Float[Tensor, "image axis"]
    squared_coordinates: Float[Tensor, "image axis"]
    centred_targets: Float[Tensor, "image target_class"]
    cross_products: Float[Tensor, "axis target_class"]

    @classmethod
    def of(
        cls,
        spectrum: GramSpectrum,
        targets: Float[Tensor, "image target_class"],
        strengths: Float[Tensor, " strength"],
    ) -> "_PressResiduals":
        coordinates = spectrum.coordinates()
        eigenvalues = spectrum.eigenvalues[:, None]
        centred_targets = targets - targets.mean(dim=0)
        cross_products = spectrum.cross_products(centred_targets)
        return cls(eigenvalues, strengths, coordinates, coordinates.square(), centred_targets, cross_products)

    def at(self, positions: range) -> list[Float[Tensor, "image target_class"]]:
        """Residuals at the strengths of these positions: one product with the coordinates serves all of them."""
        inverses = 1 / (self.eigenvalues + self.strengths[positions.start : positions.stop])
        # 1/n is the leverage of the intercept: centring is part of the fit, so it is left out with the image.
        kept = 1 - 1 / len(self.coordinates) - self.squared_coordinates @ inverses
        weights = torch.cat([self.cross_products * inverse[:, None] for inverse in inverses.T], dim=1)
        fits = torch.split(self.coordinates @ weights, self.cross_products.shape[1], dim=1)
        return [(self.centred_targets - fit).div_(share[:, None]) for fit, share in zip(fits, kept.T, strict=True)]

    def without_groups(
        self, position: int, blocks: list[Int[Tensor, "_group _member"]]
    ) -> Float[Tensor, "image target_class"]:
        """Residuals at one strength when whole groups are left out: (I - H_GG)^-1 (Y_G - F_G) for each of them."""
        inverse = 1 / (self.eigenvalues + self.strengths[position])
        residuals = self.centred_targets - self.coordinates @ (self.cross_products * inverse)
        for block in blocks:
            members = self.coordinates[block]
            hat = (members * inverse[:, 0]) @ members.transpose(1, 2) + 1 / len(self.coordinates)
            kept = torch.eye(block.shape[1], dtype=hat.dtype, device=hat.device) - hat
            residuals[block] = torch.linalg.solve(kept, residuals[block])
        return residuals

    def generalised(self) -> Float[Tensor, " strength"]:
        """Squared error of generalised cross-validation: every leverage replaced by their mean."""
        inverses = 1 / (self.eigenvalues + self.strengths)
        explained = self.cross_products.square().sum(dim=1) @ (inverses + self.strengths * inverses.square())
        in_sample = self.centred_targets.square().sum() - explained
        mean_leverages = (1 + (self.eigenvalues * inverses).sum(dim=0)) / len(self.coordinates)
        return in_sample / (1 - mean_leverages).square()


def _nearest_minimum(press: _PressResiduals) -> tuple[int, Float[Tensor, "image target_class"]]:
    """Position of the strength, and its residuals."""
    last = len(press.strengths) - 1
    start = int(press.generalised().argmin())
    near = range(max(0, start - 1), min(last, start + 1) + 1)
    residuals = dict(zip(near, press.at(near), strict=True))
    errors = {position: float(residual.square().sum()) for position, residual in residuals.items()}
    best = min(near, key=lambda position: (errors[position], abs(position - start)))
    while best != start and 0 < best < last:
        further = best + (1 if best > start else -1)
        (residual,) = press.at(range(further, further + 1))
        error = float(residual.square().sum())
        if error >= errors[best]:
            break
        best, residuals[further], errors[further] = further, residual, error
    return best, residuals[best]


def group_blocks(groups: Int[Tensor, " image"]) -> list[Int[Tensor, "_group _member"]]:
    """Positions of the images of every group, groups of one size together, so that they are solved at once."""
    order = torch.argsort(groups, stable=True)
    size_of_own = torch.bincount(groups)[groups[order]]
    sizes, n_images = torch.unique(size_of_own, return_counts=True)
    by_size = order[torch.argsort(size_of_own, stable=True)]
    parts = torch.split(by_size, n_images.tolist())
    return [part.view(-1, size) for part, size in zip(parts, sizes.tolist(), strict=True)]


def _least_error(
    press: _PressResiduals, blocks: list[Int[Tensor, "_group _member"]]
) -> tuple[int, Float[Tensor, "image target_class"]]:
    """Position of the strength with the smallest left-out error, of equal ones the strongest, and its residuals."""
    best, least = 0, press.without_groups(0, blocks)
    error = float(least.square().sum())
    for position in range(1, len(press.strengths)):
        residuals = press.without_groups(position, blocks)
        if (found := float(residuals.square().sum())) < error:
            best, least, error = position, residuals, found
    return best, least

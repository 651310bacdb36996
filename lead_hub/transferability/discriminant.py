"""Linear discriminant analysis with a shrunk within-class covariance, which SFDA, ETran and NCTI are built on.

Fisher's axes U are the generalised eigenvectors of the between-class and within-class covariances S_B and S_W, scaled
to U^T S_W U = I; Bayes' rule for Gaussian classes along them gives class c of n_c images with mean m_c the
discriminant x U U^T m_c - m_c U U^T m_c / 2 + log(n_c / n). Axes on which all class means agree add the same to every
class, so with U U^T = S_W^-1 the posteriors follow from the within-class covariance alone: it is whitened here, and
no axis is ever computed for them.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lead_hub.errors import ScoreError
from lead_hub.transferability.principal_axes import varying_rows
from lead_hub.transferability.score_inputs import ScoreInputs

LEAST_SHRINKAGE = 1e-10
# Of the spread of all images: less than this within the classes is rounding.
SPREAD_TOLERANCE = 1e-24


@dataclass(frozen=True, eq=False)
class CentredRows:
    """Features without their mean, in an orthonormal basis of no more axes than there are images.

    Attributes:
        rows: in units of `unit`, so that squares stay in range; all inner products are those of the centred features.
        unit: largest number among the centred features.
        n_features: how many features there were.
    """

    rows: Float[Tensor, "image axis"]
    unit: float
    n_features: int


def centred_rows(features: Float[Tensor, "image feature"]) -> CentredRows:
    """Remove the mean; where there are more features than images, turn to a basis of the images' span.

    Raises:
        ScoreError: all images have the same features.
    """
    rows = varying_rows(features)
    unit = float((features - features.mean(dim=0)).abs().max())
    n_images, n_features = rows.shape
    if n_features > n_images:
        # Not by the Gram matrix, whose square roots would keep only half of the digits.
        rows = torch.linalg.qr(rows.T, mode="r").R.T
    return CentredRows(rows, unit, n_features)


def rows_in_their_span(inputs: ScoreInputs) -> CentredRows:
    """`centred_rows` of the features, which scores share (by `ScoreInputs.once`)."""
    return centred_rows(inputs.features)


@dataclass(frozen=True, eq=False)
class WithinClasses:
    """The pooled within-class covariance S_W (biased: over n), decomposed.

    Attributes:
        eigenvalues: of S_W, ascending, none below 0.
        vectors: one column per eigenvalue.
        mean_eigenvalue: trace of S_W over the number of features.
    """

    eigenvalues: Float[Tensor, " axis"]
    vectors: Float[Tensor, "axis axis"]
    mean_eigenvalue: float

    def shrunk(self, shrinkage: float) -> Float[Tensor, " axis"]:
        """Eigenvalues of (1 - shrinkage) S_W + shrinkage * mean eigenvalue * I, all above 0."""
        return (1 - shrinkage) * self.eigenvalues + shrinkage * self.mean_eigenvalue

    def whitened(self, rows: Float[Tensor, "image axis"], *, shrinkage: float) -> Float[Tensor, "image axis"]:
        """Rows in coordinates in which the shrunk covariance is the identity."""
        return (rows @ self.vectors) / self.shrunk(shrinkage).sqrt()


def within_classes(
    rows: Float[Tensor, "image axis"], labels: Int[Tensor, " image"], *, n_features: int
) -> WithinClasses:
    """Decompose what is left of the rows after their class's mean.

    Raises:
        ScoreError: in every class all images are the same, so that nothing can be whitened.
    """
    deviations = rows - class_means(rows, labels)[labels]
    covariance = deviations.T @ deviations / len(rows)
    spread = float(deviations.square().sum())
    if spread <= SPREAD_TOLERANCE * float(rows.square().sum()):
        raise ScoreError(
            "discriminant analysis needs images that differ within some class, found none among"
            f" {len(rows)} images of {int(labels.max()) + 1} classes: use more images"
        )
    eigenvalues, vectors = torch.linalg.eigh(covariance)
    return WithinClasses(eigenvalues.clamp(min=0), vectors, spread / len(rows) / n_features)


def class_means(rows: Float[Tensor, "image axis"], labels: Int[Tensor, " image"]) -> Float[Tensor, "target_class axis"]:
    """Mean row of every class."""
    one_hot = torch.nn.functional.one_hot(labels).to(rows.dtype)
    return (one_hot.T @ rows) / one_hot.sum(dim=0)[:, None]


def posteriors(
    whitened: Float[Tensor, "image axis"], labels: Int[Tensor, " image"]
) -> Float[Tensor, "image target_class"]:
    """Probability of every class for every image, of Gaussian classes with unit covariance and their own frequencies.

    In sample: the classes' means are those of the very images that are classified.
    """
    means = class_means(whitened, labels)
    log_frequencies = (torch.bincount(labels).to(whitened.dtype) / len(labels)).log()
    discriminants = whitened @ means.T - means.square().sum(dim=1) / 2 + log_frequencies
    return discriminants.softmax(dim=1)


def shrinkage_for(spread: float) -> float:
    """e^-spread, but no less than 1e-10: the wider the features spread, the less of the covariance is replaced."""
    return max(math.exp(-spread), LEAST_SHRINKAGE)


def own_class(values: Float[Tensor, "image target_class"], labels: Int[Tensor, " image"]) -> Float[Tensor, " image"]:
    """Every image's value for its own class."""
    return values.gather(1, labels[:, None])[:, 0]

"""One eigendecomposition of the smaller Gram matrix, which every linear score here is built on."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class GramSpectrum:
    """The squared singular values of a matrix of feature rows, and its singular vectors on the shorter side.

    Attributes:
        rows: the matrix itself.
        eigenvalues: squared singular values, ascending; 0 where they are too small to tell.
        vectors: one column per eigenvalue: over features if there are fewer of them than images, else over
            images.
    """

    rows: Float[Tensor, "image feature"]
    eigenvalues: Float[Tensor, " axis"]
    vectors: Float[Tensor, "side axis"]

    @property
    def is_over_features(self) -> bool:
        n_images, n_features = self.rows.shape
        return n_features < n_images

    def coordinates(self) -> Float[Tensor, "image axis"]:
        """The rows in the basis of their principal axes: a rotation, so all inner products stay."""
        if self.is_over_features:
            return self.rows @ self.vectors
        return self.vectors * self.eigenvalues.sqrt()

    def cross_products(self, targets: Float[Tensor, "image target"]) -> Float[Tensor, "axis target"]:
        """`coordinates().T @ targets`, without forming the coordinates."""
        if self.is_over_features:
            return self.vectors.T @ (self.rows.T @ targets)
        return self.eigenvalues.sqrt()[:, None] * (self.vectors.T @ targets)


def gram_spectrum(rows: Float[Tensor, "image feature"]) -> GramSpectrum:
    """Decompose rows^T rows or rows rows^T, whichever is smaller."""
    n_images, n_features = rows.shape
    gram = rows.T @ rows if n_features < n_images else rows @ rows.T
    eigenvalues, vectors = torch.linalg.eigh(gram)
    # Rounding leaves eigenvalues of about 1e-16 times the largest one, of either sign, where there should be zeros.
    resolution = max(rows.shape) * torch.finfo(rows.dtype).eps * eigenvalues[-1]
    return GramSpectrum(rows, torch.where(eigenvalues > resolution, eigenvalues, 0.0), vectors)

"""Exact leave-one-out predictions of ridge regression from a kernel between images, also one of full rank.

Ridge regression is training stopped early. Under the squared loss gradient flow from logits of 0 gives an image x* that
is not trained on F_t(x*) = k(x*, X) K^-1 (I - e^{-K t}) Y, the share 1 - e^{-w t} of what the labels say along an
eigenvector of eigenvalue w. Ridge of strength l takes w / (w + l) instead, with 1 / l in the place of t (Ali, Kolter,
Tibshirani 2019). So the strength that predicts left-out images best is the best moment to stop, and unlike the flow it
has a leave-one-out in closed form.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lead_hub.errors import ScoreError
from lead_hub.transferability.leave_one_out import (
    RELATIVE_STRENGTHS,
    LeaveOneOutLogits,
    group_blocks,
    standardised,
)

# A negative eigenvalue of more than this share of the largest one is no rounding, not even in half precision.
LARGEST_NEGATIVE_SHARE = 0.01


def unit_kernel(features: Float[Tensor, "image feature"]) -> Float[Tensor, "image image"]:
    """Centred linear kernel of mean eigenvalue 1; zeros where all images are the same."""
    rows = standardised(features, scaling="global")
    mean_eigenvalue = rows.square().sum() / len(rows)
    return rows @ rows.T / torch.where(mean_eigenvalue > 0, mean_eigenvalue, 1.0)


def kernel_leave_one_out(
    kernel: Float[Tensor, "image image"],
    labels: Int[Tensor, " image"],
    *,
    relative_strengths: tuple[float, ...] = RELATIVE_STRENGTHS,
    groups: Int[Tensor, " image"] | None = None,
) -> LeaveOneOutLogits:
    """Predictions for one-hot labels, each made without the image it is for, or without its whole group.

    With eigenvectors V and eigenvalues w of the centred kernel, the constant one left out, A = V diag(l / (w + l)) V'
    takes labels to what in-sample predictions leave of them, intercept included. Leaving group G out leaves
    A_GG^-1 (A Y)_G of its labels; of one image, (A Y)_i / A_ii. Every entry is a sum of terms that are small where the
    kernel fits its images closely, so nothing cancels and nothing has to be clamped: 1 - h_ii, kept from 0 by a bound,
    would let a kernel of full rank predict even permuted labels without an error.

    Of `relative_strengths`, in units of the mean eigenvalue, the one of the smallest squared error is taken, the
    strongest of equal ones.

    Raises:
        ScoreError: the kernel has eigenvalues that are clearly negative.
    """
    spectrum = _CentredSpectrum.of(kernel)
    one_hot = torch.nn.functional.one_hot(labels).to(kernel.dtype)
    projections = spectrum.vectors.T @ one_hot
    # Without groups, every image is a block of one.
    blocks = group_blocks(torch.arange(len(labels), device=labels.device) if groups is None else groups)
    best: LeaveOneOutLogits | None = None
    for strength in relative_strengths:
        left = strength / (spectrum.eigenvalues + strength)
        residuals = spectrum.vectors @ (left[:, None] * projections)
        for block in blocks:
            residuals[block] = _left_out(spectrum.vectors[block], left, residuals[block])
        error = float(residuals.square().sum())
        if best is None or error < best.squared_error:
            best = LeaveOneOutLogits(one_hot - residuals, strength, error)
    assert best is not None
    return best


def _left_out(
    members: Float[Tensor, "group member axis"],
    left: Float[Tensor, " axis"],
    residuals: Float[Tensor, "group member target_class"],
) -> Float[Tensor, "group member target_class"]:
    """A_GG^-1 (A Y)_G for groups of one size."""
    if members.shape[1] == 1:
        return residuals / (members.square() @ left)[:, :, None]
    solved: Tensor = torch.linalg.solve((members * left) @ members.transpose(1, 2), residuals)
    return solved


@dataclass(frozen=True, eq=False)
class _CentredSpectrum:
    """Eigenvalues of a centred kernel, in units of their mean, and their vectors, orthogonal to the constant one."""

    eigenvalues: Float[Tensor, " axis"]
    vectors: Float[Tensor, "image axis"]

    @classmethod
    def of(cls, kernel: Float[Tensor, "image image"]) -> "_CentredSpectrum":
        """Reflect the constant vector to the first axis, and decompose what the kernel is on all others."""
        n_images = len(kernel)
        normal = torch.full((n_images,), n_images**-0.5, dtype=kernel.dtype, device=kernel.device)
        normal[0] += 1
        normal = normal * (2**0.5 / torch.linalg.vector_norm(normal))  # reflected: x - normal (normal . x)
        half = kernel - torch.outer(normal, normal @ kernel)
        inner = (half - torch.outer(half @ normal, normal))[1:, 1:]
        mean_eigenvalue = float(inner.trace()) / n_images
        # Of equal images rounding leaves something, as a share of the kernel's largest entry.
        resolution = n_images * torch.finfo(kernel.dtype).eps * float(kernel.abs().max())
        if mean_eigenvalue <= resolution:
            inner, mean_eigenvalue = torch.zeros_like(inner), 1.0
        eigenvalues, axes = torch.linalg.eigh(inner / mean_eigenvalue)
        if float(eigenvalues[0]) < -LARGEST_NEGATIVE_SHARE * max(float(eigenvalues[-1]), 1.0):
            raise ScoreError(
                f"a kernel must have no negative eigenvalues, found {float(eigenvalues[0]):.3g} beside"
                f" {float(eigenvalues[-1]):.3g}: it is not the inner products of anything"
            )
        vectors = torch.cat([torch.zeros_like(axes[:1]), axes])
        return cls(eigenvalues.clamp(min=0), vectors - torch.outer(normal, normal @ vectors))

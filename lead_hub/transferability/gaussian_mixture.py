"""A mixture of normal distributions with full covariances, fitted by expectation and maximisation."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

MAX_MEAN_STEPS = 100
MAX_STEPS = 100
# Of the mean log-likelihood of an image, in nats.
LIKELIHOOD_TOLERANCE = 1e-3
# Added to every variance, in the squared unit of the rows.
ADDED_VARIANCE = 1e-6
# Squared distance per axis, in the squared unit of the rows, between rows that differ by rounding alone.
ROUNDING = 1e-24


def nearest_means(
    rows: Float[Tensor, "image axis"], n_components: int, *, seed: int
) -> tuple[Int[Tensor, " image"], int]:
    """k-means (Lloyd 1982) from a start by k-means++ (Arthur, Vassilvitskii 2007).

    Returns:
        The number of every image's component, and how many of them there are: fewer than asked for where the rows
        have fewer different values.
    """
    means = _spread_rows(rows, n_components, seed=seed)
    nearest = _nearest(rows, means)
    for _ in range(MAX_MEAN_STEPS):
        members = torch.nn.functional.one_hot(nearest, len(means)).to(rows.dtype)
        counts = members.sum(dim=0)[:, None]
        means = torch.where(counts > 0, members.T @ rows / counts.clamp(min=1), means)
        previous, nearest = nearest, _nearest(rows, means)
        if torch.equal(previous, nearest):
            break
    return nearest, len(means)


def fitted_posterior(
    rows: Float[Tensor, "image axis"], start: Int[Tensor, " image"], n_components: int
) -> Float[Tensor, "image component"]:
    """Probability that an image is of a component, after the fit that starts with components of given members.

    Steps end when the mean log-likelihood changes by less than 1e-3 from one to the next, as in scikit-learn.
    """
    posterior = torch.nn.functional.one_hot(start, n_components).to(rows.dtype)
    previous = -math.inf
    for _ in range(MAX_STEPS):
        joint = _log_joint(rows, posterior)
        likelihood, posterior = float(joint.logsumexp(dim=1).mean()), joint.softmax(dim=1)
        if abs(likelihood - previous) < LIKELIHOOD_TOLERANCE:
            break
        previous = likelihood
    return _log_joint(rows, posterior).softmax(dim=1)


def _spread_rows(rows: Float[Tensor, "image axis"], n_components: int, *, seed: int) -> Float[Tensor, "component axis"]:
    """Rows drawn one by one with probabilities as their squared distances to the nearest one drawn before."""
    # On the CPU, so that all devices draw the same.
    draws = torch.rand(n_components, generator=torch.Generator().manual_seed(seed), dtype=rows.dtype).to(rows.device)
    chosen = [min(len(rows) - 1, int(draws[0] * len(rows)))]
    squared_distances = (rows - rows[chosen[0]]).square().sum(dim=1)
    for draw in draws[1:]:
        squared_distances[squared_distances <= ROUNDING * rows.shape[1]] = 0
        cumulative = squared_distances.cumsum(0)
        if cumulative[-1] == 0:
            break
        place = torch.searchsorted(cumulative, draw * cumulative[-1], right=True)
        chosen.append(min(len(rows) - 1, int(place)))
        to_latest = (rows - rows[chosen[-1]]).square().sum(dim=1)
        squared_distances = torch.minimum(squared_distances, to_latest)
    return rows[chosen]


def _nearest(rows: Float[Tensor, "image axis"], means: Float[Tensor, "component axis"]) -> Int[Tensor, " image"]:
    # The squared length of the row itself is the same for all means.
    return (means.square().sum(dim=1) - 2 * rows @ means.T).argmin(dim=1)


def _log_joint(
    rows: Float[Tensor, "image axis"], posterior: Float[Tensor, "image component"]
) -> Float[Tensor, "image component"]:
    """Log of weight times density, with the weight, mean and covariance that maximise the posterior's likelihood."""
    masses = posterior.sum(dim=0)
    means = posterior.T @ rows / torch.where(masses > 0, masses, 1.0)[:, None]
    densities = [
        _log_density(rows, mean, column / mass) if mass > 0 else torch.full_like(column, -math.inf)
        for mean, column, mass in zip(means, posterior.T, masses, strict=True)
    ]
    return torch.stack(densities, dim=1) + (masses / len(rows)).log()


def _log_density(
    rows: Float[Tensor, "image axis"], mean: Float[Tensor, " axis"], shares: Float[Tensor, " image"]
) -> Float[Tensor, " image"]:
    """Of the normal distribution with the mean and covariance of images that have these shares in it.

    With those images' scaled offsets A the covariance is C = A^T A + v I. With fewer images than axes neither C nor its
    inverse is formed: C^-1 = (I - A^T (A A^T + v I)^-1 A) / v, and det C = v^(axes - images) det(A A^T + v I).
    """
    members = shares > 0
    offsets = (rows[members] - mean) * shares[members].sqrt()[:, None]
    n_members, n_axes = offsets.shape
    if n_members < n_axes:
        inner = _cholesky(offsets @ offsets.T)
        along: Tensor = torch.linalg.solve_triangular(inner, offsets @ rows.T - (offsets @ mean)[:, None], upper=False)
        squared_lengths = rows.square().sum(dim=1) - 2 * rows @ mean + mean.square().sum()
        squared_distances = (squared_lengths - along.square().sum(dim=0)) / ADDED_VARIANCE
        log_determinant = (n_axes - n_members) * math.log(ADDED_VARIANCE) + 2 * inner.diagonal().log().sum()
    else:
        factor = _cholesky(offsets.T @ offsets)
        whitened: Tensor = torch.linalg.solve_triangular(factor, (rows - mean).T, upper=False)
        squared_distances = whitened.square().sum(dim=0)
        log_determinant = 2 * factor.diagonal().log().sum()
    return -(n_axes * math.log(2 * math.pi) + log_determinant + squared_distances) / 2


def _cholesky(gram: Float[Tensor, "side side"]) -> Float[Tensor, "side side"]:
    gram.diagonal().add_(ADDED_VARIANCE)
    factor: Tensor = torch.linalg.cholesky(gram)
    return factor

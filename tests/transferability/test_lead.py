"""LEAD over several depths, and over the whole network: the definition in plain loops, and what they promise."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from lead_hub.errors import ScoreError
from lead_hub.transferability import score, transferability
from lead_hub.transferability.leave_one_out import RELATIVE_STRENGTHS
from tests.transferability.made_features import balanced_labels, clusters, linear_kernel, noise
from tests.transferability.test_groups import mixed_groups
from tests.transferability.test_kernel_ridge import full_rank_kernel, refitted
from tests.transferability.test_lead_head import likeliest_sharpness, likelihoods

METHODS = ["lead", "lead-network"]


def naive_term(kernel: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> tuple[list[float], np.ndarray]:
    """Refit without every image or group at every strength; the likeliest sharpness; and log chances of all classes."""
    targets = np.eye(int(labels.max()) + 1)[labels]
    candidates = [refitted(kernel, targets, groups, strength) for strength in RELATIVE_STRENGTHS]
    best = min(candidates, key=lambda predictions: float(np.square(targets - predictions).sum()))
    sharpness = likeliest_sharpness(best, labels)
    chances = [likelihoods(best, np.full(len(labels), each), sharpness) for each in range(targets.shape[1])]
    return likelihoods(best, labels, sharpness), np.array(chances).T


def pieces(n_features: int) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Features that know little, depths that know more, and a tangent kernel of full rank."""
    labels = balanced_labels(21, 3)
    depths = sum(linear_kernel(clusters(labels, 5, distance=2.0, seed=seed)) for seed in (1, 2))
    kernels = {"depth_kernel": depths, "network_kernel": full_rank_kernel(clusters(labels, 4, distance=2.0, seed=3))}
    return clusters(labels, n_features, distance=0.7) + 0.5, labels, kernels


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_features", [4, 40])
@pytest.mark.parametrize("grouped", [False, True])
def test_equals_the_naive_definition(method, n_features, grouped) -> None:
    features, labels, kernels = pieces(n_features)
    groups = mixed_groups(21) if grouped else None
    alone = np.arange(21) if groups is None else groups.numpy()
    own = linear_kernel(features)
    used = [own, own + kernels["depth_kernel"], kernels["network_kernel"]][: 2 if method == "lead" else 3]
    terms, chances = zip(*(naive_term(kernel.numpy(), labels.numpy(), alone) for kernel in used), strict=True)
    found = transferability(features, labels, method, kernels=kernels, groups=groups)
    np.testing.assert_allclose(found.per_image.numpy(), np.mean(terms, axis=0), rtol=0, atol=1e-7)
    assert found.value == pytest.approx(float(np.mean(terms)), abs=1e-8)
    assert found.predicted.tolist() == np.sum(chances, axis=0).argmax(axis=1).tolist()
    names = ["loo_log_loss", "loo_log_loss_depths", "loo_log_loss_network"]
    for name, term in zip(names, terms, strict=False):
        assert found.companions[name] == pytest.approx(-np.mean(term), abs=1e-8)


def test_the_first_term_is_the_plain_log_loss_and_its_accuracy() -> None:
    features, labels, kernels = pieces(6)
    plain = transferability(features, labels, "lead-head")
    for method in METHODS:
        found = transferability(features, labels, method, kernels=kernels).companions
        assert found["loo_log_loss"] == plain.companions["loo_log_loss"]
        assert found["loo_accuracy"] == plain.companions["loo_accuracy"]


@pytest.mark.parametrize("method", METHODS)
def test_a_packed_triangle_in_single_precision_is_as_good(method) -> None:
    features, labels, kernels = pieces(6)
    first, second = torch.triu_indices(21, 21)
    packed = {name: kernel[first, second].float() for name, kernel in kernels.items()}
    found = score(features, labels, method, kernels=packed)
    assert found == pytest.approx(score(features, labels, method, kernels=kernels), abs=1e-5)
    assert score(features, labels, method, kernels={name: one.numpy() for name, one in packed.items()}) == found


def test_depths_that_know_more_than_the_last_features_are_heard() -> None:
    labels = balanced_labels(100, 4)
    features = noise(100, 30)
    depths = [clusters(labels, 30, distance=distance, seed=5) for distance in (0.0, 1.5, 4.0)]
    values = [score(features, labels, "lead", kernels={"depth_kernel": 4 * linear_kernel(depth)}) for depth in depths]
    assert values[0] < values[1] - 0.05 < values[2] - 0.1
    assert abs(values[0] + math.log(4)) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_features", [5, 50, 5000])
def test_noise_and_permuted_labels_are_at_chance(method, n_features) -> None:
    labels = balanced_labels(200, 5)
    features = clusters(labels, n_features, distance=4 * n_features**0.25)
    full_rank = full_rank_kernel(features, width=n_features**0.5)
    kernels = {"depth_kernel": linear_kernel(features), "network_kernel": full_rank}
    assert score(features, labels, method, kernels=kernels) > -0.5
    permuted = labels[torch.randperm(200, generator=torch.Generator().manual_seed(1))]
    assert abs(score(features, permuted, method, kernels=kernels) + math.log(5)) < 0.05


def test_without_depths_the_last_features_count_alone() -> None:
    features, labels, kernels = pieces(6)
    found, plain = transferability(features, labels), transferability(features, labels, "loo-log-loss")
    assert found.value == plain.value
    assert torch.equal(found.per_image, plain.per_image)
    assert torch.equal(found.predicted, plain.predicted)
    assert "loo_log_loss_depths" not in found.companions
    assert found.value != score(features, labels, kernels=kernels)


def test_the_whole_network_needs_its_kernels() -> None:
    features, labels, kernels = pieces(6)
    for name in kernels:
        with pytest.raises(ScoreError, match=rf"lead-network needs .* \({name}\), found none"):
            score(features, labels, "lead-network", kernels={**kernels, name: None})


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (torch.eye(20), r"must have a row and a column for each of 21 images, found \(20, 20\)"),
        (torch.zeros(100), "must be a matrix or its upper triangle row by row, found 100 numbers"),
        (torch.zeros(210), r"for each of 21 images, found \(20, 20\)"),
        (torch.full((21, 21), math.nan), "depth_kernel must be finite"),
        (torch.arange(441.0).reshape(21, 21), "must be symmetric"),
        (torch.zeros(21, 3), "must have a row and a column"),
        (["a"] * 21, "must be numbers"),
        (torch.eye(21).flip(0), "no negative eigenvalues"),
    ],
)
def test_what_is_no_kernel_is_refused(kernel, message) -> None:
    features, labels, _ = pieces(6)
    with pytest.raises(ScoreError, match=message):
        score(features, labels, "lead", kernels={"depth_kernel": kernel})


def test_a_kernel_that_no_score_asked_for_is_not_looked_at() -> None:
    features, labels, _ = pieces(6)
    by_head = score(features, labels, "lead-head")
    assert score(features, labels, "lead-head", kernels={"depth_kernel": torch.zeros(3)}) == by_head

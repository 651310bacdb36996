"""The infinitely wide head: by hand, by sampling angles, and as the limit of wide ones."""

import math

import pytest
import torch

from lead_hub.transferability.head_kernel import infinite_head_kernel, row_cosines
from lead_hub.transferability.random_head import gradient_gram, random_head
from tests.transferability.made_features import noise, rotation


def activation(cosine: float) -> float:
    """The arc-cosine kernel of degree 1 over its value at 0 degrees, written with the angle."""
    angle = math.acos(cosine)
    return (math.sin(angle) + (math.pi - angle) * math.cos(angle)) / math.pi


def slope(cosine: float) -> float:
    """The arc-cosine kernel of degree 0."""
    return (math.pi - math.acos(cosine)) / math.pi


def layer_by_layer(cosine: float) -> float:
    """The recursion of neural tangent kernels: Theta' = Sigma' + Theta * (slope kernel), starting at the inputs."""
    tangent, signal = cosine, cosine
    for _ in range(2):
        tangent = activation(signal) + tangent * slope(signal)
        signal = activation(signal)
    return tangent


@pytest.mark.parametrize("cosine", [-1.0, -0.7, 0.0, 0.3, 0.99, 1.0])
def test_equals_the_recursion_over_layers(cosine: float) -> None:
    features = torch.tensor([[2.0, 0.0], [5 * cosine, 5 * math.sqrt(1 - cosine**2)]], dtype=torch.float64)
    kernel = infinite_head_kernel(features)
    assert float(kernel[0, 1]) == pytest.approx(layer_by_layer(cosine), rel=1e-12)
    assert torch.equal(kernel, kernel.T)
    assert kernel.diagonal().tolist() == pytest.approx([3, 3], rel=1e-15)


def test_by_hand() -> None:
    # Opposite images: no neuron of the first layer is active for both, so only the last layer knows the other, where
    # two orthogonal vectors of activations have kappa_1(0) = 1 / pi. The same image: every layer adds 1.
    opposite = infinite_head_kernel(torch.tensor([[1.0], [-1.0], [3.0]], dtype=torch.float64))
    expected = [[3, 1 / math.pi, 3], [1 / math.pi, 3, 1 / math.pi], [3, 1 / math.pi, 3]]
    torch.testing.assert_close(opposite, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-7)


def test_entries_stay_where_power_iteration_is_fast() -> None:
    angles = torch.linspace(0, math.pi, 2001, dtype=torch.float64)
    kernel = infinite_head_kernel(torch.stack([angles.cos(), angles.sin()], dim=1))
    assert float(kernel.min()) > 0.29
    assert float(kernel.max()) <= 3 + 1e-12


def test_wide_heads_converge_to_it() -> None:
    """The root mean square error over heads halves whenever the layers become four times as wide."""
    features = torch.nn.functional.normalize(noise(6, 5, seed=2), dim=1)
    n_features, n_classes = 5, 3
    limit = infinite_head_kernel(features)
    errors = []
    for width in (32, 128, 512):
        squared = 0.0
        # A learning rate of 1 / fan in per layer, for inputs whose numbers are of order 1 and for one logit.
        unit = n_features / n_classes
        layer_rates = (unit / n_features, unit / width, unit / width)
        for seed in range(40):
            head = random_head(n_features, n_classes, seed=seed, like=features, widths=(width, width))
            squared += float((gradient_gram(head, features, layer_rates=layer_rates) - limit).square().mean())
        errors.append(math.sqrt(squared / 40))
    assert errors[2] < 0.2
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.25)
    assert errors[1] / errors[2] == pytest.approx(2, rel=0.25)


def test_only_directions_matter() -> None:
    features = noise(20, 6)
    lengths = torch.logspace(-100, 100, 20, dtype=torch.float64)[:, None]
    kernel = infinite_head_kernel(features)
    torch.testing.assert_close(infinite_head_kernel(features @ rotation(6)), kernel, rtol=1e-12, atol=0)
    torch.testing.assert_close(infinite_head_kernel(1e-3 * features), kernel, rtol=1e-12, atol=0)
    torch.testing.assert_close(infinite_head_kernel(lengths * features), kernel, rtol=1e-12, atol=0)


def test_an_image_of_zeros_has_no_gradient() -> None:
    features = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    expected = torch.tensor([[0.0, 0, 0], [0, 3, 3], [0, 3, 3]], dtype=torch.float64)
    torch.testing.assert_close(infinite_head_kernel(features), expected, rtol=0, atol=1e-7)
    assert torch.equal(row_cosines(torch.zeros(2, 3, dtype=torch.float64)), torch.zeros(2, 2, dtype=torch.float64))


def test_it_is_a_kernel() -> None:
    assert float(torch.linalg.eigvalsh(infinite_head_kernel(noise(60, 3)))[0]) > -1e-10

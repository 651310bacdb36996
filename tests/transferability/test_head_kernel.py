import math

import pytest
import torch

from lead_hub.transferability.head_kernel import gradient_gram, infinite_head_kernel, random_head
from tests.transferability.made_features import noise, rotation

DOUBLE = torch.float64


def test_orthogonal_equal_and_opposite_images() -> None:
    features = torch.tensor([[1.0, 0.0], [0.0, 3.0], [-2.0, 0.0]], dtype=DOUBLE)
    kernel = infinite_head_kernel(features)
    # kappa_0(c) = 1 - arccos(c) / pi and kappa_1(c) = (sqrt(1 - c^2) + c (pi - arccos c)) / pi.
    # Equal images, cosine 1: both are 1, and each of three layers gives 1.
    torch.testing.assert_close(kernel.diagonal(), torch.full((3,), 3.0, dtype=DOUBLE))
    # Orthogonal images: kappa_1(0) = 1 / pi in the first hidden layer, and the first layer gives 0.
    cosine = 1 / math.pi
    slope = 1 - math.acos(cosine) / math.pi
    last = (math.sqrt(1 - cosine**2) + cosine * (math.pi - math.acos(cosine))) / math.pi
    assert float(kernel[0, 1]) == pytest.approx(last + cosine * slope, rel=1e-14)
    # Opposite images share no active unit in the first hidden layer, so only kappa_1(0) of the last is left.
    assert float(kernel[0, 2]) == pytest.approx(1 / math.pi, rel=1e-14)


def test_smallest_value_that_the_power_iteration_relies_on() -> None:
    angles = torch.linspace(0, math.pi, 501, dtype=DOUBLE)
    circle = torch.stack([angles.cos(), angles.sin()], dim=1)
    values = infinite_head_kernel(circle)[0]
    assert 0.26 < float(values.min()) < 0.27
    assert float(values.max()) == 3.0


def test_finite_heads_converge_to_it() -> None:
    """The root mean square error over 40 heads halves whenever the layers become four times as wide."""
    features = noise(6, 5, seed=2)
    features = features / features.norm(dim=1, keepdim=True)
    limit = infinite_head_kernel(features)
    errors = []
    for width in (32, 128, 512):
        # Each layer's gradient over its fan in; then divided by what the scheme leaves over, the 2 / fan in of the
        # first layer's weights halved by its ReLU, and one unit of gradient for each of 3 logits.
        rates = (1 / 5 * 5 / 3, 1 / width * 5 / 3, 1 / width * 5 / 3)
        heads = (random_head(5, 3, seed=seed, like=features, widths=(width, width)) for seed in range(40))
        squares = [(gradient_gram(head, features, layer_rates=rates) - limit).square().mean() for head in heads]
        errors.append(float(torch.stack(squares).mean().sqrt()))
    assert errors[2] < 0.2
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.25)
    assert errors[1] / errors[2] == pytest.approx(2, rel=0.25)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3, 1e200, 1e-140])
def test_depends_on_directions_alone(scale) -> None:
    features = noise(8, 5)
    lengths = torch.linspace(0.1, 9, 8, dtype=DOUBLE)[:, None]
    changed = scale * lengths * (features @ rotation(5))
    torch.testing.assert_close(infinite_head_kernel(changed), infinite_head_kernel(features), rtol=0, atol=1e-7)


def test_an_image_of_zeros_has_no_gradient() -> None:
    features = noise(4, 3)
    features[2] = 0
    kernel = infinite_head_kernel(features)
    assert torch.equal(kernel[2], torch.zeros(4, dtype=DOUBLE))
    assert torch.equal(kernel[:, 2], torch.zeros(4, dtype=DOUBLE))
    others = [0, 1, 3]
    torch.testing.assert_close(kernel[others][:, others], infinite_head_kernel(features[others]))
    # The same as a finite head says of it, without any convention.
    head = random_head(3, 2, seed=0, like=features, widths=(16, 16))
    assert torch.equal(gradient_gram(head, features)[2], torch.zeros(4, dtype=DOUBLE))


def test_is_symmetric_and_positive_semidefinite() -> None:
    kernel = infinite_head_kernel(noise(50, 3))
    torch.testing.assert_close(kernel, kernel.T, rtol=0, atol=1e-9)
    assert float(torch.linalg.eigvalsh(kernel)[0]) > -1e-12

"""The head's kernel without gradients, against gradients."""

import pytest
import torch
from torch import Tensor

from lead_hub.transferability.random_head import HIDDEN_WIDTHS, RandomHead, gradient_gram, mean_eigenvalue, random_head
from tests.transferability.made_features import noise


def autograd_gram(head: RandomHead, features: Tensor) -> Tensor:
    """Image by image: the sum of the logits, its gradient with respect to every weight, their inner products."""
    weights = [weight.clone().requires_grad_() for weight in (head.first, head.second, head.last)]
    gradients = []
    for row in features:
        logits = weights[2] @ torch.relu(weights[1] @ torch.relu(weights[0] @ row))
        gradients.append(torch.cat([part.flatten() for part in torch.autograd.grad(logits.sum(), weights)]))
    stacked = torch.stack(gradients)
    return stacked @ stacked.T


@pytest.mark.parametrize(("widths", "n_images", "n_features"), [((12, 20), 15, 7), (HIDDEN_WIDTHS, 6, 40)])
def test_the_gram_and_its_mean_eigenvalue_are_those_of_autograd(
    widths: tuple[int, int], n_images: int, n_features: int
) -> None:
    features = 3 * noise(n_images, n_features)
    head = random_head(n_features, 5, seed=4, like=features, widths=widths)
    gram = autograd_gram(head, features)
    torch.testing.assert_close(gradient_gram(head, features), gram, rtol=1e-10, atol=0)
    expected = float(torch.linalg.eigvalsh(gram).mean())
    assert mean_eigenvalue(head, features) == pytest.approx(expected, rel=1e-8)


def test_weights_have_the_variance_that_keeps_signals_alive() -> None:
    features = noise(1, 300)
    head = random_head(300, 50, seed=0, like=features)
    for weight, fan_in in ((head.first, 300), (head.second, 1024), (head.last, 2048)):
        assert weight.shape[1] == fan_in
        # The sample variance of m normal numbers is off by sqrt(2 / m) of itself; four times that is very rare.
        assert float(weight.square().mean()) == pytest.approx(2 / fan_in, rel=4 * (2 / weight.numel()) ** 0.5)


def test_a_seed_is_one_head_and_touches_no_other_random_number() -> None:
    features = noise(3, 10)
    state = torch.get_rng_state()
    heads = [random_head(10, 3, seed=seed, like=features, widths=(8, 9)) for seed in (5, 5, 6)]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(heads[0].first, heads[1].first)
    assert torch.equal(heads[0].last, heads[1].last)
    assert not torch.equal(heads[0].first, heads[2].first)

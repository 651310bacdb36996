import numpy as np
import pytest
import torch
from torch import Tensor

from lead_hub.transferability.head_kernel import RandomHead, gradient_gram, mean_eigenvalue, random_head
from tests.transferability.made_features import noise


def autograd_gram(head: RandomHead, features: Tensor) -> np.ndarray:
    """Gradients of the sum of the logits as automatic differentiation gives them, image by image."""
    weights = [weight.clone().requires_grad_() for weight in (head.first, head.second, head.last)]
    gradients = []
    for image in features:
        hidden = torch.relu(weights[0] @ image)
        logits = weights[2] @ torch.relu(weights[1] @ hidden)
        parts = torch.autograd.grad(logits.sum(), weights)
        gradients.append(torch.cat([part.flatten() for part in parts]))
    jacobian = torch.stack(gradients)
    return (jacobian @ jacobian.T).numpy()


@pytest.mark.parametrize(
    ("n_features", "n_classes", "widths"), [(1, 2, (3, 4)), (7, 5, (40, 60)), (20, 3, (1024, 2048))]
)
def test_closed_forms_equal_autograd(n_features, n_classes, widths) -> None:
    features = 10 * noise(8, n_features)
    head = random_head(n_features, n_classes, seed=3, like=features, widths=widths)
    expected = autograd_gram(head, features)
    np.testing.assert_allclose(gradient_gram(head, features).numpy(), expected, rtol=1e-10, atol=1e-8)
    assert mean_eigenvalue(head, features) == pytest.approx(np.linalg.eigvalsh(expected).mean(), rel=1e-8)


def test_layer_rates_weight_the_layers() -> None:
    features = noise(4, 3)
    head = random_head(3, 2, seed=0, like=features, widths=(5, 6))
    alone = [gradient_gram(head, features, layer_rates=tuple(float(i == j) for j in range(3))) for i in range(3)]
    weighted = gradient_gram(head, features, layer_rates=(2.0, 3.0, 5.0))
    torch.testing.assert_close(weighted, 2 * alone[0] + 3 * alone[1] + 5 * alone[2])


def test_weights_have_the_variance_that_is_promised_and_follow_the_seed() -> None:
    like = torch.zeros(1, dtype=torch.float64)
    head = random_head(100, 50, seed=0, like=like)
    assert [tuple(w.shape) for w in (head.first, head.second, head.last)] == [(1024, 100), (2048, 1024), (50, 2048)]
    for weights in (head.first, head.second, head.last):
        assert float(weights.var()) == pytest.approx(2 / weights.shape[1], rel=0.02)
    assert torch.equal(head.second, random_head(100, 50, seed=0, like=like).second)
    assert not torch.equal(head.second, random_head(100, 50, seed=1, like=like).second)


def test_drawing_a_head_leaves_other_random_numbers_alone() -> None:
    state = torch.get_rng_state()
    random_head(3, 2, seed=0, like=noise(1, 1), widths=(4, 5))
    assert torch.equal(torch.get_rng_state(), state)

"""Several scores of one checkpoint: the same as one by one, and what they share is computed once."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode

from lead_hub import ScoreError
from lead_hub.transferability import SCORES, TransferabilityScore, transferabilities, transferability
from lead_hub.transferability.kernel_ridge import unit_kernel
from tests.transferability.made_features import balanced_labels, clusters, noise

LABELS = balanced_labels(90, 3)
KERNELS = {"depth_kernel": unit_kernel(noise(90, 30, seed=1)), "network_kernel": unit_kernel(noise(90, 200, seed=2))}
FACTS = {"parameters": 5.0, "imagenet_top1_percent": 80.0, "downloads": 7.0, "standing": 1.0}
# With fewer features than images, and with more.
FEATURES = {"few": clusters(LABELS, 20, distance=2.0), "many": clusters(LABELS, 150, distance=2.0)}


class Decompositions(TorchFunctionMode):
    """Counts eigendecompositions within the block."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        self.count += function is torch.linalg.eigh
        return function(*arguments, **(options or {}))


@pytest.mark.slow
@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("features", FEATURES)
def test_all_together_give_what_each_gives_alone(features: str, order: int) -> None:
    given: dict[str, Any] = {"logits": noise(90, 7, seed=3), "facts": FACTS, "kernels": KERNELS}
    together = transferabilities(FEATURES[features], LABELS, list(SCORES)[::order], **given)
    assert list(together) == list(SCORES)[::order]
    for method, found in together.items():
        if isinstance(found, ScoreError):
            with pytest.raises(ScoreError) as refused:
                transferability(FEATURES[features], LABELS, method, **given)
            assert str(found) == str(refused.value)
            continue
        alone = transferability(FEATURES[features], LABELS, method, **given)
        assert found.value == alone.value, method
        assert (found.companions, found.notes) == (alone.companions, alone.notes)


@pytest.mark.parametrize(
    ("methods", "n_decompositions"),
    [
        (("lead",), 2),  # of the features, and of the kernel of the depths
        (("lead", "lead+prior", "lead-head", "loo-log-loss", "linear-probe", "h-score", "gbc", "parc"), 2),
        (("lead", "lead-network"), 3),
        (("etran", "etran-classification", "sfda"), 2),  # within the classes, before and after the self-challenge
    ],
)
def test_what_several_need_is_decomposed_once(methods: Sequence[str], n_decompositions: int) -> None:
    with Decompositions() as decompositions:
        transferabilities(FEATURES["few"], LABELS, methods, kernels=KERNELS)
    assert decompositions.count == n_decompositions


def test_one_that_is_undefined_does_not_cost_the_others() -> None:
    found = transferabilities(FEATURES["few"], LABELS, ("leep", "knn", "lead-network", "downloads"))
    assert isinstance(found["knn"], TransferabilityScore)
    assert {method for method, score in found.items() if isinstance(score, ScoreError)} == set(found) - {"knn"}
    assert str(found["leep"]) == "leep needs the logits of the checkpoint's own trained head, found none"

"""Augmentation, schedule, evaluation and networks, each against what it must be by definition."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, log_loss
from torch import nn

from lead_hub.checkpoint_outputs import load_checkpoint
from lead_hub.errors import CandidateError
from lead_hub.finetuning.learner import Learner, rate_factor
from lead_hub.finetuning.model_inputs import changed, drawn_changes
from lead_hub.finetuning.network import (
    Backbone,
    Hardware,
    Network,
    Standardisation,
    add_adapters,
    count_features,
    is_folded,
    this_hardware,
    within_memory,
)
from lead_hub.finetuning.training import Predictions, batch_size
from tests.tiny_checkpoints import random_images


def test_a_picture_is_moved_and_mirrored_as_drawn() -> None:
    pictures = torch.arange(2 * 12 * 24, dtype=torch.float32).reshape(1, 2, 12, 24)
    # sides of 12 and 24: shifts of up to 1 row and 2 columns; (1, 2) cuts off just the padding
    assert torch.equal(changed(pictures, torch.tensor([[1, 2, 0]])), pictures)
    assert torch.equal(changed(pictures, torch.tensor([[1, 2, 1]])), pictures.flip(-1))
    moved = changed(pictures, torch.tensor([[2, 0, 0]]))  # one row up, two columns to the right
    assert torch.equal(moved[..., :-1, 2:], pictures[..., 1:, :-2])
    assert torch.equal(moved[..., -1, 2:], pictures[..., -1, :-2])  # what comes in repeats the edge
    assert torch.equal(moved[..., :-1, 0], pictures[..., 1:, 0])


@pytest.mark.parametrize("flip", [True, False])
def test_changes_are_drawn_evenly_within_their_range(flip: bool) -> None:
    changes = drawn_changes(
        6000, pixels=torch.zeros(1, 3, 12, 24), flip=flip, generator=torch.Generator().manual_seed(0)
    )
    for column, n_values in enumerate((3, 5, 2 if flip else 1)):
        counts = torch.bincount(changes[:, column])
        assert len(counts) == n_values
        expected, deviation = 6000 / n_values, math.sqrt(6000 / n_values)
        assert (counts - expected).abs().max() < 5 * deviation


def test_packed_patches_and_features_are_not_changed() -> None:
    for shape in ((5, 4, 7), (5, 7)):
        inputs = torch.rand(shape)
        changes = drawn_changes(5, pixels=inputs, flip=True, generator=torch.Generator().manual_seed(0))
        assert torch.equal(changed(inputs, changes), inputs)


def test_the_rate_rises_over_a_tenth_and_falls_to_zero_on_a_cosine() -> None:
    factors = [rate_factor(step, 100) for step in range(100)]
    assert factors[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert factors[10] == 1.0
    assert factors[55] == pytest.approx(0.5)  # half of the way from 10 to 100
    assert all(later < earlier for earlier, later in itertools.pairwise(factors[10:]))
    assert 0 < factors[99] < 1e-3
    assert rate_factor(0, 1) == 1.0


@pytest.mark.parametrize(
    ("n_images", "n_processes", "expected"),
    [(5, 1, 5), (20, 1, 8), (160, 1, 10), (512, 1, 32), (10_000, 1, 32), (160, 3, 9), (10_000, 3, 30), (2, 2, 2)],
)
def test_batches_divide_among_the_processes(n_images: int, n_processes: int, expected: int) -> None:
    assert batch_size(n_images, n_processes) == expected


def test_measures_are_those_of_scikit_learn() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(6, (200,), generator=generator)
    logits = torch.randn(200, 7, generator=generator) + 2 * nn.functional.one_hot(labels, 7)
    found, answers = Predictions(logits, labels), logits.argmax(dim=1)
    assert found.accuracy == pytest.approx(accuracy_score(labels, answers))
    assert found.macro_f1 == pytest.approx(f1_score(labels, answers, average="macro"))
    probabilities = torch.softmax(logits.double(), dim=1).numpy()
    assert found.log_loss == pytest.approx(log_loss(labels, probabilities, labels=list(range(7))))
    assert found.is_finite
    assert not Predictions(logits * math.inf, labels).is_finite


def test_standardised_features_have_mean_0_and_deviation_1_even_where_one_is_constant() -> None:
    features = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([1e-3, 1.0, 1e3, 0.0]) + 7
    standardised = Standardisation(features)(features)
    torch.testing.assert_close(standardised.mean(dim=0), torch.zeros(4), atol=1e-3, rtol=0)
    torch.testing.assert_close(standardised[:, :3].std(dim=0, correction=0), torch.ones(3), atol=1e-3, rtol=0)
    assert torch.isfinite(standardised).all()


def network_of(folder: Path, mode: str) -> Network:
    torch.manual_seed(0)
    checkpoint = load_checkpoint(folder)
    trunk = Backbone(checkpoint, mode=mode)
    pixels = checkpoint.prepare(random_images(2))
    return Network(trunk, n_features=count_features(checkpoint, pixels), n_classes=3)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["resnet", "vit", "dinov2"])
@pytest.mark.parametrize("mode", ["full", "lora"])
def test_before_the_first_step_the_head_reads_the_features_that_recommend_scores(
    tiny_pool: Path, family: str, mode: str
) -> None:
    checkpoint = load_checkpoint(tiny_pool / family)
    network = network_of(tiny_pool / family, mode).eval()
    pixels = checkpoint.prepare(random_images(3))
    with torch.no_grad():
        torch.testing.assert_close(network.trunk(pixels), checkpoint.forward(pixels)[0])
        torch.testing.assert_close(network(pixels), network.head(checkpoint.forward(pixels)[0].clone()))


def test_norms_whose_statistics_went_into_the_kernels_stay_as_they_are(tiny_pool: Path) -> None:
    """In training mode the network computes what it computed before; its other norms take the batch's statistics."""
    checkpoint = load_checkpoint(tiny_pool / "resnet")
    pixels = checkpoint.prepare(random_images(3))
    norms = [module for module in checkpoint.backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.running_mean.zero_()
        norm.running_var.fill_(1.0)
        torch.nn.init.normal_(norm.bias)
    trunk = Backbone(checkpoint, mode="full").train()
    with torch.no_grad():
        torch.testing.assert_close(trunk(pixels), checkpoint.forward(pixels)[0])
        assert trunk.folded == norms
        norms[0].bias.zero_()  # as a network at random has it
    assert not is_folded(norms[0])
    assert Backbone(checkpoint, mode="full").train().folded == norms[1:]
    assert norms[0].training


@pytest.mark.parametrize("family", ["resnet", "vit"])
def test_lora_trains_adapters_and_head_alone(tiny_pool: Path, family: str) -> None:
    network = network_of(tiny_pool / family, "lora")
    names = set(network.learning())
    assert {"head.weight", "head.bias"} < names
    assert all("lora_" in name for name in names - {"head.weight", "head.bias"})
    adapters = sum("lora_" in name for name in names)
    plain = [m for m in load_checkpoint(tiny_pool / family).backbone.modules() if type(m) in {nn.Linear, nn.Conv2d}]
    assert adapters == 2 * sum(getattr(module, "groups", 1) == 1 for module in plain)

    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    learner = Learner(network, peak_rate=1e-2, n_steps=2, hardware=this_hardware())
    pixels = load_checkpoint(tiny_pool / family).prepare(random_images(6))
    network.train()
    for _ in range(2):
        learner.step(lambda: pixels, torch.tensor([0, 1, 2, 0, 1, 2]))
    moved = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == names


def test_full_fine_tuning_moves_the_backbone_and_no_old_head(tiny_pool: Path) -> None:
    network = network_of(tiny_pool / "vit", "full")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.train()
    pixels = load_checkpoint(tiny_pool / "vit").prepare(random_images(3))
    Learner(network, peak_rate=1e-2, n_steps=1, hardware=this_hardware()).step(lambda: pixels, torch.tensor([0, 1, 2]))
    moved = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert any(".encoder." in name or ".layer" in name for name in moved)
    assert "head.weight" in moved
    assert not [name for name in moved if name.startswith("trunk.model.classifier")]


def test_a_backbone_without_plain_layers_takes_no_adapters() -> None:
    with pytest.raises(CandidateError, match="LoRA needs plain linear layers") as caught:
        add_adapters(nn.Sequential(nn.LayerNorm(3), nn.Conv2d(4, 4, 3, groups=4)))
    assert caught.value.stage == "finetune"


class Greedy(nn.Module):
    """A trunk that has memory for two images at once, no more."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        self.sizes: list[int] = []

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(inputs))
        if len(inputs) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
        return inputs * self.scale


@pytest.mark.slow
def test_out_of_memory_halves_what_goes_through_at_once_and_changes_no_gradient() -> None:
    inputs, labels = (
        torch.tensor(np.random.default_rng(0).normal(size=(7, 3)), dtype=torch.float32),
        torch.arange(7) % 2,
    )
    torch.manual_seed(0)
    network = Network(Greedy(), n_features=3, n_classes=2)
    whole = nn.functional.cross_entropy(network.head(inputs * network.trunk.scale), labels)
    expected = torch.autograd.grad(whole, list(network.parameters()))
    learner = Learner(network, peak_rate=1e-3, n_steps=1, hardware=this_hardware())
    assert learner._backward(inputs, labels) == pytest.approx(whole.item())
    assert network.trunk.sizes == [7, 3, 1, 1, 1, 1, 1, 1, 1]
    for weight, gradient in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(weight.grad, gradient)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "must fit into the memory of cpu, it does not .* mode 'lora'"),
        (MemoryError("no room"), "must fit into the memory of cpu"),
        (ValueError("Expected more than 1 value per channel"), "found ValueError: Expected more than 1 value"),
        (RuntimeError("unlike shapes"), "found RuntimeError: unlike shapes"),
    ],
)
def test_whatever_a_step_meets_is_the_candidates_alone(error: Exception, said: str) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(CandidateError, match=said) as raised:
        within_memory(fail, device=torch.device("cpu"))()
    assert raised.value.stage == "finetune"


def losses_of(folder: Path, dtype: torch.dtype) -> list[float]:
    network, here = network_of(folder, "full").train(), this_hardware()
    learner = Learner(network, peak_rate=3e-3, n_steps=8, hardware=Hardware(here.processes, here.device, dtype))
    pixels = load_checkpoint(folder).prepare(random_images(6))
    losses = [learner.step(lambda: pixels, torch.tensor([0, 1, 2, 0, 1, 2])) for _ in range(8)]
    assert all(weight.dtype == torch.float32 for weight in network.parameters())
    return losses


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_learns_as_single_precision_does(tiny_pool: Path, dtype: torch.dtype) -> None:
    single, half = (losses_of(tiny_pool / "vit", each) for each in (torch.float32, dtype))
    assert half != single
    assert half == pytest.approx(single, rel=0.01)
    assert half[-1] < 0.9 * half[0]

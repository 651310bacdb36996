"""Batch norms whose statistics were folded into the weights: training must start from the network that was given."""

from pathlib import Path

import pytest
import torch
from torch import nn

from lead_hub.checkpoint_outputs import load_checkpoint
from lead_hub.finetuning.network import Backbone, is_folded
from tests.tiny_checkpoints import save_checkpoint, tiny_processor
from tests.tiny_families import FAMILIES


@pytest.fixture
def backbone(tmp_path: Path) -> Backbone:
    """A ResNet with statistics of its own, as after training."""
    family = FAMILIES["resnet"]
    model = family.build(head=False)
    torch.manual_seed(0)
    for norm in norms(model):
        nn.init.normal_(norm.running_mean, std=0.1)
        nn.init.uniform_(norm.running_var, 0.5, 2.0)
    folder = save_checkpoint(tmp_path / "model", model, tiny_processor(family.processor))
    return Backbone(load_checkpoint(folder), mode="full")


def norms(module: nn.Module) -> list[nn.BatchNorm2d]:
    return [each for each in module.modules() if isinstance(each, nn.BatchNorm2d)]


@torch.no_grad()
def fold(module: nn.Module) -> None:
    """The same function in evaluation mode, by hand: w (x - m) / sqrt(v + e) + b = s x + c, with s and c kept."""
    for norm in norms(module):
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        shift = norm.bias - scale * norm.running_mean
        norm.running_mean.zero_()
        norm.running_var.fill_(1.0)
        norm.weight.copy_(scale * (1 + norm.eps) ** 0.5)
        norm.bias.copy_(shift)


def test_training_starts_from_the_network_that_was_given(backbone: Backbone) -> None:
    pixels = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        trained = backbone.eval()(pixels)
        fold(backbone.model)
        folded = Backbone(backbone.checkpoint, mode="full")
        assert torch.allclose(folded.eval()(pixels), trained, atol=1e-5)
        assert torch.allclose(folded.train()(pixels), trained, atol=1e-5)
    assert folded.training
    assert not any(norm.training for norm in norms(folded))
    assert all(norm.weight.requires_grad for norm in norms(folded))  # they learn all the same


def test_norms_with_statistics_use_those_of_the_batch(backbone: Backbone) -> None:
    assert not any(map(is_folded, norms(backbone.model)))
    assert all(norm.training for norm in norms(backbone.train()))


def test_a_network_that_was_not_trained_is_not_folded() -> None:
    """Its norms have the same statistics, and must see batches to be of any use."""
    model = FAMILIES["resnet"].build(head=False)
    for norm in norms(model):
        norm.reset_parameters()
        norm.reset_running_stats()
    assert not any(map(is_folded, norms(model)))


def test_one_norm_alone_may_be_folded(backbone: Backbone) -> None:
    fold(norms(backbone.model)[0])
    assert [norm for norm in norms(backbone.model) if is_folded(norm)] == norms(backbone.model)[:1]

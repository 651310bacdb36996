"""Folded norms and channels last: the same numbers, heard at the same places, and everything put back."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lead_hub.checkpoint_outputs.depths import block_taps
from lead_hub.checkpoint_outputs.fast_layout import folded_norms, in_fast_layout
from lead_hub.checkpoint_outputs.loaded_checkpoint import LoadedCheckpoint, load_checkpoint
from lead_hub.errors import CandidateError
from tests.tiny_checkpoints import random_images, save_checkpoint, save_timm
from tests.tiny_families import FAMILIES

CONVOLUTIONAL = ("resnet", "regnet", "mobilenet_v2", "efficientnet", "levit", "mobilevit")


@pytest.fixture(scope="module", params=[*CONVOLUTIONAL, "timm:resnet10t", "timm:tf_mobilenetv3_small_minimal_100"])
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedCheckpoint:
    folder: Path = tmp_path_factory.mktemp("checkpoints") / "one"
    name = str(request.param)
    if name.startswith("timm:"):
        save_timm(folder, name.removeprefix("timm:"), classes=3)
        return load_checkpoint(folder)
    family = FAMILIES[name]
    return load_checkpoint(save_checkpoint(folder, family.build(head=True), family.image_processor()))


@torch.inference_mode()
def heard(checkpoint: LoadedCheckpoint, pixels: Tensor) -> list[Tensor]:
    """Features, logits and what the asked blocks say."""
    taps = block_taps(checkpoint.backbone)
    with taps.listening():
        features, logits = checkpoint.forward(pixels)
    assert logits is not None
    assert len(taps.blocks) > 1
    return [features, logits, *taps.taken()]


@pytest.mark.slow
def test_the_fast_layout_changes_no_number_beyond_rounding(checkpoint: LoadedCheckpoint) -> None:
    pixels = checkpoint.prepare(random_images(5))
    before = heard(checkpoint, pixels)
    weights = {
        name: weight.clone(memory_format=torch.preserve_format)
        for name, weight in checkpoint.model.state_dict().items()
    }
    with in_fast_layout(checkpoint.model, lambda some: checkpoint.forward(some)[0], pixels) as tried:
        assert tried.is_fast
        torch.testing.assert_close(tried.features, before[0], rtol=1e-3, atol=1e-4 * float(before[0].abs().max()))
        for after, expected in zip(heard(checkpoint, pixels), before, strict=True):
            torch.testing.assert_close(after, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))
    for after, expected in zip(heard(checkpoint, pixels), before, strict=True):
        torch.testing.assert_close(after, expected)
    for name, weight in checkpoint.model.state_dict().items():
        assert torch.equal(weight, weights[name])
        assert weight.stride() == weights[name].stride()


class Branching(nn.Module):
    """A convolution whose output goes to a norm, and beside it to the end."""

    def __init__(self, *, beside: bool, twice: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.beside, self.twice = beside, twice
        self.convolution, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        nn.init.uniform_(self.norm.running_mean, -1, 1)  # type: ignore[arg-type]  # there unless turned off
        nn.init.uniform_(self.norm.running_var, 0.5, 2)  # type: ignore[arg-type]

    def forward(self, pixels: Tensor) -> Tensor:
        maps = self.convolution(pixels)
        normed = self.norm(maps)
        if self.twice:
            normed = normed + self.norm(2 * maps)
        return torch.as_tensor((normed + maps if self.beside else normed).mean(dim=(2, 3)))


def branching(*, beside: bool = False, twice: bool = False) -> tuple[nn.Module, Tensor]:
    return Branching(beside=beside, twice=twice).eval().requires_grad_(requires_grad=False), torch.randn(4, 3, 6, 6)


@pytest.mark.parametrize(("beside", "is_fast"), [(False, True), (True, False)])
def test_a_convolution_that_is_heard_elsewhere_stays(beside: bool, is_fast: bool) -> None:
    network, pixels = branching(beside=beside)
    expected = network(pixels)
    with in_fast_layout(network, network, pixels) as found:
        assert found.is_fast is is_fast
        torch.testing.assert_close(found.features, expected)
        torch.testing.assert_close(network(pixels), expected)


def test_a_norm_that_is_called_twice_stays() -> None:
    network, pixels = branching(twice=True)
    weight = network.get_parameter("convolution.weight")
    with folded_norms(network, lambda: network(pixels)):
        assert network.get_parameter("convolution.weight") is weight


def test_a_folded_norm_costs_nothing_and_the_weights_hold_it() -> None:
    """By hand: w' = w s and b' = (b - m) s + c, with s = g / sqrt(v + e)."""
    network, pixels = branching()
    convolution, norm = network.convolution, network.norm
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    scale = norm.weight / (norm.running_var + norm.eps) ** 0.5  # type: ignore[operator]
    weight = convolution.weight * scale[:, None, None, None]
    bias = (convolution.bias - norm.running_mean) * scale + norm.bias  # type: ignore[operator]
    with folded_norms(network, lambda: network(pixels)):
        torch.testing.assert_close(convolution.weight, weight)
        torch.testing.assert_close(convolution.bias, bias)
        assert norm(pixels) is pixels


class OneOrder(nn.Module):
    """A network that insists on the usual order in memory."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.convolution, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, pixels: Tensor) -> Tensor:
        maps = self.norm(self.convolution(pixels))
        return torch.as_tensor(maps.view(len(maps), -1))


def test_a_network_that_insists_on_its_order_keeps_it() -> None:
    network, pixels = OneOrder().eval().requires_grad_(requires_grad=False), torch.randn(4, 3, 6, 6)

    def run(some: Tensor) -> Tensor:
        try:
            return torch.as_tensor(network(some))
        except RuntimeError as error:
            raise CandidateError(str(error), stage="extract") from error

    with in_fast_layout(network, run, pixels) as tried:
        assert not tried.is_fast
        assert torch.equal(tried.features, network.norm(network.convolution(pixels)).flatten(1))
        assert run(pixels).shape == (4, 64)

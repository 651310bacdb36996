"""A convolutional network as a processor runs it fastest: batch norms within convolutions, channels last in memory.

The numbers are the same but for rounding. Modules, their names and what hooks hear of them stay as they are: a folded
norm hands on what it gets. All of it is tried on a few images first and put back at the end.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from lead_hub.checkpoint_outputs.number_format import drift
from lead_hub.errors import CandidateError

# Of the spread of the features. Rounding in float32 gives some 1e-6 of it.
MOST_DRIFT = 1e-3
# Rounding is a thousandth of what is allowed: two images tell.
COMPARED = 2
DEVICES = ("cpu", "cuda")


def can_be_faster(model: nn.Module, device: torch.device) -> bool:
    """Whether there is anything to fold. Networks without batch norms are no faster with channels last."""
    return device.type in DEVICES and any(isinstance(part, nn.BatchNorm2d) for part in model.modules())


@dataclass(frozen=True, eq=False)
class Tried:
    """What a network said of some images, in float32.

    Attributes:
        features: in the layout that it was left in.
        is_fast: whether that is the fast one.
    """

    features: Float[Tensor, "image feature"]
    is_fast: bool


@contextmanager
def in_fast_layout(
    model: nn.Module, run: Callable[[Tensor], Tensor], pixels: Tensor, *, with_channels_last: bool = True
) -> Iterator[Tried]:
    """Within the block the model has the fast layout, if it then says of the first images what it said before.

    Args:
        model: on its device, in float32 and evaluation mode.
        run: from pixels to features, in float32.
        pixels: of images of which the first two differ.
        with_channels_last: whether that is faster on this machine than the usual order in memory.

    Yields:
        What it says of them.
    """
    with ExitStack() as stack:
        usual = stack.enter_context(folded_norms(model, lambda: run(pixels[:COMPARED])))
        if with_channels_last:
            stack.enter_context(channels_last(model))
        try:
            features = run(pixels)
            is_same = drift(features[:COMPARED], usual) <= MOST_DRIFT
        except CandidateError:  # a layer that insists on one order in memory
            is_same = False
        if not is_same:
            stack.close()
            features = run(pixels)
        yield Tried(features, is_same)


@contextmanager
def channels_last(model: nn.Module) -> Iterator[None]:
    """Within the block the weights of convolutions, and so what they give, have their channels last in memory."""
    weights = [part.weight for part in model.modules() if isinstance(part, nn.Conv2d)]
    try:
        for weight in weights:
            weight.data = weight.data.to(memory_format=torch.channels_last)
        yield
    finally:
        for weight in weights:  # a copy: of a 1 x 1 convolution both orders count as the usual one
            weight.data = weight.new_empty(weight.shape).copy_(weight)


@contextmanager
def folded_norms(model: nn.Module, run: Callable[[], Tensor]) -> Iterator[Tensor]:
    """Within the block every batch norm that follows a convolution is part of its weights.

    Args:
        model: in evaluation mode.
        run: a forward pass that shows what follows what.

    Yields:
        What that pass gave.
    """
    pairs, found = _pairs(model, run)
    with ExitStack() as stack:
        for convolution, norm in pairs:
            stack.enter_context(_folded(convolution, norm))
        yield found


def _pairs(model: nn.Module, run: Callable[[], Tensor]) -> tuple[list[tuple[nn.Conv2d, nn.BatchNorm2d]], Tensor]:
    """Convolutions whose output a batch norm gets next, both called once in a forward pass, and what that gave."""
    calls: Counter[nn.Module] = Counter()
    found: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []
    last: list[tuple[nn.Conv2d, Tensor]] = []

    def convolved(part: nn.Conv2d, _inputs: object, output: Tensor) -> None:
        calls[part] += 1
        last[:] = [(part, output)]

    def normalises(part: nn.BatchNorm2d, inputs: tuple[Tensor, ...]) -> None:
        calls[part] += 1
        found.extend((before, part) for before, output in last if inputs and inputs[0] is output)
        last.clear()

    with ExitStack() as stack:
        for part in model.modules():
            if type(part) in {nn.Conv2d, Conv2dSame} and "weight" in dict(part.named_parameters(recurse=False)):
                stack.callback(part.register_forward_hook(convolved).remove)
            elif type(part) in {nn.BatchNorm2d, BatchNormAct2d} and part.running_mean is not None:
                stack.callback(part.register_forward_pre_hook(normalises).remove)
        gave = run()
    return [pair for pair in found if all(calls[part] == 1 for part in pair)], gave


@contextmanager
def _folded(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> Iterator[None]:
    before = convolution.weight, convolution.bias
    statistics = norm.running_mean, norm.running_var, norm.eps
    # Typed as if there were always a bias and weights.
    fused = fuse_conv_bn_weights(*before, *statistics, norm.weight, norm.bias)  # type: ignore[arg-type]
    convolution.weight, convolution.bias = fused
    norm.forward = _what_follows(norm)  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        del norm.forward
        convolution.weight, convolution.bias = before


def _what_follows(norm: nn.BatchNorm2d) -> Callable[[Tensor], Tensor]:
    """What a norm does beside normalising: timm's has the activation within."""
    if isinstance(norm, BatchNormAct2d):
        return lambda values: norm.act(norm.drop(values))
    return lambda values: values

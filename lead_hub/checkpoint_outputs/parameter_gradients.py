"""Gradients by one layer's parameters, image by image, from what went into the layer and what came back to its output.

A layer that is linear in its parameters needs no more than these two: the gradient by a weight is a sum over the places
of an image of (input) x (signal). Taken are at most 2,048 coordinates of every parameter; those of a matrix are drawn
from some of its rows and columns, so that the rest is never computed. What a layer does is found out, not believed: a
norm is one if its output is reproduced. Any other layer is differentiated as it is, image by image.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

MOST_COORDINATES = 2048
# Of a matrix, so many times as many entries are computed as are taken.
SURPLUS = 8
# Gradients of a layer that is differentiated as it is are held whole: so many numbers at a time.
MOST_NUMBERS = 2**26
REPRODUCED = 1e-3


@dataclass(eq=False)
class LayerCall:
    """One call of a layer in a forward pass of `n_images`.

    Attributes:
        arguments: what it was called with; those that hold images have them first.
        keywords: the same, by name.
        versions: of the arguments when they came, to notice that one was overwritten since.
        signal: gradient by the layer's output, once it has come back; None where none did.
    """

    n_images: int
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    versions: tuple[int, ...]
    signal: Tensor | None = None

    @classmethod
    def of(cls, n_images: int, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> "LayerCall":
        return cls(n_images, arguments, keywords, versions_of(arguments))

    @property
    def came_back(self) -> Tensor:
        """The signal, where there is one."""
        assert self.signal is not None
        return self.signal

    def is_overwritten(self) -> bool:
        """Whether an argument is no longer what the layer saw."""
        return versions_of(self.arguments) != self.versions


def versions_of(arguments: tuple[Any, ...]) -> tuple[int, ...]:
    """How often every tensor has been written to."""
    return tuple(each._version for each in arguments if isinstance(each, Tensor) and not each.is_inference())


@dataclass(frozen=True, eq=False)
class LayerGradients:
    """How the gradients by a layer's own parameters are computed.

    Attributes:
        places: which coordinates of every parameter, flattened, by the parameter's name within the layer.
        rows: from a call whose signal has come back to [image, coordinate], by name.
    """

    places: Mapping[str, Int[Tensor, " coordinate"]]
    rows: Callable[[LayerCall], Mapping[str, Tensor]]


def some_places(n_places: int, generator: torch.Generator) -> Int[Tensor, " coordinate"]:
    """All places, or as many as may be taken, drawn."""
    if n_places <= MOST_COORDINATES:
        return torch.arange(n_places)
    drawn: Tensor = torch.randperm(n_places, generator=generator)[:MOST_COORDINATES].sort().values
    return drawn


@dataclass(frozen=True, eq=False)
class MatrixSample:
    """Some entries of the matrices, one a group of channels, that a weight is: (output, input) of each group.

    Attributes:
        n_outputs: of a group.
        n_inputs: of a group.
        groups: that are looked at.
        outputs: within a group, that are looked at.
        inputs: within a group, that are looked at.
        taken: places in [group, output, input] of these.
    """

    n_outputs: int
    n_inputs: int
    groups: Int[Tensor, " group"]
    outputs: Int[Tensor, " output"]
    inputs: Int[Tensor, " input"]
    taken: Int[Tensor, " coordinate"]

    @classmethod
    def draw(cls, n_groups: int, n_outputs: int, n_inputs: int, generator: torch.Generator) -> "MatrixSample":
        """All entries where there are few; else a product of rows and columns, as square as may be, and some of it."""
        n_entries = n_groups * n_outputs * n_inputs
        some_groups, some_outputs, some_inputs = n_groups, n_outputs, n_inputs
        if n_entries > MOST_COORDINATES:
            most = SURPLUS * MOST_COORDINATES
            some_outputs = min(n_outputs, max(math.isqrt(most), most // n_inputs))
            some_inputs = min(n_inputs, most // some_outputs)
            some_groups = max(1, min(n_groups, most // (some_outputs * some_inputs)))

        def drawn(n_all: int, n_some: int) -> Tensor:
            return torch.randperm(n_all, generator=generator)[:n_some].sort().values

        return cls(
            n_outputs,
            n_inputs,
            groups=drawn(n_groups, some_groups),
            outputs=drawn(n_outputs, some_outputs),
            inputs=drawn(n_inputs, some_inputs),
            taken=some_places(some_groups * some_outputs * some_inputs, generator),
        )

    @property
    def places(self) -> Int[Tensor, " coordinate"]:
        """Of the taken entries in the flattened weight."""
        outputs = self.groups[:, None] * self.n_outputs + self.outputs
        return (outputs[:, :, None] * self.n_inputs + self.inputs).flatten()[self.taken]

    def of(self, products: Float[Tensor, "image group output input"]) -> Float[Tensor, "image coordinate"]:
        """The taken entries."""
        return products.flatten(1)[:, self.taken.to(products.device)]


def layer_gradients(
    layer: nn.Module, call: LayerCall, output: Tensor, *, names: tuple[str, ...], generator: torch.Generator
) -> LayerGradients:
    """Find out how a layer's gradients by its parameters of these names are computed.

    Args:
        layer: the layer.
        call: a call of it.
        output: what that gave.
        names: of parameters of its own.
        generator: draws coordinates.
    """
    if type(layer) is nn.Linear:
        return _linear(layer, names, generator)
    if type(layer) is nn.Conv2d and layer.padding_mode == "zeros" and not isinstance(layer.padding, str):
        return _convolution(layer, names, generator)
    return _affine(layer, call, output, names, generator) or _any_layer(layer, names, generator)


def _linear(layer: nn.Linear, names: tuple[str, ...], generator: torch.Generator) -> LayerGradients:
    sample = MatrixSample.draw(1, layer.out_features, layer.in_features, generator)
    biases = some_places(layer.out_features, generator)

    def rows(call: LayerCall) -> dict[str, Tensor]:
        inputs = call.arguments[0].reshape(call.n_images, -1, layer.in_features)
        signal = call.came_back.reshape(call.n_images, -1, layer.out_features)
        products = signal[:, :, sample.outputs].transpose(1, 2) @ inputs[:, :, sample.inputs]
        found = {"weight": sample.of(products[:, None]), "bias": signal.sum(dim=1)[:, biases]}
        return {name: found[name] for name in names}

    return LayerGradients({name: {"weight": sample.places, "bias": biases}[name] for name in names}, rows)


def _convolution(layer: nn.Conv2d, names: tuple[str, ...], generator: torch.Generator) -> LayerGradients:
    n_channels, (height, width) = layer.in_channels // layer.groups, layer.kernel_size
    above, beside = (int(side) for side in layer.padding)
    sample = MatrixSample.draw(layer.groups, layer.out_channels // layer.groups, n_channels * height * width, generator)
    biases = some_places(layer.out_channels, generator)
    channels, offsets = sample.inputs // (height * width), sample.inputs % (height * width)
    outputs = (sample.groups[:, None] * sample.n_outputs + sample.outputs).flatten()

    def rows(call: LayerCall) -> dict[str, Tensor]:
        signal = call.came_back
        down, right = signal.shape[2:]
        padded = nn.functional.pad(call.arguments[0], (beside, beside, above, above))
        of_outputs = signal[:, outputs].reshape(call.n_images, len(sample.groups), -1, down * right)
        products = signal.new_zeros(call.n_images, len(sample.groups), len(sample.outputs), len(sample.inputs))
        for offset in sorted(set(offsets.tolist())):
            at = torch.nonzero(offsets == offset)[:, 0]
            top, left = offset // width * layer.dilation[0], offset % width * layer.dilation[1]
            rows_at = slice(top, top + layer.stride[0] * (down - 1) + 1, layer.stride[0])
            columns_at = slice(left, left + layer.stride[1] * (right - 1) + 1, layer.stride[1])
            wanted = (sample.groups[:, None] * n_channels + channels[at]).flatten()
            seen = padded[:, :, rows_at, columns_at][:, wanted]
            seen = seen.reshape(call.n_images, len(sample.groups), len(at), down * right)
            products[..., at] = of_outputs @ seen.transpose(2, 3)
        found = {"weight": sample.of(products), "bias": signal.sum(dim=(2, 3))[:, biases]}
        return {name: found[name] for name in names}

    return LayerGradients({name: {"weight": sample.places, "bias": biases}[name] for name in names}, rows)


def _normalisations(layer: nn.Module, dtype: torch.dtype) -> list[tuple[Callable[[Tensor], Tensor], int]]:
    """What a layer of one scale and one shift a channel may do to its input before these, and the axis of channels."""
    named = getattr(layer, "eps", getattr(layer, "variance_epsilon", None))
    epsilon = torch.finfo(dtype).eps if named is None else float(named)

    def over(axis: int, *, centred: bool) -> Callable[[Tensor], Tensor]:
        def normalised(inputs: Tensor) -> Tensor:
            rest = inputs - inputs.mean(dim=axis, keepdim=True) if centred else inputs
            return rest * (rest.square().mean(dim=axis, keepdim=True) + epsilon).rsqrt()

        return normalised

    found = [(over(axis, centred=centred), axis) for axis in (-1, 1) for centred in (True, False)]
    found += [(lambda inputs: inputs, axis) for axis in (-1, 1)]
    mean, variance = getattr(layer, "running_mean", None), getattr(layer, "running_var", None)
    if isinstance(mean, Tensor) and isinstance(variance, Tensor):
        deviation = (variance + epsilon).sqrt()
        found.insert(0, (lambda inputs: (inputs.movedim(1, -1) - mean).div(deviation).movedim(-1, 1), 1))
    if isinstance(groups := getattr(layer, "num_groups", None), int):
        found.insert(0, (lambda inputs: nn.functional.group_norm(inputs, groups, eps=epsilon), 1))
    return found


def _affine(
    layer: nn.Module, call: LayerCall, output: Tensor, names: tuple[str, ...], generator: torch.Generator
) -> LayerGradients | None:
    """Of a layer that normalises its input, or not, then scales and shifts every channel; None for any other."""
    own = dict(layer.named_parameters(recurse=False))
    inputs = call.arguments[0] if call.arguments else None
    scales = [name for name in own if name != "bias"]
    if not isinstance(inputs, Tensor) or len(scales) > 1 or any(each.ndim != 1 for each in own.values()):
        return None
    n_channels = len(next(iter(own.values())))
    for normalised, axis in _normalisations(layer, inputs.dtype):
        if inputs.ndim < 2 or inputs.shape[axis] != n_channels or inputs.shape != output.shape:
            continue
        expected = normalised(inputs).movedim(axis, -1)
        expected = expected * own[scales[0]] if scales else expected
        expected = (expected + own["bias"] if "bias" in own else expected).movedim(-1, axis)
        if float((expected - output).abs().max()) <= REPRODUCED * float(output.abs().max()):
            places = {name: some_places(n_channels, generator) for name in names}
            return LayerGradients(places, _affine_rows(normalised, axis, places))
    return None


def _affine_rows(
    normalised: Callable[[Tensor], Tensor], axis: int, places: Mapping[str, Tensor]
) -> Callable[[LayerCall], dict[str, Tensor]]:
    def rows(call: LayerCall) -> dict[str, Tensor]:
        found = {}
        for name, chosen in places.items():
            signal = call.came_back if name == "bias" else call.came_back * normalised(call.arguments[0])
            by_place = signal.movedim(axis, -1)
            found[name] = by_place.reshape(call.n_images, -1, by_place.shape[-1]).sum(dim=1)[:, chosen]
        return found

    return rows


def _any_layer(layer: nn.Module, names: tuple[str, ...], generator: torch.Generator) -> LayerGradients:
    """Of a layer that is differentiated as it is, every image alone, by its parameters of these names."""
    own = {name: layer.get_parameter(name).detach() for name in names}
    places = {name: some_places(weight.numel(), generator) for name, weight in own.items()}
    chunk = max(1, MOST_NUMBERS // sum(weight.numel() for weight in own.values()))

    def rows(call: LayerCall) -> dict[str, Tensor]:
        if len(call.came_back) != call.n_images:
            raise ValueError(f"a layer must give something for each of {call.n_images} images, as windows do not")

        def holds_images(value: object) -> bool:
            return isinstance(value, Tensor) and value.ndim > 0 and len(value) == call.n_images

        def of_image(
            weights: dict[str, Tensor], arguments: list[Tensor], keywords: dict[str, Tensor], signal: Tensor
        ) -> Tensor:
            images = iter(arguments)
            given = [next(images)[None] if holds_images(value) else value for value in call.arguments]
            named = {**call.keywords, **{name: value[None] for name, value in keywords.items()}}
            output = torch.func.functional_call(layer, weights, tuple(given), named)
            first: Tensor = output[0] if isinstance(output, tuple) else output
            return (first * signal).sum()

        arguments = [value for value in call.arguments if holds_images(value)]
        keywords = {name: value for name, value in call.keywords.items() if holds_images(value)}
        gradient = torch.func.vmap(torch.func.grad(of_image), in_dims=(None, 0, 0, 0), chunk_size=chunk)
        with sdpa_kernel(SDPBackend.MATH):  # the others know no images beside the batch
            found = gradient(own, arguments, keywords, call.came_back)
        return {name: found[name].flatten(1)[:, places[name]] for name in names}

    return LayerGradients(places, rows)

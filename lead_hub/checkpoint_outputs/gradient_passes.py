"""Passes of a network, forward and back, that give every image's gradients by some of its parameters."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate.utils.memory import clear_device_cache
from jaxtyping import Float
from torch import Tensor, nn

from lead_hub.checkpoint_outputs.forward_passes import out_of_memory
from lead_hub.checkpoint_outputs.parameter_gradients import LayerCall, LayerGradients
from lead_hub.errors import CandidateError

N_PROJECTIONS = 2
# What a layer raises that cannot be differentiated image by image, or cannot take a copy of a parameter for each.
UNFIT = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, NotImplementedError)


@dataclass(frozen=True, eq=False)
class SampledParameter:
    """A parameter whose gradients are computed.

    Attributes:
        name: in the network.
        layer: whose own it is.
        own_name: its name within the layer.
        places: the coordinates that are taken.
        gradients: how, from calls of the layer; None where the layer is given a copy of it for every image.
    """

    name: str
    layer: nn.Module
    own_name: str
    places: Tensor
    gradients: LayerGradients | None

    @property
    def key(self) -> int:
        """Names the tensor, which several layers may share."""
        return id(self.layer.get_parameter(self.own_name))

    @property
    def n_entries(self) -> int:
        return self.layer.get_parameter(self.own_name).numel()


@contextmanager
def plainly_run(network: nn.Module) -> Iterator[None]:
    """Without gradients by parameters, and without activations that overwrite what came before them."""
    overwriting = [part for part in network.modules() if getattr(part, "inplace", False) is True]
    asking = [weight for weight in network.parameters() if weight.requires_grad]
    try:
        for part in overwriting:
            part.inplace = False  # type: ignore[assignment]  # a flag of activations and dropouts
        network.requires_grad_(requires_grad=False)
        forget(network)
        yield
    finally:
        forget(network)
        for part in overwriting:
            part.inplace = True  # type: ignore[assignment]
        for weight in asking:
            weight.requires_grad_()


def forget(network: nn.Module) -> None:
    """Drop what a network in evaluation mode keeps from pass to pass, as LeViT does with its biases."""
    network.train().eval()


def not_differentiable(error: Exception) -> CandidateError:
    """What to say of a network that fails with gradients."""
    return CandidateError(
        f"the network must be differentiable in its features, but that failed: {error}", stage="extract"
    )


@dataclass(eq=False)
class _Heard:
    """Calls of layers in one forward pass, by layer, and their outputs where these are asked for."""

    calls: dict[nn.Module, list[LayerCall]] = field(default_factory=dict)
    outputs: dict[nn.Module, Tensor] = field(default_factory=dict)


class GradientPasses:
    """Passes of one network, within `plainly_run`."""

    def __init__(self, network: nn.Module, features_of: Callable[[Tensor], Tensor], *, seed: int) -> None:
        self.network, self.features_of, self.seed = network, features_of, seed
        example = next(network.parameters())
        self.device, self.dtype = example.device, example.dtype
        self.batch_size: int | None = None
        self.projections: Tensor | None = None
        self.is_trying = False  # what cannot be computed is NaN, not an error

    def exact(self, pixels: Tensor) -> list[dict[str, Tensor]]:
        """Autograd's own gradients of the first projection of every image, of all parameters that lead to it."""
        named = dict(self.network.named_parameters())
        self.network.requires_grad_()
        try:
            features = self.features_of(pixels.to(self.device))
            if not features.requires_grad:
                return [{} for _ in pixels]
            gradients = [
                torch.autograd.grad(
                    self.projected(features[number : number + 1])[0],
                    list(named.values()),
                    allow_unused=True,
                    retain_graph=number + 1 < len(pixels),
                )
                for number in range(len(pixels))
            ]
        finally:
            self.network.requires_grad_(requires_grad=False)
            forget(self.network)
        return [
            {name: found for name, found in zip(named, of_image, strict=True) if found is not None}
            for of_image in gradients
        ]

    def halving(self, pixels: Tensor, part: Sequence[SampledParameter]) -> Iterator[dict[int, Tensor]]:
        """Rows of a batch, in as many pieces as memory asks for."""
        start = 0
        while start < len(pixels):
            piece = pixels[start : start + (self.batch_size or len(pixels))]
            try:
                found = self.rows(piece, part)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise not_differentiable(error) from error
                if len(piece) == 1:
                    raise CandidateError(
                        f"the gradients of one image must fit into the memory of {self.device}, they do not: {error}",
                        stage="extract",
                    ) from error
                self.batch_size = -(-len(piece) // 2)
            else:
                yield found
                start += len(piece)
                continue
            clear_device_cache(garbage_collection=True)

    def rows(self, pixels: Tensor, part: Sequence[SampledParameter]) -> dict[int, Tensor]:
        """[image, projection, coordinate] of every parameter, on the CPU."""
        if len(pixels) == 1:
            # Of a batch of one, torch's own backward pass has been seen to be wrong (CvT, against finite differences).
            doubled = self.rows(torch.cat([pixels, pixels]), part)
            return {key: found[:1] for key, found in doubled.items()}
        layers = {each.layer for each in part if each.gradients is not None}
        with self.copied(part, len(pixels)) as copies, self.listening(layers, len(pixels)) as heard:
            features = self.features_of(pixels.to(self.device).requires_grad_())
        rows: dict[int, list[Tensor]] = {each.key: [] for each in part}
        for number, projected in enumerate(self.projected(features)):
            for calls in heard.calls.values():
                for call in calls:
                    call.signal = None
            projected.backward(retain_graph=number + 1 < N_PROJECTIONS)  # type: ignore[no-untyped-call]
            for key, found in self.collected(part, heard, copies, len(pixels)).items():
                rows[key].append(found.cpu())
        return {key: torch.stack(found, dim=1) for key, found in rows.items()}

    @torch.no_grad()
    def collected(
        self, part: Sequence[SampledParameter], heard: _Heard, copies: Mapping[int, nn.Parameter], n_images: int
    ) -> dict[int, Tensor]:
        """[image, coordinate] of every parameter, now that signals have come back."""
        rows = {
            each.key: torch.zeros(n_images, len(each.places), dtype=self.dtype, device=self.device) for each in part
        }
        for gradients, layer in {id(each.gradients): (each.gradients, each.layer) for each in part}.values():
            if gradients is None:
                continue
            keys = {each.own_name: each.key for each in part if each.gradients is gradients}
            for call in heard.calls.get(layer, ()):
                if call.signal is not None and not call.is_overwritten():
                    for name, found in self.of_call(call, gradients).items():
                        if name in keys:
                            rows[keys[name]] += found
        for each in part:
            copy = copies.get(each.key)
            if copy is not None and copy.grad is not None:
                rows[each.key] += copy.grad.flatten(1)[:, each.places]
                copy.grad = None
        return rows

    def of_call(self, call: LayerCall, gradients: LayerGradients) -> Mapping[str, Tensor]:
        try:
            return gradients.rows(call)
        except UNFIT:
            if not self.is_trying:
                raise
            return {name: torch.full((), math.nan, device=self.device) for name in gradients.places}

    def projected(self, features: Float[Tensor, "image feature"]) -> list[Tensor]:
        """Sums over the images of the projections of their features: no image's depends on another's."""
        if self.projections is None:
            generator = torch.Generator().manual_seed(self.seed)
            drawn = torch.randn(N_PROJECTIONS, features.shape[1], generator=generator, dtype=torch.float64)
            self.projections = (drawn / features.shape[1] ** 0.5).to(features.device, features.dtype)
        return list((features @ self.projections.T).sum(dim=0))

    @contextmanager
    def listening(self, layers: set[nn.Module], n_images: int, *, outputs: bool = False) -> Iterator[_Heard]:
        """Within the block of code, what enters these layers is kept, and later what comes back to their outputs."""
        heard = _Heard()
        arrived: dict[nn.Module, list[LayerCall]] = {layer: [] for layer in layers}

        def before(layer: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
            arrived[layer].append(LayerCall.of(n_images, arguments, keywords))

        def after(layer: nn.Module, _arguments: tuple[Any, ...], output: Any) -> Any:
            call = arrived[layer].pop()
            first = output[0] if isinstance(output, tuple) else output
            if not isinstance(first, Tensor):
                return None
            changed = None
            if isinstance(layer, nn.Embedding) and not first.requires_grad and len(first) == 1:
                # The same for all images: each gets its own, so that what comes back is told apart.
                first = changed = first.expand(n_images, *first.shape[1:]).clone().requires_grad_()
            if not first.requires_grad:
                return None

            def came_back(signal: Tensor) -> None:
                call.signal = signal

            first.register_hook(came_back)  # type: ignore[no-untyped-call]
            heard.calls.setdefault(layer, []).append(call)
            if outputs:
                heard.outputs[layer] = first.detach().clone()
            return changed

        handles = [layer.register_forward_pre_hook(before, with_kwargs=True) for layer in layers]
        handles += [layer.register_forward_hook(after) for layer in layers]
        try:
            yield heard
        finally:
            for handle in handles:
                handle.remove()

    @contextmanager
    def copied(self, part: Iterable[SampledParameter], n_images: int) -> Iterator[dict[int, nn.Parameter]]:
        """Within the block of code, parameters [1, ...] are [image, ...], a copy for every image."""
        originals: list[tuple[nn.Module, str, nn.Parameter]] = []
        copies = {}
        try:
            for each in part:
                if each.gradients is None:
                    original = each.layer.get_parameter(each.own_name)
                    copy = nn.Parameter(original.detach().expand(n_images, *original.shape[1:]).clone())
                    originals.append((each.layer, each.own_name, original))
                    copies[each.key] = copy
                    each.layer._parameters[each.own_name] = copy
            yield copies
        finally:
            for layer, name, original in originals:
                layer._parameters[name] = original

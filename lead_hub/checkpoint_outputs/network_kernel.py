"""The tangent kernel of a whole network between images: how alike their gradients by its parameters are.

It stands in this room because it runs a network on batches of images on a device; of checkpoints and files it knows
nothing. Differentiated are random projections w . z(x) of the features, w ~ N(0, I / d), two of them, so that no label
and no head enters. One pass forward and one back a projection serve all layers (`parameter_gradients.py`); batch norms
stay in evaluation mode. No Jacobian is ever held: the rows of a parameter are added to the kernel and freed, and where
the rows of all parameters do not fit into the memory allowed, they come in several passes.

What can be computed for a layer is checked, not assumed: on the first two images every parameter's gradient is compared
with autograd's own, image by image; a parameter that fails, or that no layer's output leads to, is left out and named.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lead_hub.checkpoint_outputs.gradient_passes import (
    N_PROJECTIONS,
    UNFIT,
    GradientPasses,
    SampledParameter,
    not_differentiable,
    plainly_run,
)
from lead_hub.checkpoint_outputs.parameter_gradients import layer_gradients, some_places
from lead_hub.errors import CandidateError

MOST_BYTES = 3 * 2**30
N_PROBED = 2
# Of the length of a parameter's gradient, and of the whole gradient: what rounding may leave.
OWN_TOLERANCE, WHOLE_TOLERANCE = 1e-2, 1e-5
NAMES_SHOWN = 3


@dataclass(frozen=True, eq=False)
class NetworkKernels:
    """Tangent kernels of one network between images, float64, on the CPU; sums over the parameters that are in them.

    Attributes:
        plain: inner products of gradients: what small steps of gradient descent do.
        adam: every coordinate's product divided by its root mean square over images and projections: what small steps
            of Adam do, which divides by that.
        plain_sampled: as `plain`, every parameter with the weight of its sampled coordinates instead of all of its own.
        adam_sampled: as `adam`, the same way.
        share: of the network's parameters that lead to its features, how many are in the kernels, in [0, 1].
        notes: what is not in them, in words.
    """

    plain: Float[Tensor, "image image"]
    adam: Float[Tensor, "image image"]
    plain_sampled: Float[Tensor, "image image"]
    adam_sampled: Float[Tensor, "image image"]
    share: float
    notes: tuple[str, ...]


def network_kernels(
    network: nn.Module,
    features_of: Callable[[Tensor], Tensor],
    batches: Callable[[], Iterable[Tensor]],
    *,
    seed: int = 0,
    most_bytes: int = MOST_BYTES,
) -> NetworkKernels:
    """Compute the tangent kernels between all images of the batches.

    Args:
        network: in evaluation mode, on the device where it shall run; its parameters' values are left as they are.
        features_of: runs it, from pixels [image, ...] to features [image, number], with gradients.
        batches: gives the pixels of all images in order, from the start each time that it is called.
        seed: of the projections and of the coordinates.
        most_bytes: that the gradients of all images may take at a time.

    Raises:
        CandidateError: no parameter's gradient can be computed, there is one image only, or memory ran out at one image
            (stage "extract").
    """
    passes = GradientPasses(network, features_of, seed=seed)
    with plainly_run(network):
        first = next(iter(batches()), torch.empty(0))
        if len(first) < N_PROBED:
            raise CandidateError("a tangent kernel needs two images in the first batch", stage="extract")
        try:
            plan = gradient_plan(passes, first[:N_PROBED])
        except RuntimeError as error:
            raise not_differentiable(error) from error
        n_images = sum(len(batch) for batch in batches())
        kernels = {name: torch.zeros(n_images, n_images, dtype=torch.float64) for name in _KERNELS}
        for part in _parts(plan.parameters, n_images, most_bytes):
            rows: dict[int, list[Tensor]] = {each.key: [] for each in part}
            for batch in batches():
                for found in passes.halving(batch, part):
                    for key, of_batch in found.items():
                        rows[key].append(of_batch)
            for each in part:
                _add(kernels, torch.cat(rows.pop(each.key)), each.n_entries)
    if not any(bool(kernel.any()) for kernel in kernels.values()):
        raise CandidateError("some parameter must have a gradient, found none in the kernel", stage="extract")
    return NetworkKernels(**kernels, share=plan.share, notes=plan.notes)


_KERNELS = ("plain", "adam", "plain_sampled", "adam_sampled")


def _add(kernels: Mapping[str, Tensor], rows: Float[Tensor, "image projection coordinate"], n_entries: int) -> None:
    """A parameter's part of every kernel; each projection is a network of one output, and the kernels their mean."""
    n_coordinates = rows.shape[2]
    rms = rows.square().mean(dim=(0, 1)).sqrt()
    scaled = rows * torch.where(rms > 0, rms, 1.0).rsqrt()
    for name, numbers in (("plain", rows), ("adam", scaled)):
        flat = numbers.flatten(1) / N_PROJECTIONS**0.5
        gram = (flat @ flat.T).to(torch.float64)
        kernels[f"{name}_sampled"].add_(gram)
        kernels[name].add_(gram, alpha=n_entries / n_coordinates)


@dataclass(frozen=True, eq=False)
class GradientPlan:
    """Which parameters are in the kernel, how many of the weights that lead to the features, and what is not in it."""

    parameters: Sequence[SampledParameter]
    share: float
    notes: tuple[str, ...]


def _parts(parameters: Sequence[SampledParameter], n_images: int, most_bytes: int) -> list[list[SampledParameter]]:
    """The parameters in as many passes as it takes, those of one layer together where they fit."""
    parts: list[list[SampledParameter]] = [[]]
    taken = 0
    for each in parameters:
        size = n_images * N_PROJECTIONS * len(each.places) * 4
        if parts[-1] and taken + size > most_bytes:
            parts.append([])
            taken = 0
        parts[-1].append(each)
        taken += size
    return [part for part in parts if part]


def agree(found: Tensor, true: Tensor, whole: float) -> bool:
    """Whether two images' gradients by one parameter are the same but for rounding, beside the whole gradient."""
    return float((found - true).norm()) <= OWN_TOLERANCE * float(true.norm()) + WHOLE_TOLERANCE * whole


def gradient_plan(passes: GradientPasses, pixels: Tensor) -> GradientPlan:
    """Which parameters' gradients can be computed and agree with autograd's own, on the first images."""
    exact = passes.exact(pixels)
    leading = {
        name: weight
        for name, weight in passes.network.named_parameters()
        if any(name in of_image and bool(of_image[name].any()) for of_image in exact)
    }
    whole = math.sqrt(sum(float(gradient.square().sum()) for gradient in exact[0].values()))
    kept: list[SampledParameter] = []
    for together in candidates(passes, pixels, leading):
        found = attempt(passes, pixels, together)
        if found is None and len(together) > 1:  # one of several may be what the network cannot take
            alone = [attempt(passes, pixels, [each]) for each in together]
            found = {key: rows for rows_of_one in alone if rows_of_one for key, rows in rows_of_one.items()}
        there = {each.name for each in kept}
        for each in together:
            true = [of_image[each.name].flatten()[each.places.to(passes.device)] for of_image in exact]
            rows = (found or {}).get(each.key)
            if rows is not None and each.name not in there and agree(rows[:, 0], torch.stack(true).cpu(), whole):
                kept.append(each)
    order = {name: number for number, name in enumerate(leading)}
    kept.sort(key=lambda each: order[each.name])
    share = sum(each.n_entries for each in kept) / max(1, sum(weight.numel() for weight in leading.values()))
    return GradientPlan(kept, share, notes_on(leading, kept, share))


def candidates(
    passes: GradientPasses, pixels: Tensor, leading: Mapping[str, nn.Parameter]
) -> Iterator[list[SampledParameter]]:
    """The parameters, with how their gradients may be computed: copied ones, then all by the layers that own them."""
    generator = torch.Generator().manual_seed(passes.seed)
    layers: dict[nn.Module, dict[str, str]] = {}
    for name in leading:
        path, _, own_name = name.rpartition(".")
        layers.setdefault(passes.network.get_submodule(path), {})[own_name] = name
    with passes.listening(set(layers), len(pixels), outputs=True) as heard:
        passes.features_of(pixels.to(passes.device).requires_grad_())
    copied = []
    for layer, named in layers.items():
        for own_name, name in named.items():
            weight = layer.get_parameter(own_name)
            if weight.ndim > 1 and len(weight) == 1 and not isinstance(layer, (nn.Linear, nn.Conv2d)):
                copied.append(SampledParameter(name, layer, own_name, some_places(weight.numel(), generator), None))
    if copied:
        yield copied
    as_they_are = []
    for layer, named in layers.items():
        if layer in heard.outputs:
            call, output = heard.calls[layer][0], heard.outputs[layer]
            with torch.no_grad():
                gradients = layer_gradients(layer, call, output, names=tuple(named), generator=generator)
            as_they_are += [
                SampledParameter(name, layer, own_name, gradients.places[own_name], gradients)
                for own_name, name in named.items()
            ]
    yield as_they_are


def attempt(passes: GradientPasses, pixels: Tensor, parameters: Sequence[SampledParameter]) -> dict[int, Tensor] | None:
    """Rows of the first images; None where they cannot be computed."""
    passes.is_trying = True
    try:
        return passes.rows(pixels, parameters)
    except (*UNFIT, CandidateError):
        return None
    finally:
        passes.is_trying = False


def notes_on(leading: Mapping[str, nn.Parameter], kept: Sequence[SampledParameter], share: float) -> tuple[str, ...]:
    there = {each.name for each in kept}
    if not (left := [name for name in leading if name not in there]):
        return ()
    shown = ", ".join(left[:NAMES_SHOWN]) + (", ..." if len(left) > NAMES_SHOWN else "")
    return (f"the tangent kernel is that of {share:.1%} of the weights, without {len(left)} parameters: {shown}",)

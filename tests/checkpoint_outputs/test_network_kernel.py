"""The tangent kernel against autograd's own gradients, image by image, for layers of every kind and every family."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lead_hub.checkpoint_outputs.gradient_passes import N_PROJECTIONS, GradientPasses, plainly_run
from lead_hub.checkpoint_outputs.loaded_checkpoint import load_checkpoint
from lead_hub.checkpoint_outputs.network_kernel import NetworkKernels, gradient_plan, network_kernels
from lead_hub.errors import CandidateError
from tests.checkpoint_outputs.tiny_types import OTHER_FAMILIES
from tests.tiny_checkpoints import random_images, save_checkpoint, save_timm
from tests.tiny_families import FAMILIES

LIMIT = "lead_hub.checkpoint_outputs.parameter_gradients.MOST_COORDINATES"
Features = Callable[[Tensor], Tensor]


class Tokens(nn.Module):
    """A transformer's pieces: patches, a class token, positions of two kinds, attention, scales, norms."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, stride=4)
        self.cls_token = nn.Parameter(torch.randn(1, 1, 8))
        self.positions = nn.Parameter(torch.randn(1, 5, 8))
        self.more_positions = nn.Embedding(5, 8)
        self.norm, self.last_norm = nn.LayerNorm(8), nn.RMSNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(8, 12), nn.GELU(), nn.Linear(12, 8, bias=False))
        self.scale = Scale(8)

    def forward(self, pixels: Tensor) -> Tensor:
        tokens = self.patches(pixels).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_token.expand(len(tokens), -1, -1), tokens], dim=1) + self.positions
        tokens = tokens + self.more_positions(torch.arange(5)[None])
        normed = self.norm(tokens)
        tokens = tokens + self.attention(normed, normed, normed)[0]
        return self.last_norm(tokens + self.scale(self.mlp(tokens)))[:, 0]


class Scale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.randn(width))

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens * self.gamma


class Response(nn.Module):
    """Global response normalisation: a layer of its own kind, whose weight [width] is no scale of its input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(width)), nn.Parameter(torch.randn(width))

    def forward(self, feature_map: Tensor) -> Tensor:
        size = feature_map.norm(dim=(2, 3), keepdim=True)
        shape = (1, -1, 1, 1)
        response = size / size.mean(dim=1, keepdim=True)
        return feature_map * (1 + self.weight.view(shape) * response) + self.bias.view(shape)


class Pooled(nn.Module):
    """Convolutions of every kind, and norms of feature maps, with activations that overwrite."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.layers(pixels).mean(dim=(2, 3))


class Residual(nn.Module):
    """A sum that overwrites what a layer gave, and one layer that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.twice = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, pixels: Tensor) -> Tensor:
        shortcut = self.first(pixels)
        found = self.twice(shortcut)
        found += shortcut
        found = self.relu(found)
        return (found + self.twice(found)).mean(dim=(2, 3))


def convolution(**settings: object) -> Pooled:
    return Pooled(nn.Conv2d(3, 8, 3), nn.Tanh(), nn.Conv2d(8, 8, (3, 2), **settings), nn.Tanh(), nn.Conv2d(8, 4, 1))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "strided": lambda: convolution(stride=(2, 3)),
    "padded": lambda: convolution(padding=(2, 1), bias=False),
    "dilated": lambda: convolution(dilation=(2, 1), padding=1),
    "grouped": lambda: convolution(groups=2, stride=2, padding=1),
    "depthwise": lambda: convolution(groups=8, padding=1),
    "same padding": lambda: Pooled(nn.Conv2d(3, 8, 3, padding="same"), nn.Tanh(), nn.Conv2d(8, 4, 1)),
    "circular padding": lambda: Pooled(
        nn.Conv2d(3, 8, 3, padding=1, padding_mode="circular"), nn.Tanh(), nn.Conv2d(8, 4, 1)
    ),
    "norms": lambda: Pooled(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3), nn.GroupNorm(4, 8), nn.SiLU()
    ),
    "own kind": lambda: Pooled(nn.Conv2d(3, 8, 3), Response(8), nn.SiLU(inplace=True), nn.Conv2d(8, 4, 3)),
    "residual": Residual,
    "tokens": Tokens,
}


def built(name: str, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    network = NETWORKS[name]().double().eval()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return network


def pixels_of(n_images: int, size: int = 8) -> Tensor:
    return torch.randn(n_images, 3, size, size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def gradients(network: nn.Module, features_of: Features, pixels: Tensor) -> dict[str, Tensor]:
    """[image, projection, coordinate] by parameter: autograd's own, one image after the other."""
    named = dict(network.named_parameters())
    wanted = {name: weight.requires_grad for name, weight in named.items()}
    network.requires_grad_()
    rows: dict[str, list[Tensor]] = {name: [] for name in named}
    projections = GradientPasses(network, features_of, seed=0).projected
    features = features_of(pixels)
    for image in range(len(pixels)):
        for projected in projections(features[image : image + 1]):
            found = torch.autograd.grad(projected, list(named.values()), allow_unused=True, retain_graph=True)
            for (name, weight), gradient in zip(named.items(), found, strict=True):
                rows[name].append((torch.zeros_like(weight) if gradient is None else gradient).flatten())
    for name, weight in named.items():
        weight.requires_grad_(wanted[name])
    return {name: torch.stack(found).unflatten(0, (len(pixels), N_PROJECTIONS)) for name, found in rows.items()}


def grams(rows: dict[str, Tensor], weights: dict[str, float]) -> dict[str, Tensor]:
    """The kernels, entry by entry of their definition."""
    plain = adam = torch.zeros(0)
    for name, numbers in rows.items():
        rms = numbers.square().mean(dim=(0, 1)).sqrt()
        scaled = numbers / torch.where(rms > 0, rms, 1.0).sqrt()
        for kind, each in (("plain", numbers), ("adam", scaled)):
            gram = weights[name] * torch.einsum("apc,bpc->ab", each, each) / N_PROJECTIONS
            if kind == "plain":
                plain = plain + gram if len(plain) else gram
            else:
                adam = adam + gram if len(adam) else gram
    return {"plain": plain, "adam": adam}


def all_of(rows: dict[str, Tensor]) -> dict[str, float]:
    return dict.fromkeys(rows, 1.0)


def computed(network: nn.Module, pixels: Tensor, *, batch: int = 3, **settings: object) -> NetworkKernels:
    return network_kernels(network, network, lambda: pixels.split(batch), **settings)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_equals_autograd_where_all_coordinates_are_taken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LIMIT, 10**9)
    network, pixels = built(name), pixels_of(7)
    found = computed(network, pixels)
    rows = gradients(network, network, pixels)
    if name == "tokens":  # whose layer is never called: its weights are read by the attention itself
        assert found.notes[0].endswith("without 2 parameters: attention.out_proj.weight, attention.out_proj.bias")
        rows = {key: each for key, each in rows.items() if "out_proj" not in key}
    else:
        assert (found.notes, found.share) == ((), 1.0)
    for kind, expected in grams(rows, all_of(rows)).items():
        scale = float(expected.abs().max())
        torch.testing.assert_close(getattr(found, kind), expected, rtol=0, atol=1e-10 * scale)
        torch.testing.assert_close(getattr(found, f"{kind}_sampled"), expected, rtol=0, atol=1e-10 * scale)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("limit", [5, 40])
def test_sampled_coordinates_are_autograds_and_stand_for_all(
    name: str, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LIMIT, limit)
    network, pixels = built(name), pixels_of(6)
    with plainly_run(network):
        plan = gradient_plan(GradientPasses(network, network, seed=0), pixels[:2])
    places = {each.name: each.places for each in plan.parameters}
    sizes = {key: weight.numel() for key, weight in network.named_parameters()}
    assert all(len(each) == min(limit, sizes[key]) == len(each.unique()) for key, each in places.items())
    rows = gradients(network, network, pixels)
    taken = {key: rows[key][:, :, each] for key, each in places.items()}
    found = computed(network, pixels)
    for kind, expected in grams(taken, {key: sizes[key] / len(each) for key, each in places.items()}).items():
        torch.testing.assert_close(getattr(found, kind), expected, rtol=1e-9, atol=1e-9)
    for kind, expected in grams(taken, all_of(taken)).items():
        torch.testing.assert_close(getattr(found, f"{kind}_sampled"), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
def test_samples_are_near_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = Pooled(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Conv2d(64, 16, 1)).double()
    pixels = pixels_of(12)
    sampled = [computed(network.eval(), pixels, seed=seed).plain for seed in range(3)]
    monkeypatch.setattr(LIMIT, 10**9)
    for seed, found in enumerate(sampled):
        whole = computed(network, pixels, seed=seed).plain
        assert float((found - whole).norm() / whole.norm()) < 0.2
    assert torch.equal(sampled[0], sampled[0])
    assert not torch.equal(sampled[0], sampled[1])


@pytest.mark.slow
@pytest.mark.parametrize("batch", [2, 3, 5, 7])
def test_neither_batches_nor_passes_matter(batch: int) -> None:
    network, pixels = built("norms"), pixels_of(7)
    once = computed(network, pixels, batch=7)
    for most_bytes in (2**30, 1):
        found = computed(network, pixels, batch=batch, most_bytes=most_bytes)
        for kind in ("plain", "adam", "plain_sampled", "adam_sampled"):
            torch.testing.assert_close(getattr(found, kind), getattr(once, kind), rtol=1e-10, atol=1e-10)


def test_memory_that_is_allowed_decides_the_number_of_passes() -> None:
    network, pixels = built("depthwise"), pixels_of(6)
    starts: list[int] = []

    def batches() -> Iterator[Tensor]:
        starts.append(1)
        yield from pixels.split(3)

    network_kernels(network, network, batches)
    assert len(starts) == 3  # to see the first images, to count them, and one pass
    starts.clear()
    network_kernels(network, network, batches, most_bytes=1)
    assert len(starts) == 2 + len(list(network.parameters()))


@pytest.mark.slow
def test_out_of_memory_halves_the_batch_and_goes_on() -> None:
    network, pixels = built("strided"), pixels_of(9)
    sizes: list[int] = []

    def features_of(batch: Tensor) -> Tensor:
        sizes.append(len(batch))
        if len(batch) > 3:
            raise torch.OutOfMemoryError("as if")
        return network(batch)

    found = network_kernels(network, features_of, lambda: pixels.split(8))
    torch.testing.assert_close(found.plain, computed(network, pixels).plain)
    assert sizes.count(8) == 1
    with pytest.raises(CandidateError, match="gradients of one image must fit into the memory of cpu") as caught:
        network_kernels(network, fails_after(network, 3, torch.OutOfMemoryError("as if")), lambda: pixels.split(8))
    assert caught.value.stage == "extract"
    with pytest.raises(CandidateError, match="must be differentiable in its features, but that failed: broken"):
        network_kernels(network, fails_after(network, 3, RuntimeError("broken")), lambda: pixels.split(8))


def fails_after(network: nn.Module, n_passes: int, error: Exception) -> Features:
    """Once it is settled on the first images how all layers are computed: two passes to find out, one to try."""
    passes: list[int] = []

    def features_of(batch: Tensor) -> Tensor:
        passes.append(1)
        if len(passes) > n_passes:
            raise error
        return network(batch)

    return features_of


def test_one_image_has_no_kernel() -> None:
    with pytest.raises(CandidateError, match="needs two images"):
        computed(built("strided"), pixels_of(1))


def test_a_network_is_left_as_it_was() -> None:
    network, pixels = built("norms"), pixels_of(4)
    network.layers[0].weight.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    asking = {name: weight.requires_grad for name, weight in network.named_parameters()}
    weights = dict(network.named_parameters())
    computed(network, pixels)
    assert {name: weight.requires_grad for name, weight in network.named_parameters()} == asking
    assert all(weight is weights[name] and weight.grad is None for name, weight in network.named_parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert network.layers[2].inplace
    assert not network.training
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in network.modules())


class PlacesFirst(nn.Module):
    """As some transformers run inside: [place, image, channel], so that images are not what comes first."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.mixed = nn.Conv2d(3, 4, 4, stride=4), nn.Linear(4, 4)

    def forward(self, pixels: Tensor) -> Tensor:
        tokens = self.patches(pixels).flatten(2).permute(2, 0, 1)
        return self.mixed(tokens).tanh().mean(dim=0)


def test_a_layer_that_does_not_have_images_first_is_found_out_and_left_out() -> None:
    torch.manual_seed(0)
    network, pixels = PlacesFirst().double().eval(), pixels_of(5)
    found = computed(network, pixels)
    assert found.notes == (
        "the tangent kernel is that of 90.7% of the weights, without 2 parameters: mixed.weight, mixed.bias",
    )
    rows = {name: each for name, each in gradients(network, network, pixels).items() if "patches" in name}
    torch.testing.assert_close(found.plain, grams(rows, all_of(rows))["plain"])


def test_a_network_whose_gradients_nobody_can_tell_apart_is_refused() -> None:
    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(3, 4))

        def forward(self, pixels: Tensor) -> Tensor:
            return (pixels.mean(dim=(2, 3)) @ self.weight).detach() + pixels.mean() * 0

    with pytest.raises(CandidateError, match="some parameter must have a gradient"):
        computed(Constant().double().eval(), pixels_of(4))


# What is left out of each family's kernel, by the end of the parameters' names.
LEFT_OUT = {
    "swin": "relative_position_bias_table",
    "swinv2": ("logit_scale", "weight", "bias"),  # of the network of its position bias, which sees no image
    "levit": "attention_biases",
    "mlcd_vision_model": ("class_pos_emb", "out_proj.weight", "out_proj.bias"),
    "siglip_vision_model": ("out_proj.weight", "out_proj.bias"),
    "beit": "relative_position_bias_table",
    "beit class token": "relative_position_bias_table",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES | OTHER_FAMILIES)
def test_every_familys_kernel_is_that_of_autograd(name: str, tmp_path: Path) -> None:
    family = (FAMILIES | OTHER_FAMILIES)[name]
    save_checkpoint(tmp_path, family.build(head=family.classifier is not None), family.image_processor())
    assert_is_autograds(tmp_path, LEFT_OUT.get(name, ()))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext", "test_efficientnet", "test_byobnet"])
def test_timms_kernels_are_those_of_autograd(name: str, tmp_path: Path) -> None:
    save_timm(tmp_path, name, classes=3)
    # Made for images of another size, positions are interpolated, of which a copy for every image makes no sense.
    assert_is_autograds(tmp_path, "pos_embed" if name == "test_vit" else ())


def assert_is_autograds(folder: Path, left_out: str | tuple[str, ...]) -> None:
    checkpoint = load_checkpoint(folder)
    pixels = checkpoint.prepare(random_images(4))
    network, features_of = checkpoint.model, lambda batch: checkpoint.outputs(batch)[0]
    found = network_kernels(network, features_of, lambda: pixels.split(4))
    with plainly_run(network):
        plan = gradient_plan(GradientPasses(network, features_of, seed=0), pixels[:2])
    places = {each.name: each.places for each in plan.parameters}
    with plainly_run(network):  # without what it kept from the passes before
        rows = gradients(network, features_of, pixels)
    missing = [key for key, each in rows.items() if key not in places and bool(each.any())]
    assert all(left_out and key.endswith(left_out) for key in missing), missing
    assert bool(found.notes) == bool(missing)
    taken = {key: rows[key][:, :, each] for key, each in places.items()}
    for kind, expected in grams(taken, all_of(taken)).items():
        assert float((getattr(found, f"{kind}_sampled") - expected).norm() / expected.norm()) < 1e-3


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("name", ["norms", "tokens", "grouped"])
def test_gpu_and_cpu_agree(name: str) -> None:
    network, pixels = built(name), pixels_of(6)
    on_cpu = computed(network, pixels)
    on_gpu = computed(network.cuda(), pixels)
    for kind in ("plain", "adam", "plain_sampled", "adam_sampled"):
        torch.testing.assert_close(getattr(on_gpu, kind), getattr(on_cpu, kind), rtol=1e-6, atol=1e-6)

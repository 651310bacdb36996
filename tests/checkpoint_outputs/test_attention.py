"""Attention by its parts: what softmax(Q K^T / sqrt(d)) V is, but for bfloat16's rounding; other calls go to torch."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from lead_hub.checkpoint_outputs import LoadedCheckpoint, load_checkpoint
from lead_hub.checkpoint_outputs.attention import CACHED_BYTES, MOST_BYTES, UnfusedAttention
from lead_hub.checkpoint_outputs.number_format import drift, passes_in
from tests.tiny_checkpoints import random_images, save_checkpoint
from tests.tiny_families import FAMILIES

BFLOAT16_DIGITS = 2**-8  # of a number, to its last digit


def random_inputs(n_images: int, n_tokens: int, *, n_heads: int = 2, width: int = 8) -> list[Tensor]:
    torch.manual_seed(0)
    # As networks hand them over: heads are beside the width in memory.
    return [torch.randn(n_images, n_tokens, n_heads, width).bfloat16().transpose(1, 2) for _ in range(3)]


def by_definition(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    weights = torch.einsum("ihqd,ihkd->ihqk", query.double(), key.double()) * scale
    return torch.einsum("ihqk,ihkd->ihqd", weights.exp() / weights.exp().sum(-1, keepdim=True), value.double())


# A few images fit the cache at once; one and the last part of several; two weights of an image are more than it.
@pytest.mark.parametrize(("n_images", "n_tokens"), [(1, 1), (5, 300), (7, 50), (2, 600)])
@pytest.mark.parametrize("scale", [None, 0.5])
def test_it_is_attention_by_its_definition(n_images: int, n_tokens: int, scale: float | None) -> None:
    inputs = random_inputs(n_images, n_tokens)
    expected = by_definition(*inputs, 8**-0.5 if scale is None else scale)

    with UnfusedAttention():
        found = scaled_dot_product_attention(*inputs, scale=scale)

    assert found.shape == (n_images, 2, n_tokens, 8)
    assert found.dtype == torch.bfloat16
    # Products, weights and result are rounded each.
    assert float((found.double() - expected).norm() / expected.norm()) < 3 * BFLOAT16_DIGITS


def test_parts_are_of_whole_images_and_leave_none_out() -> None:
    n_tokens = 300
    at_once = CACHED_BYTES // (2 * n_tokens**2 * 2)
    query, key, value = random_inputs(at_once + 1, n_tokens)
    with UnfusedAttention():
        together = scaled_dot_product_attention(query, key, value)
        last = scaled_dot_product_attention(query[-1:], key[-1:], value[-1:])

    assert torch.equal(together[-1:], last)


def test_keys_may_be_fewer_than_queries() -> None:
    query, key, value = random_inputs(3, 20)
    with UnfusedAttention():
        found = scaled_dot_product_attention(query, key[:, :, :5], value[:, :, :5])

    expected = by_definition(query, key[:, :, :5], value[:, :, :5], 8**-0.5)
    assert float((found.double() - expected).norm() / expected.norm()) < 3 * BFLOAT16_DIGITS


@pytest.mark.parametrize(
    "settings",
    [
        {"is_causal": True},
        {"attn_mask": torch.ones(20, 20).tril().bool()},
        {"attn_mask": torch.ones(1, 2, 20, 20).bfloat16()},
    ],
    ids=["causal", "mask", "bias"],
)
def test_calls_with_more_than_the_three_go_to_torch(settings: dict[str, Any]) -> None:
    inputs = random_inputs(3, 20)
    expected = scaled_dot_product_attention(*inputs, **settings)
    with UnfusedAttention():
        assert torch.equal(scaled_dot_product_attention(*inputs, **settings), expected)
        mask = settings.get("attn_mask")
        is_causal = settings.get("is_causal", False)
        assert torch.equal(scaled_dot_product_attention(*inputs, mask, 0.0, is_causal), expected)


def test_heads_that_share_keys_go_to_torch() -> None:
    query, key, value = random_inputs(3, 20, n_heads=4)
    expected = scaled_dot_product_attention(query, key[:, :2], value[:, :2], enable_gqa=True)
    with UnfusedAttention():
        assert torch.equal(scaled_dot_product_attention(query, key[:, :2], value[:, :2], enable_gqa=True), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_other_number_formats_stay_what_they_are(dtype: torch.dtype) -> None:
    inputs = [part.to(dtype) for part in random_inputs(3, 20)]
    expected = scaled_dot_product_attention(*inputs)
    with UnfusedAttention():
        assert torch.equal(scaled_dot_product_attention(*inputs), expected)


def test_values_and_keys_of_other_shapes_go_to_torch() -> None:
    query, key, value = random_inputs(3, 20)
    no_keys = key[:, :, :0]
    with UnfusedAttention():
        assert scaled_dot_product_attention(query, no_keys, no_keys).shape == query.shape
        shared = scaled_dot_product_attention(query, key, value[:, :1])
    assert torch.equal(shared, scaled_dot_product_attention(query, key, value[:, :1]))


@pytest.mark.parametrize(
    ("instructions", "dtype", "is_unfused"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, torch.bfloat16, True),
        ({"avx512_bf16": True, "amx_bf16": True}, torch.bfloat16, False),
        ({}, torch.bfloat16, False),
        ({"avx512_bf16": True, "amx_bf16": False}, torch.float32, False),
    ],
    ids=["vectors", "tiles", "neither", "float32"],
)
def test_passes_use_it_where_the_processor_has_vectors_alone(
    monkeypatch: pytest.MonkeyPatch, instructions: dict[str, bool], dtype: torch.dtype, is_unfused: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions)
    inputs = [part.float() for part in random_inputs(4, 120)]
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        fused = scaled_dot_product_attention(*inputs)
        with UnfusedAttention():
            unfused = scaled_dot_product_attention(*inputs)
    with passes_in(dtype, torch.device("cpu")):
        found = scaled_dot_product_attention(*inputs)
    assert torch.equal(found, unfused if is_unfused else fused)
    assert torch.equal(fused, unfused) == (dtype == torch.float32)


def test_long_sequences_go_to_torch_which_keeps_no_weights() -> None:
    n_tokens = int((MOST_BYTES / 2) ** 0.5) + 1
    inputs = random_inputs(1, n_tokens, n_heads=1)
    expected = scaled_dot_product_attention(*inputs)
    with UnfusedAttention():
        assert torch.equal(scaled_dot_product_attention(*inputs), expected)


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> LoadedCheckpoint:
    return load_checkpoint(save_checkpoint(tmp_path_factory.mktemp("vit"), FAMILIES["vit"].build(head=True)))


def test_a_networks_attention_is_answered_and_its_features_stay(vit: LoadedCheckpoint) -> None:
    pixels = vit.prepare(random_images(6))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        fused = vit.forward(pixels)[0].float()
        with UnfusedAttention():
            unfused = vit.forward(pixels)[0].float()

    assert not torch.equal(fused, unfused)
    assert drift(unfused, fused) < 3 * BFLOAT16_DIGITS

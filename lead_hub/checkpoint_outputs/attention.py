"""Attention in bfloat16 as a processor without matrix tiles runs it fastest: products, a softmax, few images at once.

torch's fused attention multiplies small blocks, there no faster in bfloat16 than in float32. What it saves is memory:
the weights of few images at a time stay in a core's cache, and longer sequences are left to it.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

# Bytes of the weights that are computed at once, and those of one image above which torch's own is faster.
CACHED_BYTES, MOST_BYTES = 1 << 20, 32 << 20


class UnfusedAttention(TorchFunctionMode):
    """Within the block calls of torch's fused attention, in bfloat16 on a processor, are answered by its parts.

    Not those that torch's own layers make within it.
    """

    def __torch_function__(
        self, func: Callable[..., Any], _types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        answer = _attention(*args, **named) if func is scaled_dot_product_attention else None
        return func(*args, **named) if answer is None else answer


def _attention(
    query: Float[Tensor, "image head token width"],
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    *further: Any,
    scale: float | None = None,
    **others: Any,
) -> Float[Tensor, "image head token width"] | None:
    """What the fused attention gives but for rounding, or None where that is the one to ask."""
    is_plain = attn_mask is None and not any(further) and not any(others.values())
    is_rounded = query.dtype == torch.bfloat16 or (query.dtype == torch.float32 and torch.is_autocast_enabled("cpu"))
    if not is_plain or not is_rounded or query.ndim != 4 or not query.shape[:2] == key.shape[:2] == value.shape[:2]:
        return None
    bytes_each = query.shape[1] * query.shape[2] * key.shape[2] * torch.bfloat16.itemsize
    if not 0 < bytes_each <= MOST_BYTES:
        return None
    at_once = max(1, CACHED_BYTES // bytes_each)
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    queries, keys, values = (torch.split(part.bfloat16(), at_once) for part in (query, key, value))
    return torch.cat([_of_few(*few, factor) for few in zip(queries, keys, values, strict=True)])


def _of_few(query: Tensor, key: Tensor, value: Tensor, factor: float) -> Tensor:
    queries, keys, values = (part.flatten(0, 1) for part in (query, key, value))
    weights = torch.baddbmm(queries.new_empty(()), queries, keys.transpose(1, 2), beta=0, alpha=factor)
    found: Tensor = weights.softmax(dim=-1) @ values
    return found.reshape(*query.shape[:3], value.shape[3])

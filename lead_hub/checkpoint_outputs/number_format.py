"""In which number format a network is run: what the processor computes fast, as long as it says nearly the same.

One rule for all checkpoints of a run: bfloat16 where it is clearly faster, as `device_settings.py` has found or, where
nothing is measured, where the processor multiplies it in hardware, else float32. A network that bfloat16 moves too far
on a few images of the run is run in float32, and its row says so.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lead_hub.checkpoint_outputs.attention import UnfusedAttention
from lead_hub.errors import CandidateError

# Of the spread of the features over images. The demo's small networks stay below it, and their scores within the bound
# of tests/checkpoint_outputs/test_number_format.py; its MobileNets on photographs are above it.
MOST_DRIFT = 0.05
# Of every so many images one is run beforehand, to see whether the network bears the number format. How far it moves
# features is a mean over images, and of how far they are apart, over pairs of them: of two images there is one pair.
IMAGES_A_TRIED_ONE = 100
FEWEST_TRIED, MOST_TRIED = 4, 8
# Names that torch gives to instructions which multiply bfloat16: vectors of it, or tiles of matrices.
VECTORS, TILES = "avx512_bf16", "amx_bf16"
BFLOAT16_INSTRUCTIONS = (VECTORS, TILES)


def fast_dtype(device: torch.device) -> torch.dtype:
    """The number format that a device should compute fastest in, by its instructions, without losing their range."""
    if device.type == "cuda":
        # Older GPUs, which multiply float16 in hardware, compute bfloat16 as well, but many times slower.
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.bfloat16 if device.type == "cpu" and bfloat16_instructions() else torch.float32


def bfloat16_instructions() -> set[str]:
    """Of BFLOAT16_INSTRUCTIONS those that this machine's processor has and torch uses; an older torch does not tell."""
    capabilities: Callable[[], dict[str, object]] = getattr(torch.cpu, "get_capabilities", dict)
    has = capabilities()
    return {name for name in BFLOAT16_INSTRUCTIONS if has.get(name)}


@contextmanager
def passes_in(dtype: torch.dtype, device: torch.device) -> Iterator[None]:
    """Within the block passes are in a number format, as the device computes them fastest in it."""
    with ExitStack() as stack:
        stack.enter_context(torch.autocast(device.type, dtype, enabled=dtype != torch.float32))
        if device.type == "cpu" and dtype == torch.bfloat16 and bfloat16_instructions() == {VECTORS}:
            stack.enter_context(UnfusedAttention())
        yield


def tried_positions(n_images: int) -> list[int]:
    """Of the images that are run beforehand: as far apart as can be, each once."""
    wanted = min(n_images, max(FEWEST_TRIED, min(MOST_TRIED, n_images // IMAGES_A_TRIED_ONE)))
    return sorted({round(step * (n_images - 1) / max(1, wanted - 1)) for step in range(wanted)})


def drift(found: Float[Tensor, "image feature"], expected: Float[Tensor, "image feature"]) -> float:
    """How far features are from what they should be, as a share of how far images are from their mean; 0 is best.

    Infinite where they are not finite, or the images' features are all the same.
    """
    spread = float((expected - expected.mean(dim=0)).norm())
    moved = float((found - expected).norm())
    return moved / spread if spread > 0 and math.isfinite(moved) else math.inf


@dataclass(frozen=True)
class NumberFormat:
    """Of the forward passes of one checkpoint.

    Attributes:
        dtype: of the passes.
        reason: why it is not that of the run, in words; empty where it is.
    """

    dtype: torch.dtype
    reason: str = ""


def checked_format(
    dtype: torch.dtype,
    run: Callable[[torch.dtype], Float[Tensor, "image feature"]],
    expected: Float[Tensor, "image feature"],
) -> NumberFormat:
    """The number format itself, or float32 where the network does not bear it.

    Args:
        dtype: that of the run.
        run: gives the features of some images in a number format.
        expected: the same in float32.
    """
    name = str(dtype).removeprefix("torch.")
    try:
        moved = drift(run(dtype), expected)
    except CandidateError as error:
        return NumberFormat(torch.float32, f"run in float32, as in {name} it failed: {error}")
    if moved <= MOST_DRIFT:
        return NumberFormat(dtype)
    # Without the figure: the same words for all checkpoints of a board stand once below it.
    reason = f"run in float32, as {name} moves its features by more than {MOST_DRIFT:.0%} of their spread"
    return NumberFormat(torch.float32, reason)

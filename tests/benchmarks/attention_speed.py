"""What attention by its parts takes of torch's fused attention: `python -m tests.benchmarks.attention_speed`.

For one attention of several lengths in float32 and in bfloat16, fused and by its parts, and for a whole ViT-S/16 in
bfloat16, with how far either moves its features from those in float32. The ways take turns; the figures are ratios of
the processor's time, the median and the range of all turns.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch
import transformers
from torch.nn.functional import scaled_dot_product_attention

from lead_hub.checkpoint_outputs.attention import UnfusedAttention
from lead_hub.checkpoint_outputs.number_format import bfloat16_instructions, drift

N_IMAGES, N_HEADS, WIDTH = 16, 6, 64  # of a run's batch on a processor, and of a ViT-S
LENGTHS = (50, 197, 577, 1025)
FUSED, PARTS, FULL = "fused, bfloat16", "by its parts, bfloat16", "fused, float32"


def processor_s(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def shown(ways: Mapping[str, Callable[[], object]], over: str, repeats: int) -> str:
    """What each way takes, as a share of one of them."""
    for run in ways.values():
        run()
    turns = [{name: processor_s(run) for name, run in ways.items()} for _ in range(repeats)]
    ratios = {name: [turn[name] / turn[over] for turn in turns] for name in ways if name != over}
    return "; ".join(
        f"{name} / {over} = {statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})"
        for name, found in ratios.items()
    )


def attended(inputs: torch.Tensor, within: Callable[[], AbstractContextManager[object]]) -> None:
    query, key, value = inputs
    with torch.inference_mode(), within():
        for _ in range(4):
            scaled_dot_product_attention(query, key, value)


def vit_features(
    network: transformers.ViTModel, pixels: torch.Tensor, within: Callable[[], AbstractContextManager[object]]
) -> torch.Tensor:
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16), within():
        return torch.as_tensor(network(pixels).last_hidden_state[:, 0]).float()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    torch.manual_seed(0)
    has = ", ".join(sorted(bfloat16_instructions())) or "none"
    print(f"instructions for bfloat16: {has}; {torch.get_num_threads()} threads; {N_IMAGES} images at a time")
    for length in LENGTHS:
        inputs = torch.randn(3, N_IMAGES, N_HEADS, length, WIDTH)
        ways = {
            FULL: partial(attended, inputs, nullcontext),
            FUSED: partial(attended, inputs.bfloat16(), nullcontext),
            PARTS: partial(attended, inputs.bfloat16(), UnfusedAttention),
        }
        print(f"one attention, {length} tokens: {shown(ways, FUSED, repeats)}", flush=True)
    small = transformers.ViTConfig(hidden_size=384, num_attention_heads=N_HEADS, intermediate_size=1536)
    network, pixels = transformers.ViTModel(small).eval(), torch.randn(N_IMAGES, 3, 224, 224)
    whole = {FUSED: partial(vit_features, network, pixels, nullcontext)}
    whole |= {PARTS: partial(vit_features, network, pixels, UnfusedAttention)}
    print(f"a whole ViT-S/16: {shown(whole, FUSED, repeats)}", flush=True)
    with torch.inference_mode():
        expected = network(pixels).last_hidden_state[:, 0]
    moved = {name: drift(run(), expected) for name, run in whole.items()}
    print("moves its features by " + ", ".join(f"{share:.1%} ({name})" for name, share in moved.items()))


if __name__ == "__main__":
    main()

"""How fast this machine runs two pieces of network, in which way: `python -m tests.benchmarks.machine_settings`.

What a first run measures and remembers, as often as asked and without reading or keeping anything. With --networks
whole networks of random weights in the ways that were chosen between, over ready tensors, on one core and by the
processor's time, so that other programs do not count. With --compile the same networks by `torch.compile`, and how many
images they must see before what its first pass takes is won back.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack

import timm
import torch
from torch import Tensor, nn

from lead_hub.checkpoint_outputs import freed_memory_kept, passes_in
from lead_hub.checkpoint_outputs.device_settings import (
    facts,
    measured_settings,
    other_thread_counts,
    with_measured_threads,
)
from lead_hub.checkpoint_outputs.fast_layout import channels_last, folded_norms
from lead_hub.checkpoint_outputs.number_format import fast_dtype
from lead_hub.checkpoint_outputs.timed_pieces import number_of_threads

CPU = torch.device("cpu")
NETWORKS = ("resnet50", "vit_small_patch16_224")
N_IMAGES, N_RUN = 16, 2000  # of a pass, and of a run

Pass = Callable[[Tensor], Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--networks", action="store_true")
    parser.add_argument("--compile", action="store_true")
    asked = parser.parse_args()
    device = torch.device(asked.device)
    print("; ".join(f"{name}: {value}" for name, value in facts(device).items()))
    for _ in range(asked.repeats):
        show_settings(device)
    torch.manual_seed(0)
    for name in NETWORKS if asked.networks or asked.compile else ():
        with number_of_threads(1), ExitStack() as stack:
            stack.enter_context(torch.inference_mode())
            show_network(name, stack, repeats=asked.repeats, is_compiled=asked.compile)


def show_settings(device: torch.device) -> None:
    start_s = time.perf_counter()
    found = measured_settings(device)
    if other_thread_counts(device):
        found = with_measured_threads(found, device)
    took_s, milliseconds = time.perf_counter() - start_s, found.milliseconds
    print(f"measured in {took_s:.1f} s: {found.to_document()}")
    for piece in ("convolutions", "transformer"):
        of_piece = {way: took for way, took in milliseconds.items() if way.startswith(piece) and "threads" not in way}
        plain = [took for way, took in of_piece.items() if "float32" in way]
        other = [took for way, took in of_piece.items() if "float32" not in way]
        if plain and other:
            print(f"  {piece}: float32 / the fast format {min(plain) / min(other):.2f}", flush=True)


def show_network(name: str, stack: ExitStack, *, repeats: int, is_compiled: bool) -> None:
    """One network in the fast format, and in float32, plain, or compiled, one after the other."""
    dtype, pixels = fast_dtype(CPU), torch.randn(N_IMAGES, 3, 224, 224)
    network: nn.Module = timm.create_model(name).eval()
    stack.enter_context(freed_memory_kept(CPU))

    def fast(some: Tensor) -> Tensor:
        with passes_in(dtype, CPU):
            return torch.as_tensor(network(some))

    if is_compiled:
        laid_out(network, pixels, stack)
        compiled = torch.compile(network)

        def other(some: Tensor) -> Tensor:
            with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
                return torch.as_tensor(compiled(some))

        start_s, start_clock_s = time.process_time(), time.perf_counter()
        other(pixels)
        first_s, clock_s = time.process_time() - start_s, time.perf_counter() - start_clock_s
        ratios, spared_s = in_turns(fast, other, pixels, repeats)
        needed = f"{N_IMAGES * first_s / spared_s:,.0f} images" if spared_s > 0 else "never"
        # What its helpers compile in processes of their own does not count, and neither does what they are waited for.
        told = f"first pass {first_s:.0f} s ({clock_s:.0f} s by the clock), won back by: {needed}"
        print(f"{name}, {dtype}, compiled / as it is: {ratios}; {told}", flush=True)
        return
    plain = in_turns(lambda some: torch.as_tensor(network(some)), fast, pixels, repeats)[0]
    print(f"{name}: {dtype} / float32 {plain}", flush=True)
    if name == NETWORKS[0]:
        seconds_s = [seconds(fast, pixels) for _ in range(repeats)]
        laid_out(network, pixels, stack)
        laid_s = [seconds(fast, pixels) for _ in range(repeats)]
        print(f"{name}, {dtype}: norms folded and channels last / plain {min(laid_s) / min(seconds_s):.2f}", flush=True)


def laid_out(network: nn.Module, pixels: Tensor, stack: ExitStack) -> None:
    stack.enter_context(folded_norms(network, lambda: torch.as_tensor(network(pixels[:2]))))
    stack.enter_context(channels_last(network))


def in_turns(usual: Pass, other: Pass, pixels: Tensor, repeats: int) -> tuple[str, float]:
    """How long the other takes beside the usual: median and range in words; and the seconds that it spares a pass."""
    ratios, spared_s = [], []
    for turn in range(repeats + 1):
        usual_s, other_s = seconds(usual, pixels), seconds(other, pixels)
        if turn:
            ratios.append(other_s / usual_s)
            spared_s.append(usual_s - other_s)
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})", statistics.median(spared_s)


def seconds(run: Pass, pixels: Tensor) -> float:
    start_s = time.thread_time()
    run(pixels)
    return time.thread_time() - start_s


if __name__ == "__main__":
    main()

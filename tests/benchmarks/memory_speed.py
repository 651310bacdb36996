"""What keeping freed memory spares a processor's passes: `python -m tests.benchmarks.memory_speed`.

Passes of networks with random weights over ready tensors, in float32 and in the number format of a run, with the C
library as it is, or as `freed_memory_kept` leaves it behind, and with what it does within that. Both take turns; the
figures are ratios of time by the clock, the median and the range of all turns.
"""

import argparse
import statistics
import time
from contextlib import nullcontext

import timm
import torch

from lead_hub.checkpoint_outputs import freed_memory_kept, passes_in
from lead_hub.checkpoint_outputs.number_format import fast_dtype

NETWORKS = ("resnet50", "convnext_tiny", "mobilenetv2_100", "efficientnet_b0", "vit_small_patch16_224")
N_IMAGES, N_PASSES = 16, 4  # of a run's batch on a processor; passes of a turn, after one that is not counted
CPU = torch.device("cpu")


def passes_s(network: torch.nn.Module, pixels: torch.Tensor, dtype: torch.dtype, *, keeps: bool) -> float:
    with freed_memory_kept(CPU) if keeps else nullcontext(), torch.inference_mode(), passes_in(dtype, CPU):
        network(pixels)
        start = time.perf_counter()
        for _ in range(N_PASSES):
            network(pixels)
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    torch.manual_seed(0)
    print(f"{N_IMAGES} images a pass, {torch.get_num_threads()} threads; time with freed memory kept / as it is")
    pixels = torch.randn(N_IMAGES, 3, 224, 224)
    for name in NETWORKS:
        network = timm.create_model(name).eval()
        for dtype in dict.fromkeys((torch.float32, fast_dtype(CPU))):
            ratios = []
            for _ in range(repeats):
                usual_s = passes_s(network, pixels, dtype, keeps=False)
                ratios.append(passes_s(network, pixels, dtype, keeps=True) / usual_s)
            print(
                f"{name}, {dtype}: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})", flush=True
            )


if __name__ == "__main__":
    main()

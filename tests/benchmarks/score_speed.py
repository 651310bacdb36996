"""Time and memory of LEAD beside LogME on 5,000 images of 2,048 features in 100 classes.

    python -m tests.benchmarks.score_speed [--repeats 5]

Times: both scores in turn in one process, after one unmeasured call of each; the ratio is that of their medians.
Memory: each score once in a process of its own; the peak resident set, and how much of it the call itself added.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from lead_hub.transferability import score

N_IMAGES, N_FEATURES, N_CLASSES = 5000, 2048, 100
METHODS = ("lead", "logme")
GOAL = 1.5


def images() -> tuple[torch.Tensor, torch.Tensor]:
    """Like pooled features: not negative, with a spectrum that falls by a factor of 100, float32."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(N_IMAGES) % N_CLASSES
    spread = torch.logspace(0, -2, N_FEATURES)
    centres = 0.3 * torch.randn(N_CLASSES, N_FEATURES, generator=generator)
    features = torch.randn(N_IMAGES, N_FEATURES, generator=generator) * spread + centres[labels]
    return features.clamp(min=0), labels


def durations_s(repeats: int) -> dict[str, list[float]]:
    features, labels = images()
    found: dict[str, list[float]] = {method: [] for method in METHODS}
    for repeat in range(repeats + 1):
        for method in METHODS:
            start = time.perf_counter()
            score(features, labels, method)
            if repeat:
                found[method].append(time.perf_counter() - start)
    return found


def peak_mib() -> float:
    """High-water mark of this process (Linux). Not getrusage's, which starts at that of the parent process."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def report_memory(method: str) -> None:
    features, labels = images()
    before = peak_mib()
    score(features, labels, method)
    print(f"{method}: peak {peak_mib():.0f} MiB, of which the call {peak_mib() - before:.0f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--memory-of", choices=METHODS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of:
        report_memory(arguments.memory_of)
        return
    print(f"{N_IMAGES} images x {N_FEATURES} features, {N_CLASSES} classes, {torch.get_num_threads()} threads")
    found = durations_s(arguments.repeats)
    medians = {method: statistics.median(times) for method, times in found.items()}
    for method, times in found.items():
        print(f"{method}: median {medians[method]:.2f} s, from {min(times):.2f} to {max(times):.2f} s")
    print(f"lead / logme: {medians['lead'] / medians['logme']:.2f} (goal: at most {GOAL})", flush=True)
    for method in METHODS:
        subprocess.run([sys.executable, "-m", "tests.benchmarks.score_speed", "--memory-of", method], check=True)


if __name__ == "__main__":
    main()

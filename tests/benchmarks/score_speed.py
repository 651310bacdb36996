"""Time and memory of LEAD beside LogME, on 5,000 images of 2,048 features in 100 classes unless asked for others.

    python -m tests.benchmarks.score_speed [--repeats 5] [--images 20000] [--features 2048] [--classes 200]

Times: both scores in turn in one process, after one unmeasured call of each, by the clock and by the processor, which
other programs disturb less; the ratios are those of their medians. Then several scores that begin with the same
decomposition, one by one and in one call; and what LEAD's time goes into. Memory: each score once in a process of its
own; the peak resident set, and how much of it the call itself added.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from lead_hub.transferability import score, transferabilities
from lead_hub.transferability.leave_one_out import leave_one_out_logits, standardised
from lead_hub.transferability.spectrum import gram_spectrum

METHODS = ("lead", "logme")
SHARING = ("lead", "lead-head", "loo-log-loss", "linear-probe", "h-score", "gbc")
GOAL = 1.5


@dataclass(frozen=True)
class Size:
    """How many of each."""

    images: int = 5000
    features: int = 2048
    classes: int = 100


@dataclass(frozen=True)
class Duration:
    """Seconds by the clock, and of the processor."""

    clock_s: float
    processor_s: float


def made_images(size: Size) -> tuple[torch.Tensor, torch.Tensor]:
    """Like pooled features: not negative, with a spectrum that falls by a factor of 100, float32."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(size.images) % size.classes
    spread = torch.logspace(0, -2, size.features)
    centres = 0.3 * torch.randn(size.classes, size.features, generator=generator)
    features = torch.randn(size.images, size.features, generator=generator) * spread + centres[labels]
    return features.clamp(min=0), labels


def timed(work: Callable[[], object]) -> Duration:
    clock_s, processor_s = time.perf_counter(), time.process_time()
    work()
    return Duration(time.perf_counter() - clock_s, time.process_time() - processor_s)


def durations(works: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[Duration]]:
    """All in turn, so many times, after once unmeasured."""
    found: dict[str, list[Duration]] = {name: [] for name in works}
    for repeat in range(repeats + 1):
        for name, work in works.items():
            duration = timed(work)
            if repeat:
                found[name].append(duration)
    return found


def report_times(works: Mapping[str, Callable[[], object]], repeats: int) -> None:
    """Medians of two works, and the ratio of the first to the second."""
    found = durations(works, repeats)
    clock_s = {name: statistics.median(each.clock_s for each in times) for name, times in found.items()}
    processor_s = {name: statistics.median(each.processor_s for each in times) for name, times in found.items()}
    for name in works:
        print(f"{name}: median {clock_s[name]:.2f} s by the clock, {processor_s[name]:.2f} s of the processor")
    first, second = works
    ratios = (times[first] / times[second] for times in (clock_s, processor_s))
    print(f"{first} / {second}: {next(ratios):.2f} by the clock, {next(ratios):.2f} of the processor", flush=True)


def report_parts(features: torch.Tensor, labels: torch.Tensor) -> None:
    """What LEAD's time goes into: what LogME does as well, and what leaving every image out takes beyond that."""
    rows = standardised(features.double(), scaling="global")
    spectrum = gram_spectrum(rows)
    works = {
        "the decomposition, which LogME does as well": lambda: gram_spectrum(rows),
        "the images along its axes, of which leverages are made": spectrum.coordinates,
        "that and the left-out predictions": lambda: leave_one_out_logits(rows, labels, spectrum=spectrum),
    }
    for name, work in works.items():
        print(f"of lead: {name}: {timed(work).processor_s:.2f} s of the processor", flush=True)


def peak_mib() -> float:
    """High-water mark of this process (Linux). Not getrusage's, which starts at that of the parent process."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def report_memory(method: str, size: Size) -> None:
    features, labels = made_images(size)
    before = peak_mib()
    score(features, labels, method)
    print(f"{method}: peak {peak_mib():.0f} MiB, of which the call {peak_mib() - before:.0f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    for name in ("images", "features", "classes"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Size(), name))
    parser.add_argument("--memory-of", choices=METHODS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    size = Size(arguments.images, arguments.features, arguments.classes)
    if arguments.memory_of:
        report_memory(arguments.memory_of, size)
        return
    print(
        f"{size.images} images x {size.features} features, {size.classes} classes, {torch.get_num_threads()} threads;"
        f" goal: lead / logme at most {GOAL}"
    )
    features, labels = made_images(size)
    report_times({method: partial(score, features, labels, method) for method in METHODS}, arguments.repeats)
    report_parts(features, labels)
    together = partial(transferabilities, features, labels, SHARING)

    def one_by_one() -> None:
        for method in SHARING:
            score(features, labels, method)

    print(f"the {len(SHARING)} scores {', '.join(SHARING)}:")
    report_times({"in one call": together, "one by one": one_by_one}, 1)
    asked = [f"--{name}={getattr(size, name)}" for name in ("images", "features", "classes")]
    for method in METHODS:
        command = [sys.executable, "-m", "tests.benchmarks.score_speed", *asked, "--memory-of", method]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()

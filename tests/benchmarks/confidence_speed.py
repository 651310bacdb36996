"""Time and memory of everything that one ranking says of its certainty, for 200 checkpoints on 2,000 images.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.confidence_speed [--repeats 5]

On one core; the goal is below 2 s. Memory is what the process's peak grew by, above the terms themselves (Linux).
"""

import argparse
import statistics
import time

import numpy as np

from lead_hub.confidence import chances_of_best, could_be_best, resampled_scores
from lead_hub.confidence.intervals import rank_intervals
from tests.benchmarks.score_speed import peak_mib

N_CHECKPOINTS, N_IMAGES = 200, 2000
GOAL_S = 2.0


def everything(terms: np.ndarray) -> None:
    resampled = resampled_scores(terms)
    rank_intervals(terms.mean(axis=1), resampled)
    could_be_best(chances_of_best(resampled, spread=0.1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    generator = np.random.default_rng(0)
    terms = generator.normal(size=(N_CHECKPOINTS, N_IMAGES)) + generator.normal(size=(N_CHECKPOINTS, 1)) / 10
    before = peak_mib()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        everything(terms)
        times.append(time.perf_counter() - start)
    print(f"{N_CHECKPOINTS} checkpoints x {N_IMAGES} images, 1,000 resamples:")
    print(f"median {statistics.median(times):.2f} s, from {min(times):.2f} to {max(times):.2f} s (goal: {GOAL_S} s)")
    print(f"memory: {peak_mib() - before:.0f} MiB above the terms' {terms.nbytes / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()

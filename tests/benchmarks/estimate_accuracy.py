"""How far `estimate_run` is off: `python -m tests.benchmarks.estimate_accuracy`.

Ranks randomly initialised timm networks, whose weights are on the disk, and compares the time of each with what the
estimate said for it alone, and of the run with what it said for the run; then what the run itself told, after each
checkpoint, of the time that was left, with what was. `--runs 20` does short runs of two of them instead.
"""

import argparse
import os
import random
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import TimmWrapperConfig, TimmWrapperModel

from lead_hub import recommend
from lead_hub.bench.speed.measured_parts import silence
from lead_hub.candidates import Candidate
from lead_hub.recommendation import RunProgress, estimate_run
from lead_hub.recommendation.estimate import POSITIONS, computing_s, measured_speed, speed_measured_in

ARCHITECTURES = (
    *("resnet50", "vit_small_patch16_224", "convnext_tiny", "swin_tiny_patch4_window7_224"),
    "mobilenetv2_100",
)
N_FEW, MOST_OFF = 2, 1.25  # checkpoints of a short run; what the estimate should be within
IMAGE_SHAPE = (375, 500, 3)  # a common size of ImageNet's photographs


def save_checkpoint(name: str, folder: Path) -> Path:
    """A network with random weights, which holds the settings of its image processor."""
    torch.manual_seed(0)
    settings = {"input_size": [3, 224, 224], "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic"}
    config = TimmWrapperConfig(architecture=name, pretrained_cfg={**settings, "crop_pct": 0.9, "crop_mode": "center"})
    TimmWrapperModel(config).save_pretrained(folder / name)
    return folder / name


def save_images(folder: Path, n_images: int) -> Path:
    random = np.random.default_rng(0)
    for number in range(n_images):
        place = folder / ("light" if number % 2 else "dark")
        place.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 128, IMAGE_SHAPE) + 127 * (number % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(place / f"{number:04}.jpg")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--runs", type=int, default=1, help="of one are told all checkpoints, of several the ratios")
    options = parser.parse_args()
    silence()
    with tempfile.TemporaryDirectory() as folder:
        images = save_images(Path(folder) / "images", options.images)
        pool = [Candidate(str(save_checkpoint(name, Path(folder)))) for name in ARCHITECTURES]
        if options.runs == 1:
            one_run(images, pool, n_images=options.images, cache_dir=Path(folder) / "cache")
            return
        ratios = []
        for number in range(options.runs):
            few = random.Random(number).sample(pool, N_FEW)
            ratios.append(short_run(images, few, n_images=options.images, cache_dir=Path(folder) / str(number)))
        within = sum(1 / MOST_OFF <= ratio <= MOST_OFF for ratio in ratios)
        print(
            f"{len(ratios)} runs: ratio {min(ratios):.2f} to {max(ratios):.2f}, median {statistics.median(ratios):.2f};"
        )
        print(f"{within} within a factor of {MOST_OFF}, load {os.getloadavg()[0]:.1f}")


def short_run(images: Path, pool: list[Candidate], *, n_images: int, cache_dir: Path) -> float:
    """What a run of few checkpoints took over what was estimated just before it, as a process of its own would."""
    speed_measured_in.cache_clear()
    estimated_s = estimate_run(pool, n_images=n_images).duration_s
    start_s = time.perf_counter()
    board = recommend(images, pool, cache_dir=cache_dir, progress=False)
    took_s = time.perf_counter() - start_s
    assert not board.skipped, board.skipped
    assert estimated_s is not None
    names = ", ".join(Path(one.checkpoint).name for one in pool)
    print(f"{names}: {took_s:.1f} s for {estimated_s:.1f} s estimated, ratio {took_s / estimated_s:.2f}", flush=True)
    return took_s / estimated_s


def one_run(images: Path, pool: list[Candidate], *, n_images: int, cache_dir: Path) -> None:
    """Print of every checkpoint what it took, and what the run told of the time that was left."""
    speed = measured_speed()
    print(f"{speed.flops_per_s / 1e9:.0f} GFLOP/s, {speed.prepared_images_per_s:.0f} images prepared a second")
    estimate = estimate_run(pool, n_images=n_images, speed=speed)
    start = before = time.perf_counter()
    told: dict[int, tuple[float, float]] = {}  # by finished checkpoints: when, and the seconds that were left

    def note(now: RunProgress) -> None:
        if now.stage == "score" and now.remaining_s is not None:
            told[now.number] = time.perf_counter(), now.remaining_s

    boards = recommend(images, pool, stream=True, cache_dir=cache_dir, progress=False, on_progress=note)
    for name, candidate, board in zip(ARCHITECTURES, pool, boards, strict=True):
        now = time.perf_counter()
        assert not board.skipped, board.skipped
        row = next(row for row in board.rows if row.checkpoint == candidate.checkpoint)
        alone = computing_s([POSITIONS * row.parameters], n_images=n_images, speed=speed)
        print(f"{name}: {now - before:.1f} s for {alone:.1f} s estimated, ratio {(now - before) / alone:.2f}")
        before = now
    assert estimate.duration_s is not None
    real_s = before - start
    print(
        f"the run: {real_s:.1f} s for {estimate.duration_s:.1f} s estimated, ratio {real_s / estimate.duration_s:.2f}"
    )
    for number, (when, left_s) in told.items():
        if number < len(pool) and number > 1:
            print(f"after {number - 1}: {left_s:.1f} s told to be left, {before - when:.1f} s were")


if __name__ == "__main__":
    main()

"""How far `estimate_run` is off: `python -m tests.benchmarks.estimate_accuracy`.

Ranks randomly initialised timm networks, whose weights are on the disk, and compares the time of each with what the
estimate said for it alone, and of the run with what it said for the run; then what the run itself told, after each
checkpoint, of the time that was left, with what was.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import TimmWrapperConfig, TimmWrapperModel

from lead_hub import recommend
from lead_hub.candidates import Candidate
from lead_hub.recommendation import RunProgress, estimate_run
from lead_hub.recommendation.estimate import computing_s, measured_speed

ARCHITECTURES = (
    *("resnet50", "vit_small_patch16_224", "convnext_tiny", "swin_tiny_patch4_window7_224"),
    "mobilenetv2_100",
)
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
    options = parser.parse_args()
    speed = measured_speed()
    print(f"{speed.flops_per_s / 1e9:.0f} GFLOP/s, {speed.prepared_images_per_s:.0f} images prepared a second")
    with tempfile.TemporaryDirectory() as folder:
        images = save_images(Path(folder) / "images", options.images)
        pool = [Candidate(str(save_checkpoint(name, Path(folder)))) for name in ARCHITECTURES]
        estimate = estimate_run(pool, n_images=options.images, speed=speed)
        start = before = time.perf_counter()
        told: dict[int, tuple[float, float]] = {}  # by finished checkpoints: when, and the seconds that were left

        def note(now: RunProgress) -> None:
            if now.stage == "score" and now.remaining_s is not None:
                told[now.number] = time.perf_counter(), now.remaining_s

        options_of_run = {"cache_dir": Path(folder) / "cache", "progress": False, "on_progress": note}
        boards = recommend(images, pool, stream=True, **options_of_run)
        for name, candidate, board in zip(ARCHITECTURES, pool, boards, strict=True):
            now = time.perf_counter()
            assert not board.skipped, board.skipped
            row = next(row for row in board.rows if row.checkpoint == candidate.checkpoint)
            alone = computing_s([row.parameters], n_images=options.images, speed=speed)
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

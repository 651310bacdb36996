"""What finding copies of pictures costs, as a share of one checkpoint's passes over them on one core.

For the demo's datasets and for smooth random pictures, against a ResNet-50 at 224 px.

python -m tests.benchmarks.near_copies_speed
"""

import time

import numpy as np
import torch
from PIL import Image
from transformers import ResNetConfig, ResNetModel

from lead_hub.demo import TARGETS
from lead_hub.recommendation.near_copies import same_pictures, thumbnail
from tests.recommendation.copied_pictures import Picture, demo_pictures

N_RANDOM = 2_000


def smooth_pictures(n_pictures: int) -> tuple[list[Picture], list[int]]:
    """Blurred noise, as many pairs of which are coarsely alike as of photos; ten classes."""
    noise = np.random.default_rng(0).integers(0, 256, (n_pictures, 4, 4, 3), dtype=np.uint8)
    pictures = [np.asarray(Image.fromarray(each).resize((64, 64), Image.Resampling.BICUBIC)) for each in noise]
    return pictures, [number % 10 for number in range(n_pictures)]


def forward_s_per_image(n_images: int = 32) -> float:
    """Seconds that a ResNet-50 needs for an image of 224 px."""
    network = ResNetModel(ResNetConfig()).eval()
    pixels = torch.randn(n_images, 3, 224, 224)
    with torch.inference_mode():
        network(pixels[:2])
        start = time.process_time()
        network(pixels)
    return (time.process_time() - start) / n_images


def main() -> None:
    torch.set_num_threads(1)
    sets = {target: demo_pictures(target) for target in TARGETS} | {"smooth noise": smooth_pictures(N_RANDOM)}
    one_pass_s = forward_s_per_image()
    print("| pictures | number | copies found | share of the passes of a ResNet-50 |\n|---|---:|---:|---:|")
    for name, (pictures, labels) in sets.items():
        start = time.process_time()
        thumbnails = torch.stack([thumbnail(picture) for picture in pictures])
        pairs = same_pictures(thumbnails, torch.tensor(labels))
        share = (time.process_time() - start) / (one_pass_s * len(pictures))
        print(f"| {name} | {len(pictures):,} | {len(pairs)} | {share:.1%} |")


if __name__ == "__main__":
    main()

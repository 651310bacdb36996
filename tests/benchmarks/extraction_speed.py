"""How much of a bare forward loop's speed `extract` keeps: `python -m tests.benchmarks.extraction_speed`.

The bare loop runs the same model over tensors that are ready in memory. `extract` prepares them from 8-bit images
through the checkpoint's image processor meanwhile, and hears some blocks on the way; and again without that. All
run in turns, in one process, at the same batch size; the figures are median ratios of images a second. Decoding is not
part of it: it happens once a run, not per checkpoint.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
import transformers

from lead_hub.checkpoint_outputs import ExtractionSettings, LoadedCheckpoint, extract, load_checkpoint
from lead_hub.processes import running_processes

IMAGE_SHAPE = (375, 500, 3)  # a common size of ImageNet's photographs


def save_checkpoints(folder: Path) -> dict[str, Path]:
    """Randomly initialised checkpoints of usual sizes, with the processors that such checkpoints have on the Hub."""
    torch.manual_seed(0)
    resnet = transformers.ResNetForImageClassification(transformers.ResNetConfig(num_labels=1000))
    vit_small = {"hidden_size": 384, "num_attention_heads": 6, "intermediate_size": 1536}
    vit = transformers.ViTForImageClassification(transformers.ViTConfig(**vit_small, num_labels=1000))
    crop = transformers.ConvNextImageProcessor(size={"shortest_edge": 224}, crop_pct=0.875, resample=3)
    square = transformers.ViTImageProcessor(size={"height": 224, "width": 224})
    for name, model, processor in (("ResNet-50", resnet, crop), ("ViT-S/16", vit, square)):
        model.save_pretrained(folder / name.partition("/")[0])
        processor.save_pretrained(folder / name.partition("/")[0])
    return {"ResNet-50": folder / "ResNet-50", "ViT-S/16": folder / "ViT-S"}


def seconds(run: Callable[[], object], device: torch.device) -> float:
    """Wall time of a call, the work queued on a GPU included."""
    start = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def bare_loop(checkpoint: LoadedCheckpoint, batches: list[torch.Tensor], dtype: torch.dtype) -> None:
    device = batches[0].device
    with torch.inference_mode(), torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        for batch in batches:
            checkpoint.model(batch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    options = parser.parse_args()
    images = np.random.default_rng(0).integers(0, 256, (options.images, *IMAGE_SHAPE), dtype=np.uint8)
    state = running_processes()
    settings = ExtractionSettings(batch_size=options.batch_size)
    device = settings.torch_device(state)
    dtype = settings.torch_dtype(device)
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"{options.images} images of {IMAGE_SHAPE}, batch size {options.batch_size}, {dtype}, {where}")
    with tempfile.TemporaryDirectory() as folder:
        for name, path in save_checkpoints(Path(folder)).items():
            checkpoint = load_checkpoint(path)
            checkpoint.model.to(device)
            positions = range(0, options.images, options.batch_size)
            ready = [checkpoint.prepare(list(images[i : i + options.batch_size])).to(device) for i in positions]
            bare_loop(checkpoint, ready[:1], dtype)
            ratios: dict[str, list[float]] = {"bare loop": [], "extract without depths": []}
            extracting = partial(extract, checkpoint, images, processes=state, settings=settings, advance=[].append)
            for _ in range(options.repeats):
                bare = seconds(lambda: bare_loop(checkpoint, ready, dtype), device)  # noqa: B023 - called at once
                whole = seconds(extracting, device)
                with patch("lead_hub.checkpoint_outputs.extraction.MOST_IMAGES_FOR_DEPTHS", 0):
                    deaf = seconds(extracting, device)
                ratios["bare loop"].append(bare / whole)
                ratios["extract without depths"].append(deaf / whole)
            for other, found in ratios.items():
                shown = ", ".join(f"{ratio:.3f}" for ratio in found)
                print(f"{name} ({checkpoint.processor}): extract / {other} = {statistics.median(found):.3f} of {shown}")


if __name__ == "__main__":
    main()

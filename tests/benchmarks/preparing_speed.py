"""What preparing images between a processor's passes spares: `python -m tests.benchmarks.preparing_speed`.

Networks of `lead-hub bench --speed` over JPEGs of 500 x 375 in memory, from the image processor to the features, in the
number format of a run: batches prepared by all cores between the passes, or in threads beside them, as for another
device. Both take turns; the figures are ratios of time by the clock, the median and the range of all turns.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from lead_hub.bench.speed.made_inputs import make_checkpoints, make_photographs, read_pixels
from lead_hub.checkpoint_outputs import (
    ExtractionSettings,
    LoadedCheckpoint,
    ShrunkImages,
    fastest_passes,
    load_checkpoint,
)
from lead_hub.checkpoint_outputs.depths import block_taps
from lead_hub.checkpoint_outputs.forward_passes import BatchedForward
from lead_hub.checkpoint_outputs.preparing_batches import batches_ahead, batches_in_turn
from lead_hub.labelled_images import Pixels

NETWORKS = ("resnet-50", "convnext-tiny", "vit-small-16", "mobilenetv2-100")
CPU, BATCH_SIZE = torch.device("cpu"), 16


def pass_s(checkpoint: LoadedCheckpoint, images: Sequence[Pixels], dtype: torch.dtype, *, in_turn: bool) -> float:
    """Seconds of all images once, of which none has been shrunk before."""
    taps = block_taps(checkpoint.backbone)
    forward = BatchedForward(checkpoint, device=CPU, dtype=dtype, batch_size=BATCH_SIZE, taps=taps)
    prepared = ShrunkImages(images).prepared_by(checkpoint.image_processor)
    batches = batches_in_turn if in_turn else batches_ahead
    start = time.perf_counter()
    with forward.running():
        for pixels in batches(prepared.make, prepared.images, range(len(images)), BATCH_SIZE):
            for _ in forward.halving(pixels):
                pass
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--images", type=int, default=160)
    asked = parser.parse_args()
    print(f"{asked.images} images, {torch.get_num_threads()} threads; time prepared in turn / beside the passes")
    with TemporaryDirectory() as folder:
        photographs = sorted(make_photographs(Path(folder) / "images", asked.images, (500, 375)).rglob("*.jpg"))
        images = [read_pixels(path) for path in photographs]
        for place in make_checkpoints(Path(folder) / "networks", NETWORKS, photographs):
            checkpoint, ratios = load_checkpoint(place), []
            with fastest_passes(checkpoint, images, device=CPU, settings=ExtractionSettings()) as chosen:
                for _ in range(asked.repeats):
                    beside_s = pass_s(checkpoint, images, chosen.dtype, in_turn=False)
                    ratios.append(pass_s(checkpoint, images, chosen.dtype, in_turn=True) / beside_s)
            told = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            print(f"{place.name}, {chosen.dtype}: {told}", flush=True)


if __name__ == "__main__":
    main()

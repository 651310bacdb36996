"""A race of 71 checkpoints of real sizes within a quarter of an hour: `python -m tests.benchmarks.many_checkpoints`.

The checkpoints have random weights, 5 to 90 million each, and come from the test Hub on loopback; the images are JPEG
files of 500 x 375. Printed is when the run ended, how many rows the board has on how many images, and its verdict.
`--folder` keeps what was made (some 7 GB of weights), so that a second run need not make it again.
"""

import argparse
import json
import mmap
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import timm
import torch
import transformers

from lead_hub import recommend
from lead_hub.bench.speed.made_inputs import make_photographs
from lead_hub.bench.speed.measured_parts import peak_bytes, silence
from lead_hub.candidates import Candidate
from lead_hub.recommendation import estimate_run
from tests.loopback_hub import HubServer

ARCHITECTURES = (
    *("resnet18", "resnet26", "resnet34", "resnet50", "resnet101", "resnext50_32x4d", "wide_resnet50_2", "seresnet50"),
    *("resnest50d", "ecaresnet50d", "resnetv2_50", "skresnet34", "regnetx_008", "regnetx_016", "regnetx_032"),
    *("regnety_008", "regnety_016", "regnety_032", "regnety_040", "efficientnet_b0", "efficientnet_b1"),
    *("efficientnet_b2", "efficientnetv2_rw_t", "tf_efficientnetv2_b1", "mobilenetv3_large_100"),
    *("mobilenetv4_conv_medium", "mobilenetv4_conv_large", "densenet121", "densenet169", "densenet201"),
    *("convnext_femto", "convnext_nano", "convnext_tiny", "convnext_small", "convnextv2_pico", "convnextv2_tiny"),
    *("vit_tiny_patch16_224", "vit_small_patch32_224", "vit_small_patch16_224", "vit_base_patch32_224"),
    *("vit_base_patch16_224", "deit_tiny_patch16_224", "deit_small_patch16_224", "deit3_small_patch16_224"),
    *("deit3_base_patch16_224", "beit_base_patch16_224", "swin_tiny_patch4_window7_224"),
    *("swin_small_patch4_window7_224", "swin_s3_tiny_224", "repvit_m1_0", "repvit_m1_5", "tiny_vit_5m_224"),
    *("tiny_vit_11m_224", "tiny_vit_21m_224", "fastvit_t12", "fastvit_sa12", "hgnetv2_b1", "hgnetv2_b2"),
    *("efficientvit_b1", "efficientvit_b2", "caformer_s18", "convformer_s18", "poolformer_s12", "davit_tiny"),
    *("edgenext_small", "mixer_s16_224", "xcit_tiny_12_p16_224", "levit_256", "pvt_v2_b1", "pvt_v2_b2", "dla60"),
)
BUDGET = "15min"
CARD = b"---\nlibrary_name: timm\npipeline_tag: image-classification\nlicense: apache-2.0\n---\n"


def save_checkpoint(architecture: str, folder: Path) -> None:
    """As timm's checkpoints are on the Hub, in the form of transformers, with random weights."""
    torch.manual_seed(0)
    settings: dict[str, Any] = {"num_labels": 1000}
    settings["pretrained_cfg"] = cast(Any, timm.get_pretrained_cfg(architecture)).to_dict()
    config = transformers.TimmWrapperConfig(architecture=architecture, **settings)
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    transformers.TimmWrapperForImageClassification(config).save_pretrained(unfinished)
    unfinished.rename(folder)


def make_all(folder: Path, n_images: int) -> tuple[Path, list[Path]]:
    """The images and the checkpoints, those that are not there yet."""
    images = folder / f"{n_images} images"
    if not images.is_dir():
        make_photographs(folder / "unfinished images", n_images, (500, 375)).rename(images)
    for architecture in ARCHITECTURES:
        if not (folder / architecture).is_dir():
            save_checkpoint(architecture, folder / architecture)
    return images, [folder / architecture for architecture in ARCHITECTURES]


@contextmanager
def served(checkpoints: list[Path]) -> Iterator[tuple[str, dict[str, int]]]:
    """Within the block the checkpoints are on a Hub, whose address this is; weights are read where they lie.

    Yields:
        The address, and the number of parameters of each checkpoint.
    """
    with HubServer() as hub:
        parameters = {}
        for folder in checkpoints:
            weights = folder / "model.safetensors"
            with weights.open("rb") as file:
                mapped = cast(bytes, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            files = {"config.json": (folder / "config.json").read_bytes(), "README.md": CARD, weights.name: mapped}
            hub.add_repo(f"timm/{folder.name}", files=files)
            parameters[f"timm/{folder.name}"] = len(mapped) // 4
        yield hub.endpoint, parameters


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--budget", default=BUDGET)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--make-only", action="store_true")
    parser.add_argument("--race", nargs=3, help="images, cache and a table of parameters: what the run itself is given")
    options = parser.parse_args()
    silence()
    if options.race:
        images, cache, table = map(Path, options.race)
        return race(images, json.loads(table.read_text()), budget=options.budget, cache_dir=cache)
    with tempfile.TemporaryDirectory() as temporary:
        images, checkpoints = make_all(options.folder or Path(temporary), options.images)
        if options.make_only:
            return None
        with served(checkpoints) as (address, parameters):
            table, cache = Path(temporary) / "parameters.json", Path(temporary) / "cache"
            table.write_text(json.dumps(parameters))
            command = [sys.executable, "-m", "tests.benchmarks.many_checkpoints", "--budget", options.budget, "--race"]
            # In a process of its own, as the Hub's client asks for the address once, when it is imported.
            subprocess.run([*command, images, cache, table], env={**os.environ, "HF_ENDPOINT": address}, check=True)
    return None


def race(images: Path, parameters: dict[str, int], *, budget: str, cache_dir: Path) -> None:
    """Run it and print what came of it."""
    candidates = [Candidate(name, parameters=number) for name, number in parameters.items()]
    n_images = sum(1 for _ in images.rglob("*.jpg"))
    print(f"{len(candidates)} checkpoints, {n_images:,} images, load before {os.getloadavg()[0]:.1f}", flush=True)
    estimate = estimate_run(candidates, n_images=n_images, budget=budget)
    print(f"estimated: {estimate}", flush=True)
    start_s, first_s, board = time.perf_counter(), None, None
    boards = recommend(images, candidates, budget=budget, cache_dir=cache_dir, progress=False, stream=True)
    for board in boards:
        if board.rows and first_s is None:
            first_s = time.perf_counter() - start_s
            print(f"first row after {first_s:.0f} s", flush=True)
    assert board is not None
    print(f"ended after {time.perf_counter() - start_s:.0f} s, load {os.getloadavg()[0]:.1f}")
    seen = Counter(row.n_images or n_images for row in board.rows)
    print(
        f"{len(board.rows)} rows: " + ", ".join(f"{count} on {size:,} images" for size, count in sorted(seen.items()))
    )
    print(f"number formats: {dict(Counter(row.dtype for row in board.rows))}")
    print(f"{len(board.skipped)} skipped: {[(skip.checkpoint, skip.reason[:120]) for skip in board.skipped[:3]]}")
    print(f"most host memory: {peak_bytes() / 2**20:.0f} MiB")
    print(board.verdict)


if __name__ == "__main__":
    main()

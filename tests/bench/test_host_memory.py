"""How much host memory a run takes does not depend on how many checkpoints it ranks."""

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
import transformers

from lead_hub.bench.speed.measured_parts import alone, our_run, peak_bytes
from tests.tiny_checkpoints import IMAGE_SIZE_PX, save_checkpoint, tiny_processor

FEW, MANY = 3, 12
SIZES = {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 3, "num_attention_heads": 8}


@pytest.fixture
def heavy_pool(tmp_path: Path) -> Iterator[list[Path]]:
    """Networks of 9.5 million numbers, each its own, so that no one's outputs are another's."""
    folders = [tmp_path / f"vit-{number}" for number in range(MANY)]
    for seed, folder in enumerate(folders):
        torch.manual_seed(seed)
        model = transformers.ViTModel(transformers.ViTConfig(image_size=IMAGE_SIZE_PX, **SIZES)).eval()
        save_checkpoint(folder, model, tiny_processor())
    yield folders
    for folder in folders:  # half a gigabyte that pytest would keep
        shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.skipif(not peak_bytes(), reason="the most memory of a process is known on Linux alone")
def test_four_times_as_many_checkpoints_take_no_more_memory(
    colour_folder: Path, heavy_pool: list[Path], tmp_path: Path
) -> None:
    """Nine more networks of 40 MB each would be 364 MB more if they were kept; less than half of that is none of them.

    Two are in memory at the most, here as there, and what a system gives back late is a part of one.
    """
    weights = [folder / "model.safetensors" for folder in heavy_pool]
    n_bytes = sum(path.stat().st_size for path in weights[FEW:])
    run = partial(our_run, colour_folder, device_name="cpu")
    peaks = [alone(partial(run, heavy_pool[:n], cache_dir=tmp_path / f"{n}")).peak_bytes for n in (FEW, MANY)]
    assert peaks[1] - peaks[0] < n_bytes / 2

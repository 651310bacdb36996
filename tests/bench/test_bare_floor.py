"""The floor of a run: the fastest settings by hand, and passes of a real network in them."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from lead_hub.bench.speed.bare_floor import (
    BATCH_SIZES,
    PassSettings,
    downloading,
    faster_of,
    forward_passes,
    thread_counts,
)
from lead_hub.bench.speed.measured_parts import our_run
from tests.loopback_hub import HubServer, Line
from tests.tiny_checkpoints import random_images

USUAL = PassSettings(is_laid_out=True, dtype=torch.float32, batch_size=16, n_threads=2)
SMALLER, LARGER = replace(USUAL, batch_size=8), replace(USUAL, batch_size=32)


def never() -> bool:
    return False


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ({16: 1.0, 8: 0.98, 32: 0.9}, LARGER),  # 2% are no gain, 10% are one
        ({16: 1.0, 8: 0.9, 32: 0.88}, SMALLER),  # 0.88 gains 10% of what was first, but 2.2% of the best so far
        ({16: 1.0, 8: 1.2, 32: 0.98}, USUAL),
    ],
)
def test_the_fastest_is_one_that_gains_more_than_chance(seconds: dict[int, float], expected: PassSettings) -> None:
    assert faster_of(USUAL, [SMALLER, LARGER], lambda way: seconds[way.batch_size], is_over=never) == expected


def test_nothing_is_tried_once_the_time_is_over() -> None:
    tried: list[int] = []

    def seconds(way: PassSettings) -> float:
        tried.append(way.batch_size)
        return 1.0 / way.batch_size

    assert faster_of(USUAL, [SMALLER, LARGER], seconds, is_over=lambda: len(tried) == 2) == USUAL
    assert tried == [16, 8]


def test_other_threads_are_half_as_many_and_one_a_core() -> None:
    assert thread_counts(4, 8) == [2, 8]
    assert thread_counts(2, 2) == [1]
    assert thread_counts(1, 1) == []


def test_settings_in_words() -> None:
    assert str(USUAL) == "float32, a run's layout, 16 images, 2 threads"
    assert str(PassSettings(False, torch.bfloat16, 8, 1)) == "bfloat16, plain layout, 8 images, 1 thread"


def test_passes_tell_in_which_settings_they_ran(tiny_pool: Path, tmp_path: Path) -> None:
    files = saved_images(tmp_path, 9)
    n_threads = torch.get_num_threads()
    fastest, borne = forward_passes([tiny_pool / "vit", tiny_pool / "resnet"], files, "cpu")
    assert torch.get_num_threads() == n_threads
    for measured in (fastest, borne):
        assert measured.wall_s > 0
        assert len(measured.found) == len(measured.dtypes) == 2
        for words, dtype in zip(measured.found, measured.dtypes, strict=True):
            assert words.startswith(f"{dtype}, ")
            assert any(f", {size} images, " in words for size in BATCH_SIZES["cpu"])


def saved_images(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"{number}.jpg" for number in range(count)]
    for path, pixels in zip(paths, random_images(count), strict=True):
        Image.fromarray(pixels).save(path)
    return paths


def test_a_download_has_every_file_and_is_no_faster_than_the_line(hub: HubServer, tmp_path: Path) -> None:
    """600,000 bytes of two repositories over a line of 2 MB/s take at least 0.3 s."""
    for name in ("one", "two"):
        hub.add_repo(f"speed/{name}", files={"config.json": b"{}", "model.safetensors": bytes(300_000)})
    hub.line = Line(2e6)
    measured = downloading(["speed/one", "speed/two"], tmp_path)
    assert measured.wall_s >= 0.3
    weights = list(tmp_path.rglob("model.safetensors"))
    assert [path.stat().st_size for path in weights] == [300_000, 300_000]
    assert len(list(tmp_path.rglob("config.json"))) == 2


@pytest.mark.slow
def test_a_run_fetches_its_weights_over_the_line(
    hub: HubServer, colour_folder: Path, tiny_pool: Path, tmp_path: Path
) -> None:
    """It waits for the first checkpoint's files at least, and says so."""
    hub.add_repo("speed/vit", folder=tiny_pool / "vit")
    n_bytes = sum(path.stat().st_size for path in (tiny_pool / "vit").iterdir())
    hub.line = Line(n_bytes / 0.5)
    measured = our_run(colour_folder, ["speed/vit"], cache_dir=tmp_path, device_name="cpu")
    assert measured.stages is not None
    assert measured.wall_s >= 0.5
    assert measured.stages.files_s > 0
    assert len(measured.dtypes) == 1

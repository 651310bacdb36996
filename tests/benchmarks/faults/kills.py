"""20 runs that are killed (SIGKILL) one after the other ever later, and started again: the board is that of one run."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from lead_hub import Leaderboard
from tests.benchmarks.faults.trial import LIMIT_S, Trial, scores
from tests.conftest import COLOURS, coloured_images
from tests.tiny_checkpoints import save_checkpoint, tiny_processor
from tests.tiny_families import FAMILIES

MOMENTS = 20
CHECKPOINTS = 8
ROOT = Path(__file__).parents[3]


def trials(folder: Path) -> Iterator[Trial]:
    """The first run, which nobody kills, says how long one takes and what its board is."""
    images = coloured_images(folder / "images", classes=COLOURS, n_images=30)
    family = FAMILIES["vit"]
    template = save_checkpoint(folder / "template", family.build(head=True), tiny_processor(family.processor))
    for number in range(CHECKPOINTS):
        copy = shutil.copytree(template, folder / "pool" / f"{number:02}")
        settings = json.loads((copy / "preprocessor_config.json").read_text())
        (copy / "preprocessor_config.json").write_text(json.dumps({**settings, "image_mean": [number / 50] * 3}))
    start = time.monotonic()
    whole = finished(images, folder / "pool", folder / "calm")
    took_s = time.monotonic() - start
    for moment in range(1, MOMENTS + 1):
        after_s = took_s * moment / (MOMENTS + 1)
        cache = folder / f"killed-{moment}"
        name = f"killed after {after_s:.1f} of {took_s:.1f} s"
        yield Trial(name, partial(resumed, images, folder / "pool", cache, after_s=after_s, whole=whole))


def command(images: Path, pool: Path, cache: Path) -> list[str]:
    words = ["recommend", str(images), "-c", str(pool), "--cache-dir", str(cache), "-q"]
    return [sys.executable, "-m", "lead_hub", *words]


def finished(images: Path, pool: Path, cache: Path) -> dict[str, float]:
    done = subprocess.run(
        command(images, pool, cache), capture_output=True, text=True, cwd=ROOT, timeout=LIMIT_S, check=True
    )
    return scores(Leaderboard.from_document(json.loads(done.stdout)))


def resumed(images: Path, pool: Path, cache: Path, *, after_s: float, whole: dict[str, float]) -> str:
    run = subprocess.Popen(command(images, pool, cache), stdout=subprocess.DEVNULL, cwd=ROOT)
    time.sleep(after_s)
    run.kill()
    run.wait()
    found = finished(images, pool, cache)
    return "" if found == whole else f"another board: {found}"

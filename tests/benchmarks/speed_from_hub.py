"""`lead-hub bench --speed` with weights that come over a line: `python -m tests.benchmarks.speed_from_hub`.

Beside what that command measures, the checkpoints are on the test Hub, which answers over a line of limited bandwidth:
all files alone by the Hub's own client, and a whole run that fetches them. What is printed is the same table, with the
run over the longer of the download and the floor: at 1 a download would cost nothing where passes take longer.
"""

import argparse
import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import cast

from lead_hub.bench.speed import LimitedHub, SpeedSettings, check_speed_file, notes, run_speed, save_speed, table
from tests.loopback_hub import HubServer, Line

CARD = b"---\nlibrary_name: transformers\npipeline_tag: image-classification\nlicense: apache-2.0\n---\n"


@contextmanager
def served(checkpoints: Sequence[Path], megabytes_per_s: float) -> Iterator[LimitedHub]:
    """Within the block the checkpoints are on a Hub, to which processes go that start there."""
    before = dict(os.environ)
    with HubServer() as hub:
        for folder in checkpoints:
            files = {path.name: content(path) for path in folder.iterdir() if path.is_file()}
            hub.add_repo(f"speed/{folder.name}", files={"README.md": CARD, **files})
        hub.line = Line(1e6 * megabytes_per_s)
        os.environ |= {"HF_ENDPOINT": hub.endpoint, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        try:
            yield LimitedHub(tuple(f"speed/{folder.name}" for folder in checkpoints), megabytes_per_s)
        finally:
            os.environ.clear()
            os.environ.update(before)


def content(path: Path) -> bytes:
    """What a file holds; weights are read where they lie."""
    if path.suffix != ".safetensors":
        return path.read_bytes()
    with path.open("rb") as file:
        return cast(bytes, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def main() -> None:
    usual = SpeedSettings()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--line", type=float, default=20.0, help="millions of bytes a second")
    parser.add_argument("--images", type=int, default=usual.n_images)
    parser.add_argument("--image-size", action="append")
    parser.add_argument("--network", action="append")
    parser.add_argument("--output", "-o", type=Path, action="append", default=[])
    options = parser.parse_args()
    for path in options.output:
        check_speed_file(path)
    settings = SpeedSettings(
        networks=tuple(options.network or usual.networks),
        n_images=options.images,
        sizes=tuple(options.image_size or usual.sizes[:1]),
    )
    report = run_speed(settings, serve=partial(served, megabytes_per_s=options.line))
    for path in options.output:
        save_speed(report, path)
    lines = table(report)
    width = max(len(name) for name, *_ in lines)
    print(*(f"{name:<{width}}" + "".join(f"{cell:>12}" for cell in cells) for name, *cells in lines), sep="\n")
    print(*notes(report), sep="\n")


if __name__ == "__main__":
    main()

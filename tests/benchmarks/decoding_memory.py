"""Peak memory and time of loading and reading large images.

    python tests/benchmarks/decoding_memory.py FOLDER [--images 20000] [--side 1000] [--kind folder|parquet]

Writes JPEG images (about 300 kB each at 1,000 px; an image folder holds 20 of them under many names) below FOLDER,
which needs about 25 GB for 20,000 images of 1,000 px, then loads them in a fresh process and reads every decoded
image once. Prints the peak resident memory of that process, which is what the promise of 3 GiB is about, and
removes what it wrote.
"""

import argparse
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

N_DISTINCT = 20
N_CLASSES = 10
ROWS_PER_GROUP = 100


def photo(seed, side):
    """Blobs of colour with grain: compresses about as badly as a detailed photo."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (12, 12, 3), dtype=np.uint8)).resize((side, side), 3)
    grain = random.normal(0, 12, (side, side, 1))
    file = io.BytesIO()
    Image.fromarray(np.clip(np.asarray(coarse) + grain, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=85)
    return file.getvalue()


def write_image_folder(folder, photos, n_images):
    originals = folder / "originals"
    originals.mkdir(parents=True)
    for number, content in enumerate(photos):
        (originals / f"{number}.jpg").write_bytes(content)
    for number in range(N_CLASSES):
        (folder / "images" / f"class {number}").mkdir(parents=True)
    for number in range(n_images):
        name = folder / "images" / f"class {number % N_CLASSES}" / f"{number:06}.jpg"
        os.link(originals / f"{number % N_DISTINCT}.jpg", name)
    return folder / "images"


def write_parquet(folder, photos, n_images):
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True)
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema([("image", image), ("label", pa.int64())])
    with pq.ParquetWriter(folder / "train.parquet", schema) as writer:
        for start in range(0, n_images, ROWS_PER_GROUP):
            numbers = range(start, min(start + ROWS_PER_GROUP, n_images))
            images = [{"bytes": photos[number % N_DISTINCT], "path": None} for number in numbers]
            labels = [number % N_CLASSES for number in numbers]
            writer.write_table(pa.table({"image": images, "label": labels}, schema=schema))
    return folder / "train.parquet"


def peak_bytes():
    """Peak resident memory of this process.

    Linux counts the parent's peak into a child's ru_maxrss when it is started, so its own figure is preferred.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def measure(dataset, cache_dir):
    """Load, then read every image once, in this process; prints one line of JSON."""
    from lead_hub.access import Access
    from lead_hub.labelled_images import DatasetQuery, load_labelled_images

    report = {"imported_bytes": peak_bytes()}
    start = time.perf_counter()
    images = load_labelled_images(DatasetQuery(dataset, max_images=1_000_000), Access(cache_dir, progress=False))
    report |= {"n_images": len(images), "loaded_bytes": peak_bytes(), "load_s": time.perf_counter() - start}
    start = time.perf_counter()
    decoded_bytes = sum(images.pixels[position].nbytes for position in range(len(images)))
    report |= {"decoded_bytes": decoded_bytes, "read_bytes": peak_bytes(), "read_s": time.perf_counter() - start}
    images.close()
    print(json.dumps(report))


def measured(folder, *, n_images, side, kind):
    """The report of a fresh process over freshly written images, which are removed again."""
    work = Path(tempfile.mkdtemp(prefix="decoding-memory-", dir=folder))
    try:
        photos = [photo(seed, side) for seed in range(N_DISTINCT)]
        write = write_image_folder if kind == "folder" else write_parquet
        dataset = write(work / "dataset", photos, n_images)
        command = [sys.executable, __file__, str(work / "cache"), "--measure", str(dataset)]
        environment = {**os.environ, "HF_HOME": str(work / "home"), "HF_HUB_OFFLINE": "1"}
        environment["PYTHONPATH"] = str(Path(__file__).parents[2])
        result = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        return json.loads(result.stdout.splitlines()[-1])
    finally:
        shutil.rmtree(work, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--side", type=int, default=1000)
    parser.add_argument("--kind", choices=["folder", "parquet"], default="folder")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        return measure(options.measure, options.folder)
    report = measured(options.folder, n_images=options.images, side=options.side, kind=options.kind)
    print(f"{report['n_images']} images of {options.side} px from a {options.kind}, {os.cpu_count()} cores")
    print(f"peak memory: {report['imported_bytes'] / 2**20:.0f} MiB after imports,", end=" ")
    print(f"{report['loaded_bytes'] / 2**20:.0f} MiB after decoding,", end=" ")
    print(f"{report['read_bytes'] / 2**20:.0f} MiB after reading all of it back")
    print(f"decoded in {report['load_s']:.1f} s, read back in {report['read_s']:.1f} s,", end=" ")
    print(f"{report['decoded_bytes'] / 1e9:.1f} GB on disk")
    return None


if __name__ == "__main__":
    main()

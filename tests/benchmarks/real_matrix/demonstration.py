"""The files of a demo of real networks: some of the pool in half precision, and photographs with author and licence.

pool/<checkpoint>/                 config.json, model.safetensors, README.md
targets/photographs/               train.parquet and test.parquet, columns image, label, author, licence, source
finetuned_accuracy.csv             what fine-tuning these checkpoints on these photographs gave
credits.csv                        author, licence and source of every photograph, as in the parquet files
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from datasets import ClassLabel, Dataset, Features, Value
from datasets import Image as ImageFeature
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.benchmarks.demo_pool.finetuning import Result, append, read_table

from .checkpoints import POOL, SOURCES, Checkpoint
from .finetuning import LEARNING_RATES
from .photograph_sources import ACTIVITIES, GCOMPRIS
from .picture_credits import Credit, read_credits
from .qt_resources import read_resource_file

TARGET, PHOTOGRAPHS = "things", "photographs"  # the matrix's name, and the demo's
CHOSEN = ("lite0", "mobilenet-dogs", "mobilenet-nsfw", "mobilenet-dogs-kept5", "mobilenet-random")
CHANGES = {
    "none": "the weights as the package has them",
    "random": "the same architecture at random: a control",
    "reset": "the last stages at random again, the first {kept} of 7 as the package has them: a control",
    "shuffled": "the numbers of every kernel in another order: a control",
}


def write_demonstration(packages: Path, work: Path, table: Path, folder: Path) -> None:
    """Write all of it."""
    for checkpoint in POOL:
        if checkpoint.name in CHOSEN:
            write_half_precision(checkpoint, work / "pool" / checkpoint.name, folder / "pool" / checkpoint.name)
    credits_of = {
        path: credit
        for activity in ACTIVITIES
        for path, credit in read_credits(read_resource_file(packages / "debian" / GCOMPRIS / f"{activity}.rcc")).items()
    }
    for side in ("train", "test"):
        write_side(work / "targets" / TARGET, side, credits_of, folder / "targets" / PHOTOGRAPHS)
    write_credits(folder / "targets" / PHOTOGRAPHS, folder / "credits.csv")
    (folder / "finetuned_accuracy.csv").unlink(missing_ok=True)
    for result in read_table(table):
        if result.target == TARGET and result.checkpoint in CHOSEN and result.learning_rate in LEARNING_RATES:
            append(folder / "finetuned_accuracy.csv", Result(**{**vars(result), "target": PHOTOGRAPHS}))


def write_half_precision(checkpoint: Checkpoint, source: Path, folder: Path) -> None:
    """A checkpoint whose numbers take two bytes each, with its card."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = load_file(source / "model.safetensors")
    halves = {name: weight.half() if weight.is_floating_point() else weight for name, weight in weights.items()}
    save_file(halves, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((source / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "dtype": "float16"}, indent=1) + "\n")
    (folder / "README.md").write_text(card(checkpoint))


def card(checkpoint: Checkpoint) -> str:
    """A model card that says where the weights are from."""
    package = SOURCES[checkpoint.package]
    change = CHANGES[checkpoint.change].format(kept=checkpoint.kept_stages)
    has_head = checkpoint.change == "none" and package.n_classes > 0
    task = "image-classification" if has_head else "image-feature-extraction"
    learnt = "nothing" if checkpoint.change == "random" else package.learnt
    return f"""---
license: {package.licence.lower()}
library_name: timm
pipeline_tag: {task}
tags:
- lead-hub-demo
---

# {checkpoint.name}

- Network: `{checkpoint.architecture}`, in half precision
- Weights: {package.package}, {package.licence}; {change}
- Learnt from: {learnt}

Made by `python -m tests.benchmarks.real_matrix demonstration`.
"""


def write_side(target: Path, side: str, credits_of: Mapping[str, Credit], folder: Path) -> None:
    """One split: the pictures without loss, their classes and their credits."""
    folder.mkdir(parents=True, exist_ok=True)
    names = sorted(path.name for path in (target / "train").iterdir())
    columns: dict[str, list[object]] = {name: [] for name in ("image", "label", "author", "licence", "source")}
    for path, source in _pictures(target, side):
        credit = credits_of[source]
        values = (webp(target / path), names.index(path.split("/")[1]), credit.author, credit.licence, credit.source)
        for name, value in zip(columns, values, strict=True):
            columns[name].append(value)
    texts = {name: Value("string") for name in ("author", "licence", "source")}
    features = Features({"image": ImageFeature(), "label": ClassLabel(names=names), **texts})
    Dataset.from_dict(columns, features=features).to_parquet(folder / f"{side}.parquet")


def _pictures(target: Path, side: str) -> Iterator[tuple[str, str]]:
    with (target / "sources.txt").open(newline="") as lines:
        for path, source in csv.reader(lines, delimiter="\t"):
            if path.startswith(f"{side}/"):
                yield path, source


def write_credits(target: Path, path: Path) -> None:
    """The credits of a target's photographs as text, for those who look without a program for parquet."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["split", "row", "class", "author", "licence", "source"])
        for split in ("train", "test"):
            photographs = Dataset.from_parquet(str(target / f"{split}.parquet")).remove_columns("image")
            names = photographs.features["label"].names
            for row, one in enumerate(photographs):
                credit = (one["author"], one["licence"], one["source"])
                writer.writerow([split, row, names[one["label"]], *credit])


def webp(path: Path) -> dict[str, object]:
    """A picture as lossless WebP."""
    stream = io.BytesIO()
    Image.open(path).save(stream, format="WEBP", lossless=True, method=6)
    return {"bytes": stream.getvalue(), "path": None}

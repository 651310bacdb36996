"""What was predicted of a checkpoint on a dataset, and what full fine-tuning gave: what a calibration is fitted on.

Those of the ground-truth matrix are in outcomes.csv, which `python -m tests.benchmarks.calibration` writes.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib import resources
from typing import Any

from lead_hub.errors import ScoreError

OUTCOMES_FILE = "outcomes.csv"
SHIPPED = "the ground-truth matrix"
THIS_MACHINE = "this machine"


@dataclass(frozen=True)
class Outcome:
    """One pair of a checkpoint and a dataset.

    Attributes:
        source: who says so: a repository of score cards, SHIPPED or THIS_MACHINE.
        dataset: what tells the dataset from others.
        checkpoint: what tells the checkpoint from others.
        n_images: that the score was computed on.
        n_classes: of the dataset.
        left_out: share of these images that are right when left out, in [0, 1].
        accuracy: after full fine-tuning, on test images, in [0, 1].
        n_test: how many test images there were.

    Raises:
        ScoreError: a value that none of these can have.
    """

    source: str
    dataset: str
    checkpoint: str
    n_images: int
    n_classes: int
    left_out: float
    accuracy: float
    n_test: int

    def __post_init__(self) -> None:
        shares = {"left_out": self.left_out, "accuracy": self.accuracy}
        counts = {"n_images": (self.n_images, 2), "n_classes": (self.n_classes, 2), "n_test": (self.n_test, 1)}
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise ScoreError(f"{name} must be a share in [0, 1], found {share!r}")
        for name, (count, least) in counts.items():
            if count < least:
                raise ScoreError(f"{name} must be at least {least}, found {count!r}")
        if self.n_classes > self.n_images:
            raise ScoreError(f"there must be an image a class, found {self.n_images} of {self.n_classes} classes")


def parse_outcome(document: Mapping[str, Any]) -> Outcome:
    """The record of a JSON object that anybody may have written.

    Raises:
        ScoreError: values that are missing, or that none can have.
    """
    values: dict[str, Any] = {}
    for field in fields(Outcome):
        value = document.get(field.name)
        if field.type is float and type(value) is int:
            value = float(value)
        if type(value) is not field.type:
            raise ScoreError(f"{field.name} of an outcome must be of type {field.type}, found {value!r}")
        values[field.name] = value
    return Outcome(**values)


def shipped_outcomes(targets: Sequence[str]) -> list[Outcome]:
    """Those of the ground-truth matrix on these datasets."""
    text = (resources.files(__package__) / OUTCOMES_FILE).read_text(encoding="utf-8")
    return [one for one in parse_outcomes(text) if one.dataset in targets]


def outcomes_text(outcomes: Iterable[Outcome]) -> str:
    """What the file holds."""
    stream = io.StringIO()
    names = [field.name for field in fields(Outcome) if field.name != "source"]
    writer = csv.DictWriter(stream, names, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(
        {**asdict(one), "left_out": f"{one.left_out:.4f}", "accuracy": f"{one.accuracy:.4f}"} for one in outcomes
    )
    return stream.getvalue()


def parse_outcomes(text: str) -> list[Outcome]:
    """The records that `outcomes_text` wrote."""
    kinds = {"n_images": int, "n_classes": int, "n_test": int, "left_out": float, "accuracy": float}
    rows = csv.DictReader(io.StringIO(text))
    return [
        Outcome(source=SHIPPED, **{name: kinds.get(name, str)(value) for name, value in row.items()}) for row in rows
    ]


def by_dataset(outcomes: Iterable[Outcome]) -> list[list[Outcome]]:
    """The outcomes of each dataset together, in order of appearance."""
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for one in outcomes:
        groups[one.dataset].append(one)
    return list(groups.values())

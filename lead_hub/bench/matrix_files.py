"""The tables of a ground-truth matrix on disk, checked line by line."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lead_hub.errors import LeadHubError

RUNS_FILE = "finetuned_accuracy.csv"
CHECKPOINTS_FILE = "checkpoints.csv"
TARGETS_FILE = "targets.csv"
HALVES = ("study", "held-out", "confirmation", "real")


class MatrixError(LeadHubError):
    """A ground-truth matrix cannot be read."""


@dataclass(frozen=True)
class CheckpointFacts:
    """What is known of a checkpoint without looking at any target image.

    Attributes:
        name: short name.
        family: architecture, e.g. "resnet".
        source: what it was pretrained on.
        method: how, e.g. "supervised".
        parameters: number of weights.
        source_accuracy: share in [0, 1] of held-out source images that it gets right; NaN where it has no such figure.
    """

    name: str
    family: str
    source: str
    method: str
    parameters: int
    source_accuracy: float


@dataclass(frozen=True)
class TargetFacts:
    """One target task; `half` is one of `HALVES`, fixed before any score was computed on it."""

    name: str
    half: str
    n_classes: int
    n_train: int
    n_test: int


@dataclass(frozen=True)
class FineTuningRun:
    """One full fine-tuning; accuracies in [0, 1], on the validation part of the train images and on the test images."""

    target: str
    checkpoint: str
    learning_rate: float
    seed: int
    validation_accuracy: float
    test_accuracy: float


def read_checkpoints(folder: Path) -> list[CheckpointFacts]:
    """Read `checkpoints.csv`, in the order of the file."""
    path = folder / CHECKPOINTS_FILE
    return [
        CheckpointFacts(
            name=row.text("checkpoint"),
            family=row.text("family"),
            source=row.text("source"),
            method=row.text("method"),
            parameters=row.whole("parameters"),
            source_accuracy=row.number("source_accuracy", or_nothing=True),
        )
        for row in read_rows(
            path, ("checkpoint", "family", "source", "method", "parameters", "source_accuracy"), key=("checkpoint",)
        )
    ]


def read_targets(folder: Path) -> list[TargetFacts]:
    """Read `targets.csv`, in the order of the file."""
    rows = read_rows(folder / TARGETS_FILE, ("target", "half", "n_classes", "n_train", "n_test"), key=("target",))
    for row in rows:
        if row.text("half") not in HALVES:
            raise MatrixError(f"{row.place}: half must be one of {', '.join(HALVES)}, found {row.text('half')!r}")
    return [
        TargetFacts(
            name=row.text("target"),
            half=row.text("half"),
            n_classes=row.whole("n_classes"),
            n_train=row.whole("n_train"),
            n_test=row.whole("n_test"),
        )
        for row in rows
    ]


def read_runs(folder: Path) -> list[FineTuningRun]:
    """`finetuned_accuracy.csv`, every run once."""
    columns = ("target", "checkpoint", "learning_rate", "seed", "validation_accuracy", "test_accuracy")
    return [
        FineTuningRun(
            target=row.text("target"),
            checkpoint=row.text("checkpoint"),
            learning_rate=row.number("learning_rate"),
            seed=row.whole("seed"),
            validation_accuracy=row.share("validation_accuracy"),
            test_accuracy=row.share("test_accuracy"),
        )
        for row in read_rows(folder / RUNS_FILE, columns, key=columns[:4])
    ]


@dataclass(frozen=True)
class Row:
    """One line of a table, which knows where it stands for the sake of error messages."""

    place: str
    cells: Mapping[str, str]

    def text(self, column: str) -> str:
        if not self.cells[column]:
            raise MatrixError(f"{self.place}: {column} must not be empty")
        return self.cells[column]

    def number(self, column: str, *, or_nothing: bool = False) -> float:
        if or_nothing and not self.cells[column]:
            return math.nan
        try:
            return float(self.cells[column])
        except ValueError as error:
            raise MatrixError(f"{self.place}: {column} must be a number, found {self.cells[column]!r}") from error

    def whole(self, column: str) -> int:
        try:
            return int(self.cells[column])
        except ValueError as error:
            raise MatrixError(f"{self.place}: {column} must be a whole number, found {self.cells[column]!r}") from error

    def share(self, column: str) -> float:
        value = self.number(column)
        if not 0 <= value <= 1:
            raise MatrixError(f"{self.place}: {column} must be between 0 and 1, found {self.cells[column]!r}")
        return value


def read_rows(path: Path, columns: Sequence[str], *, key: Sequence[str]) -> list[Row]:
    """The lines of one table, whose cells in the columns of `key` name every line once.

    A last line without its line break is being written at this moment, or its writer was stopped: it is not there yet.

    Raises:
        MatrixError: no such file, columns that are missing, a line that is too short or too long, or one that is there
            twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise MatrixError(f"a ground-truth matrix needs {path.name}, found none in {path.parent}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise MatrixError(f"{path} cannot be read: {error}") from error
    reader = csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1], newline=""))
    missing = [column for column in columns if column not in (reader.fieldnames or ())]
    if missing:
        raise MatrixError(f"{path} must have the columns {', '.join(columns)}, found none named {', '.join(missing)}")
    rows: dict[tuple[str, ...], Row] = {}
    for cells in reader:
        place = f"{path}, line {reader.line_num}"
        if None in cells or None in cells.values():
            raise MatrixError(f"{place}: a line must have {len(reader.fieldnames or ())} cells, found more or fewer")
        name = tuple(cells[column] for column in key)
        if name in rows:
            raise MatrixError(f"{place}: {', '.join(name)} must be there once, found also in {rows[name].place}")
        rows[name] = Row(place, cells)
    return list(rows.values())

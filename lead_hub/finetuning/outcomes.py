"""What fine-tuning one checkpoint gave: every training, kept on disk, and the one number that is published.

A finished training is a small file, keyed by all that can change it: a killed run loses at most one.
"""

import dataclasses
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from lead_hub.hub import write_text_whole

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class FinishedTraining:
    """One training that came to its end, and what it gave.

    Attributes:
        mode: "full", "lora" or "probe".
        learning_rate: at its peak.
        seed: of validation part, head and order.
        validation_accuracy: of the kept weights, in [0, 1]; chooses the rate.
        accuracy: on the test images, in [0, 1]; chooses nothing.
        macro_f1: mean over classes of F1 on the test images, in [0, 1].
        duration_s: seconds of training and measuring, loading excluded.
        epochs_run: passes over the training part.
        best_epoch: the one whose weights were kept, from 1.
        n_train: images that were learnt from.
        n_validation: images that chose the epoch.
        n_test: images that measured.
    """

    mode: str
    learning_rate: float
    seed: int
    validation_accuracy: float
    accuracy: float
    macro_f1: float
    duration_s: float
    epochs_run: int
    best_epoch: int
    n_train: int
    n_validation: int
    n_test: int


@dataclass(frozen=True)
class DroppedTraining:
    """A training that was planned and has no result: the budget was used up, or it diverged."""

    learning_rate: float
    seed: int
    reason: str


@dataclass(frozen=True)
class FineTuned:
    """All trainings of one checkpoint on one dataset, in one mode.

    Attributes:
        checkpoint: Hub id or folder, as given.
        sha: the Hub commit (40 hex digits), or the sha256 of a local folder's files (64).
        mode: what was trained.
        trainings: those that were finished, at least one, in the order of the plan.
        dropped: the others, with the reason.
        test_source: which images measured: "split 'test'" or "held-out part of 'train'".
        augmentation: how training images were changed at random.
        device: where it ran.
        dtype: number format of the forward passes.
        notes: what else the reader should know.
    """

    checkpoint: str
    sha: str
    mode: str
    trainings: tuple[FinishedTraining, ...]
    dropped: tuple[DroppedTraining, ...]
    test_source: str
    augmentation: str
    device: str
    dtype: str
    notes: tuple[str, ...] = ()

    @property
    def learning_rate(self) -> float:
        """The rate with the highest mean validation accuracy over its seeds; of equals the smallest."""
        rates = sorted({training.learning_rate for training in self.trainings})
        return max(rates, key=lambda rate: fmean(each.validation_accuracy for each in self.at(rate)))

    @property
    def published(self) -> tuple[FinishedTraining, ...]:
        """The trainings at that rate, which the published numbers are means of."""
        return self.at(self.learning_rate)

    @property
    def accuracy(self) -> float:
        """Mean test accuracy over the seeds at the best rate, in [0, 1]."""
        return fmean(training.accuracy for training in self.published)

    @property
    def accuracy_sd(self) -> float | None:
        """Standard deviation of the test accuracy between these seeds; None of a single one."""
        return stdev(training.accuracy for training in self.published) if len(self.published) > 1 else None

    @property
    def macro_f1(self) -> float:
        """Mean macro-F1 over the seeds at the best rate, in [0, 1]."""
        return fmean(training.macro_f1 for training in self.published)

    @property
    def duration_s(self) -> float:
        """Seconds of all trainings together."""
        return sum(training.duration_s for training in self.trainings)

    def at(self, learning_rate: float) -> tuple[FinishedTraining, ...]:
        """The trainings at a rate."""
        return tuple(training for training in self.trainings if training.learning_rate == learning_rate)

    def to_pandas(self) -> "pd.DataFrame":
        """One row a training."""
        import pandas as pd  # noqa: PLC0415 - as in leaderboard

        return pd.DataFrame.from_records([dataclasses.asdict(training) for training in self.trainings])


@dataclass(frozen=True)
class FinishedTrainings:
    """A folder of finished trainings. Files appear whole, by an atomic rename, or not at all."""

    folder: Path

    def read(self, key: str) -> FinishedTraining | None:
        """The training of a key; None if there is none, or none that can be read (with a warning)."""
        path = self.folder / f"{key}.json"
        try:
            return FinishedTraining(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            warnings.warn(f"{path.name} in the cache is damaged, its training is done again: {error}", stacklevel=2)
            return None

    def write(self, key: str, training: FinishedTraining) -> None:
        """Keep a training. A folder that cannot be written is a warning: the run has its result in memory."""
        try:
            text = json.dumps(dataclasses.asdict(training), allow_nan=False)
            write_text_whole(self.folder / f"{key}.json", text, private=True)
        except OSError as error:
            warnings.warn(
                f"a finished training could not be kept in {self.folder}, it will be done again: {error}", stacklevel=2
            )

"""The embedded pools: small checkpoints, labelled images, and what fine-tuning each on each really gave.

There are real networks for photographs, and networks trained on drawings for three targets of drawings.

How all of it was made, and under which licences, is in the README beside this file.
"""

import csv
from collections import defaultdict
from dataclasses import dataclass, replace
from importlib import resources
from operator import itemgetter
from pathlib import Path
from statistics import fmean
from typing import Any

from lead_hub.candidates import Candidate, checkpoint_folders
from lead_hub.errors import CandidateError, DatasetError
from lead_hub.leaderboard import Leaderboard
from lead_hub.rank_agreement import regret_at, weighted_kendall_tau

PHOTOGRAPHS = "photographs"
DRAWINGS = ("scripts", "clipart", "emoji")
TARGETS = (PHOTOGRAPHS, *DRAWINGS)
FOLDER = Path(str(resources.files(__name__)))


def pool(target: str = PHOTOGRAPHS) -> list[Candidate]:
    """The embedded checkpoints that were fine-tuned on a target.

    Raises:
        DatasetError: no target of that name.
    """
    return [Candidate(str(folder)) for folder in checkpoint_folders(_home(target) / "pool")]


def checkpoint_folder(name: str) -> Path:
    """The folder of one embedded checkpoint of any pool.

    Raises:
        CandidateError: no checkpoint of that name.
    """
    places = {Path(one.checkpoint).name: Path(one.checkpoint) for target in TARGETS for one in pool(target)}
    if name not in places:
        found = f"the demo's checkpoint must be one of {', '.join(places)}, found {name!r}"
        raise CandidateError(found, stage="find")
    return places[name]


def target_folder(target: str) -> Path:
    """The folder of one embedded dataset, with splits train and test.

    Raises:
        DatasetError: no target of that name.
    """
    return _home(target) / "targets" / target


def _home(target: str) -> Path:
    if target not in TARGETS:
        raise DatasetError(f"the demo's target must be one of {', '.join(TARGETS)}, found {target!r}")
    return FOLDER / PHOTOGRAPHS if target == PHOTOGRAPHS else FOLDER


def finetuned_accuracy(target: str, *, table: Path | None = None) -> dict[str, float]:
    """Accuracy in percent on the target's test images after full fine-tuning, by checkpoint.

    The mean over seeds at the learning rate whose mean accuracy on the validation images is highest, so that the test
    images choose nothing.
    """
    runs: defaultdict[str, defaultdict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    with (table or _home(target) / "finetuned_accuracy.csv").open(encoding="utf-8", newline="") as file:
        for run in csv.DictReader(file):
            if run["target"] == target:
                accuracies = float(run["validation_accuracy"]), float(run["test_accuracy"])
                runs[run["checkpoint"]][run["learning_rate"]].append(accuracies)
    means = {
        checkpoint: [(fmean(v for v, _ in seeds), fmean(t for _, t in seeds)) for seeds in by_learning_rate.values()]
        for checkpoint, by_learning_rate in runs.items()
    }
    return {checkpoint: 100 * max(pairs, key=itemgetter(0))[1] for checkpoint, pairs in means.items()}


@dataclass(frozen=True)
class DemoComparison:
    """A leaderboard of the demo pool beside the truth.

    Attributes:
        board: with the checkpoints' short names.
        accuracy: percent after fine-tuning, by short name.
        weighted_kendall_tau: agreement of the two orders, in [-1, 1].
        regret_at_1: accuracy points lost by fine-tuning the first of the board instead of the truly best.
    """

    board: Leaderboard
    accuracy: dict[str, float]
    weighted_kendall_tau: float
    regret_at_1: float

    def to_document(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "leaderboard": self.board.to_document(),
            "finetuned_accuracy_percent": self.accuracy,
            "weighted_kendall_tau": self.weighted_kendall_tau,
            "regret_at_1_points": self.regret_at_1,
        }


def compare(board: Leaderboard, target: str) -> DemoComparison:
    """Put a board of the demo pool beside the measured accuracies."""
    named = tuple(replace(row, checkpoint=Path(row.checkpoint).name) for row in board.rows)
    measured = finetuned_accuracy(target)
    accuracy = {row.checkpoint: measured[row.checkpoint] for row in named}
    scores = [row.score for row in named]
    truth = [accuracy[row.checkpoint] for row in named]
    return DemoComparison(
        board=replace(board, rows=named, dataset=replace(board.dataset, dataset=f"demo target {target}")),
        accuracy=accuracy,
        weighted_kendall_tau=weighted_kendall_tau(scores, truth),
        regret_at_1=regret_at(1, scores, truth),
    )

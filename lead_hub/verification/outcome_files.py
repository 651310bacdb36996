"""What fine-tuning gave of what had been predicted: from a board's row, kept on this machine for its owner alone."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from lead_hub.access import Access
from lead_hub.confidence import THIS_MACHINE, Outcome, parse_outcome
from lead_hub.errors import ScoreError
from lead_hub.hub import write_text_whole
from lead_hub.leaderboard import Leaderboard, RankedCheckpoint

MODE = "full"


def outcome_of(dataset: Mapping[str, Any], row: Mapping[str, Any], *, source: str) -> Outcome | None:
    """The outcome that a row of a leaderboard's document tells; None where it tells none of full fine-tuning.

    Nor of a checkpoint that was trained on the dataset: what it says of left-out images it may have seen before.

    Raises:
        ScoreError: values that no outcome can have.
    """
    finetuned, confidence = row.get("finetuned"), row.get("confidence")
    if not finetuned or not confidence or finetuned.get("mode") != MODE or row.get("trained_on_dataset"):
        return None
    if confidence.get("probe_accuracy") is None:
        return None
    return parse_outcome(
        {
            "source": source,
            "dataset": dataset.get("sha"),
            "checkpoint": row.get("sha"),
            "n_images": row.get("n_images") or dataset.get("n_images"),
            "n_classes": len(dataset["class_names"]),
            "left_out": confidence.get("probe_accuracy"),
            "accuracy": finetuned.get("accuracy"),
            "n_test": finetuned.get("n_test"),
        }
    )


def keep_outcome(board: Leaderboard, row: RankedCheckpoint, access: Access) -> None:
    """Keep what fine-tuning a row gave. A later one of the same checkpoint on the same dataset takes its place.

    Raises:
        OSError: the cache cannot be written.
    """
    document = board.to_document()
    outcome = outcome_of(document["dataset"], asdict(row), source=THIS_MACHINE)
    if outcome is None:
        return
    kept = {"method": board.method, "method_version": board.method_version, "outcome": asdict(outcome)}
    file = access.outcomes_folder / board.method / f"{outcome.dataset}-{outcome.checkpoint}.json"
    write_text_whole(file, json.dumps(kept) + "\n", private=True)


def kept_outcomes(access: Access, *, method: str, method_version: int) -> tuple[list[Outcome], int]:
    """What is kept of a score as it is defined today, and how many other files there are."""
    outcomes, n_others = [], 0
    for file in sorted((access.outcomes_folder / method).glob("*.json")):
        try:
            kept = json.loads(file.read_text(encoding="utf-8"))
            if kept["method_version"] == method_version:
                outcomes.append(parse_outcome(kept["outcome"]))
                continue
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ScoreError):
            pass  # counted
        n_others += 1
    return outcomes, n_others

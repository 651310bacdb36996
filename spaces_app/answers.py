"""A leaderboard as a program or an agent reads it: short, plain JSON values, no machine's paths."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lead_hub.leaderboard import Leaderboard, RankedCheckpoint
from spaces_app.request import RunRequest
from spaces_app.snippets import repeat_line


def shown_board(board: Leaderboard, question: RunRequest, *, brought: str = "") -> Leaderboard:
    """The board without paths of the machine: what comes with lead-hub, or was uploaded, goes by its name.

    Args:
        board: as `recommend` gave it.
        question: that it answers.
        brought: name of the visitor's zip, if its images were ranked on.
    """
    name = brought or question.dataset
    board = dataclasses.replace(board, dataset=dataclasses.replace(board.dataset, dataset=name))
    if question.source != "demo":
        return board
    rows = tuple(dataclasses.replace(row, checkpoint=Path(row.checkpoint).name) for row in board.rows)
    skipped = tuple(dataclasses.replace(skip, checkpoint=Path(skip.checkpoint).name) for skip in board.skipped)
    return dataclasses.replace(board, rows=rows, skipped=skipped)


def answer(question: RunRequest, board: Leaderboard, *, full_board: bool) -> dict[str, Any]:
    """What `/recommend` gives, also while a run goes on."""
    named = shown_board(board, question)
    document: dict[str, Any] = {
        "verdict": named.verdict,
        "is_complete": named.is_complete,
        "dataset": {
            "dataset": named.dataset.dataset,
            "split": named.dataset.split,
            "n_images": named.dataset.n_images,
            "n_classes": len(named.dataset.class_names),
            "notes": list(named.dataset.notes),
        },
        "checkpoints": [ranked(row, named.method) for row in named.rows],
        "skipped": [
            {"checkpoint": skip.checkpoint, "stage": skip.stage, "reason": skip.reason} for skip in named.skipped
        ],
        "python": repeat_line(question),
    }
    return {**document, "board": named.to_document()} if full_board else document


def ranked(row: RankedCheckpoint, method: str) -> Mapping[str, object]:
    """Say of one checkpoint what decides between it and the next."""
    sure = row.confidence
    return {
        "rank": row.rank,
        "checkpoint": row.checkpoint,
        "sha": row.sha,
        method: round(row.score, 4),
        "rank_interval": [sure.rank_low, sure.rank_high] if sure else None,
        "chance_to_be_best": _rounded(sure.p_best) if sure else None,
        "predicted_accuracy": _rounded(sure.predicted_accuracy) if sure else None,
        "predicted_accuracy_interval": [_rounded(sure.predicted_low), _rounded(sure.predicted_high)] if sure else None,
        "parameters": row.parameters,
        "licence": row.licence,
        "trained_on_this_dataset": row.trained_on_dataset,
        "note": row.note,
    }


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)

"""A leaderboard as a program or an agent reads it: short, plain JSON values, no machine's paths."""

import dataclasses
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from lead_hub.leaderboard import Leaderboard, RankedCheckpoint
from spaces_app.request import RunRequest
from spaces_app.snippets import repeat_line
from spaces_app.status import told
from spaces_app.visitors import Deployment

MOST_REASONS = 3  # in the verdict; all of them stand under "skipped"


def shown_board(
    board: Leaderboard, question: RunRequest, deployment: Deployment, *, brought: str = "", to_program: bool = False
) -> Leaderboard:
    """The board as whoever asked may read it: what comes with lead-hub, or was uploaded, goes by its name.

    Args:
        board: as `recommend` gave it.
        question: that it answers.
        deployment: strangers are told no paths of the machine, nor what only its user can do.
        brought: name of the visitor's zip, if its images were ranked on.
        to_program: whether a program reads it.
    """
    tell = partial(told, deployment=deployment, to_program=to_program)
    images = dataclasses.replace(
        board.dataset, dataset=brought or question.dataset, notes=tuple(map(tell, board.dataset.notes))
    )
    board = dataclasses.replace(
        board,
        dataset=images,
        rows=tuple(dataclasses.replace(row, note=tell(row.note)) for row in board.rows),
        skipped=tuple(dataclasses.replace(skip, reason=tell(skip.reason)) for skip in board.skipped),
    )
    if question.source != "demo":
        return board
    rows = tuple(dataclasses.replace(row, checkpoint=Path(row.checkpoint).name) for row in board.rows)
    skipped = tuple(dataclasses.replace(skip, checkpoint=Path(skip.checkpoint).name) for skip in board.skipped)
    return dataclasses.replace(board, rows=rows, skipped=skipped)


def verdict(board: Leaderboard) -> str:
    """Whether there is a winner, in words that stand alone: also before the end, and where nothing could be ranked."""
    n_tried = len(board.rows) + len(board.skipped)
    if not board.is_complete:
        found = board.verdict or "none could be ranked yet"
        return f"not final, after {n_tried} of {board.n_candidates} checkpoints: {found}"
    if board.rows:
        return board.verdict
    reasons = [f"{skip.checkpoint} ({skip.stage}): {skip.reason}" for skip in board.skipped]
    more = f"; and {len(reasons) - MOST_REASONS} more, see skipped" if len(reasons) > MOST_REASONS else ""
    return f"none of the {n_tried} checkpoints could be ranked: {'; '.join(reasons[:MOST_REASONS])}{more}"


def answer(question: RunRequest, board: Leaderboard, deployment: Deployment, *, full_board: bool) -> dict[str, Any]:
    """What `/recommend` gives, also while a run goes on."""
    named = shown_board(board, question, deployment, to_program=True)
    document: dict[str, Any] = {
        "verdict": verdict(named),
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

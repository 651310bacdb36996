"""A leaderboard as a program or an agent reads it: short, plain JSON values, no machine's paths."""

import dataclasses
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from lead_hub.leaderboard import Leaderboard, RankedCheckpoint
from lead_hub.score_cards import Push
from spaces_app.request import RunRequest
from spaces_app.snippets import repeat_line
from spaces_app.status import told
from spaces_app.visitors import Deployment

MOST_REASONS = 3  # in the verdict; all of them stand under "skipped"


def _schema(of: str, properties: Mapping[str, object], *, optional: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The JSON schema of an object with these keys and no others."""
    required = [name for name in properties if name not in optional]
    return {
        **{"type": "object", "description": of, "properties": dict(properties)},
        **{"required": required, "additionalProperties": False},
    }


def _is(kind: str | list[str], description: str, **more: object) -> dict[str, Any]:
    return {"type": kind, "description": description, **more}


def _share(description: str) -> dict[str, Any]:
    return _is(["number", "null"], description, minimum=0, maximum=1)


def _interval(description: str, item: Mapping[str, object]) -> dict[str, Any]:
    return _is(["array", "null"], description, items=item, minItems=2, maxItems=2)


# What the answers of the two endpoints hold, as JSON schemas: for `answer` and `pushed_answer` below.
RANKED_SCHEMA = _schema(
    "One ranked checkpoint. What is null is not known of it.",
    {
        "rank": _is("integer", "1 is best; equal scores share the better rank.", minimum=1),
        "checkpoint": _is("string", "Id on the Hub; of the demo its name."),
        "sha": _is("string", "The commit that was scored; of the demo the sha256 of its files."),
        "score": _is("number", "By the method; higher is better, comparable within this answer only."),
        "rank_interval": _interval("Best and worst rank in 90 of 100 draws of such images.", {"type": "integer"}),
        "chance_to_be_best": _share("Chance that it is the best of these once all are fine-tuned."),
        "predicted_accuracy": _share("Expected accuracy after full fine-tuning."),
        "predicted_accuracy_interval": _interval("Its 90% interval.", _share("A bound of it.")),
        "parameters": _is("integer", "Number of weights; 0 where unknown.", minimum=0),
        "licence": _is(["string", "null"], "As the checkpoint's card names it."),
        "trained_on_this_dataset": _is("boolean", "Whether it names this dataset as training data: flattered then."),
        "note": _is("string", "What else to know of it; may be empty."),
    },
)
SKIPPED_SCHEMA = _schema(
    "One checkpoint that could not be ranked.",
    {
        "checkpoint": _is("string", "Id on the Hub; of the demo its name."),
        "stage": _is("string", "Where it failed.", enum=["find", "download", "load", "extract", "score"]),
        "reason": _is("string", "What must hold, what was found, what to do next."),
    },
)
DATASET_SCHEMA = _schema(
    "The images that were ranked on.",
    {
        "dataset": _is("string", "As it was asked for."),
        "split": _is("string", "The one split that was read."),
        "n_images": _is("integer", "How many images were used.", minimum=0),
        "n_classes": _is("integer", "Of how many classes.", minimum=0),
        "notes": _is("array", "What was left out, and why.", items={"type": "string"}),
    },
)
RANKING_SCHEMA = _schema(
    "Which checkpoint to fine-tune on the dataset.",
    {
        "verdict": _is("string", "Whether there is a winner, or why nothing could be ranked; read it first."),
        "is_complete": _is("boolean", "Whether every candidate has been tried."),
        "method": _is("string", "Name of the score."),
        "dataset": DATASET_SCHEMA,
        "checkpoints": _is("array", "Ranked, best first.", items=RANKED_SCHEMA),
        "skipped": _is("array", "Those that could not be ranked.", items=SKIPPED_SCHEMA),
        "python": _is("string", "The Python that repeats it."),
        "board": _is("object", "The whole leaderboard, for push; only with full_board=true."),
    },
    optional=frozenset({"board"}),
)
PUSHED_SCHEMA = _schema(
    "What was written.",
    {
        "repo_id": _is("string", "The dataset repository."),
        "changed": _is("boolean", "Whether there was anything new to write."),
        "commit_url": _is(["string", "null"], "Address of the commit; null where nothing was written."),
        "n_left_out": _is("integer", "Rows left out, of checkpoints that not everybody may read.", minimum=0),
    },
)


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
        "method": named.method,
        "dataset": {
            "dataset": named.dataset.dataset,
            "split": named.dataset.split,
            "n_images": named.dataset.n_images,
            "n_classes": len(named.dataset.class_names),
            "notes": list(named.dataset.notes),
        },
        "checkpoints": [ranked(row) for row in named.rows],
        "skipped": [
            {"checkpoint": skip.checkpoint, "stage": skip.stage, "reason": skip.reason} for skip in named.skipped
        ],
        "python": repeat_line(question),
    }
    return {**document, "board": named.to_document()} if full_board else document


def ranked(row: RankedCheckpoint) -> Mapping[str, object]:
    """Say of one checkpoint what decides between it and the next."""
    sure = row.confidence
    return {
        "rank": row.rank,
        "checkpoint": row.checkpoint,
        "sha": row.sha,
        "score": round(row.score, 4),
        "rank_interval": [sure.rank_low, sure.rank_high] if sure else None,
        "chance_to_be_best": _rounded(sure.p_best) if sure else None,
        "predicted_accuracy": _rounded(sure.predicted_accuracy) if sure else None,
        "predicted_accuracy_interval": [_rounded(sure.predicted_low), _rounded(sure.predicted_high)] if sure else None,
        "parameters": row.parameters,
        "licence": row.licence,
        "trained_on_this_dataset": row.trained_on_dataset,
        "note": row.note,
    }


def pushed_answer(pushed: Push) -> dict[str, Any]:
    """What `/push` gives."""
    return {name: getattr(pushed, name) for name in PUSHED_SCHEMA["properties"]}


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)

"""A board's first checkpoints, really fine-tuned on one's own machine, followed moment by moment."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

from lead_hub.demo import pool
from lead_hub.errors import DatasetError, LeadHubError, RunCancelledError
from lead_hub.leaderboard import Leaderboard
from lead_hub.verification import Verification, VerificationProgress
from spaces_app.request import DEMO
from spaces_app.runs import Outcome, moments_of
from spaces_app.shown import Shown

VerificationMoment: TypeAlias = Leaderboard | VerificationProgress


@dataclass(frozen=True)
class VerificationChoices:
    """How the first checkpoints are fine-tuned.

    Attributes:
        top: how many of them, from the first on.
        mode: "full", all weights; "lora", adapters; "probe", a linear head alone.
        budget: of the time for all of them, such as "30m".
        flip: whether training images are mirrored.
    """

    top: int
    mode: str
    budget: str
    flip: bool


@dataclass(frozen=True)
class VerificationState:
    """One moment of a verification.

    Attributes:
        outcome: whether it goes on, and if not, how it ended.
        shown: the board with what fine-tuning has given so far.
        progress: where it is; None before it has begun.
        error: what went wrong.
    """

    outcome: Outcome
    shown: Shown
    progress: VerificationProgress | None = None
    error: LeadHubError | None = None

    @property
    def share_done(self) -> float:
        """How much is behind it, from 0 to 1, as if all checkpoints took the same."""
        at = self.progress
        if at is None:
            return 0.0
        return (at.number - 1 + at.n_epochs / max(1, at.total_epochs)) / at.n_checkpoints


def board_to_verify(shown: Shown) -> Leaderboard:
    """The board as `Verification` takes it: what comes with lead-hub goes by its place again.

    Raises:
        DatasetError: its images came in a zip, and are gone.
    """
    question, board = shown.question, shown.board
    if shown.brought:
        raise DatasetError(
            "the images must still be here to fine-tune on, found a zip's, which are gone after a run: unpack it, and"
            " rank on the folder"
        )
    if question.is_demo:
        dataset = str(question.dataset_source(paths_allowed=True))
        board = replace(board, dataset=replace(board.dataset, dataset=dataset))
    if question.source != "demo":
        return board
    target = question.dataset.removeprefix(DEMO)
    places = {Path(one.checkpoint).name: one.checkpoint for one in (pool(target) if question.is_demo else pool())}
    rows = [replace(row, checkpoint=places.get(row.checkpoint, row.checkpoint)) for row in board.rows]
    return replace(board, rows=tuple(rows))


def with_outcomes(shown: Shown, verified: Leaderboard) -> Shown:
    """What is shown, with what fine-tuning gave; names stay those that the visitor knows."""
    pairs = zip(shown.board.rows, verified.rows, strict=True)
    rows = tuple(replace(row, finetuned=found.finetuned, note=found.note) for row, found in pairs)
    return replace(shown, board=replace(shown.board, rows=rows))


def followed_verification(
    shown: Shown, choices: VerificationChoices, *, cancelled: threading.Event
) -> Iterator[VerificationState]:
    """Fine-tune the first rows; its moments as they come, the last one with its outcome. Closing it stops it.

    Args:
        shown: the board, whose order stays as it is.
        choices: how.
        cancelled: set by whoever wants it to stop.
    """
    state = VerificationState("running", shown)
    yield state
    try:
        verification = Verification(
            board_to_verify(shown),
            choices.top,
            mode=choices.mode,
            budget=choices.budget,
            flip=choices.flip,
            progress=False,
            cancelled=cancelled.is_set,
        )
        for moments in moments_of(partial(_work, verification), cancelled):
            for moment in moments:
                if isinstance(moment, VerificationProgress):
                    state = replace(state, progress=moment)
                else:
                    state = replace(state, shown=with_outcomes(shown, moment))
            yield state
    except RunCancelledError:
        yield replace(state, outcome="cancelled")
    except LeadHubError as error:
        yield replace(state, outcome="failed", error=error)
    else:
        yield replace(state, outcome="cancelled" if cancelled.is_set() else "finished")


def _work(verification: Verification, tell: Callable[[VerificationMoment], object]) -> None:
    for board in replace(verification, on_progress=tell):
        tell(board)

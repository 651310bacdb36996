"""The rows of a leaderboard, one after the other, with what fine-tuning them gave."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

from lead_hub.candidates import Candidate
from lead_hub.errors import CandidateError
from lead_hub.finetuning import Budget, FineTuned, FineTuningImages, Job, Place, find_files, finetune_job, place_here
from lead_hub.hub_requests import HubDownError
from lead_hub.leaderboard import FineTunedAccuracy, Leaderboard, RankedCheckpoint
from lead_hub.processes import first_on_each_node, shared_folder
from lead_hub.verification.ranked_images import same_images
from lead_hub.verification.request import Verification

COMMIT_DIGITS = 40
FAILED = "fine-tuning failed at "


def stream_verified(verification: Verification) -> Iterator[Leaderboard]:
    """The board after each checkpoint that was fine-tuned, or failed to be."""
    board, place = verification.board, place_here()
    with (
        shared_folder(place.state) as folder,
        closing(first_on_each_node(lambda: same_images(verification, folder), place.state)) as images,
    ):
        chosen = board.rows[: verification.top]
        for number, row in enumerate(chosen):
            budget = Budget(verification.budget.share(len(chosen) - number))
            outcome = finetuned_row(row, images, verification=verification, budget=budget, place=place)
            board = replace(board, rows=tuple(outcome if other == row else other for other in board.rows))
            yield board


def finetuned_row(
    row: RankedCheckpoint, images: FineTuningImages, *, verification: Verification, budget: Budget, place: Place
) -> RankedCheckpoint:
    """The row with what fine-tuning gave, or a note of why it failed."""
    caches = verification.caches
    on_hub = len(row.sha) == COMMIT_DIGITS
    candidate = Candidate(row.checkpoint, revision=row.sha if on_hub else None, licence=row.licence)
    note = row.note.partition(FAILED)[0].removesuffix("; ")  # of an earlier call nothing stays
    try:
        files = find_files(candidate, caches=caches, state=place.state)
        if files.sha != row.sha:
            raise CandidateError(
                f"the checkpoint must be the one that was ranked, sha {row.sha}, found {files.sha}: rank it again (with"
                " allow_pickle if it was ranked so)",
                stage="find",
            )
        job = Job(candidate, files, images, verification.settings, caches, place)
        result = finetune_job(job, budget=budget, progress=verification.progress)
    except (CandidateError, HubDownError) as error:
        stage = error.stage if isinstance(error, CandidateError) else "download"
        return replace(row, note="; ".join(filter(None, [note, f"{FAILED}{stage}: {error}"])))
    return replace(row, finetuned=finetuned_accuracy(result), note=note)


def finetuned_accuracy(result: FineTuned) -> FineTunedAccuracy:
    """What a leaderboard keeps of a fine-tuning."""
    published = result.published[0]
    return FineTunedAccuracy(
        mode=result.mode,
        accuracy=result.accuracy,
        accuracy_sd=result.accuracy_sd,
        macro_f1=result.macro_f1,
        learning_rate=result.learning_rate,
        n_runs=len(result.published),
        n_trainings=len(result.trainings),
        n_dropped=len(result.dropped),
        n_train=published.n_train,
        n_validation=published.n_validation,
        n_test=published.n_test,
        test_source=result.test_source,
        duration_s=result.duration_s,
        device=result.device,
    )

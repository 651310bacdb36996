"""verify(): the first of a leaderboard, really fine-tuned, outcome beside prediction.

Leaderboard -> the same images again -> finetune the top k -> Leaderboard with FineTunedAccuracy -> Agreement
"""

import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import partial, wraps
from pathlib import Path
from typing import ParamSpec

from lead_hub.access import Access, access_of
from lead_hub.candidates import Candidate
from lead_hub.errors import CandidateError, DatasetError, HubError, LeadHubError, RunCancelledError
from lead_hub.finetuning import (
    Budget,
    FineTuned,
    FineTuningImages,
    FineTuningJob,
    FineTuningSettings,
    Hardware,
    files_with_weights,
    finetune_job,
    parse_budget,
    settings_of,
    this_hardware,
)
from lead_hub.hub import Token, is_commit
from lead_hub.labelled_images import SHARED_PREFIX
from lead_hub.leaderboard import FineTunedAccuracy, Leaderboard, RankedCheckpoint, rank
from lead_hub.processes import first_on_each_node, shared_folder
from lead_hub.rank_agreement import regret_at, weighted_kendall_tau
from lead_hub.verification.outcome_files import keep_outcome
from lead_hub.verification.ranked_images import grouped_as_ranked, same_images

FAILED = "fine-tuning failed at "


@dataclass(frozen=True)
class VerificationProgress:
    """Where a verification is.

    Attributes:
        checkpoint: that is fine-tuned, as in its row.
        number: which one, from 1.
        n_checkpoints: how many will be.
        n_epochs: passes over the images that are done, or will not be needed, in all of its trainings together.
        total_epochs: at most so many; 0 before the first training.
    """

    checkpoint: str
    number: int
    n_checkpoints: int
    n_epochs: int = 0
    total_epochs: int = 0


@dataclass(frozen=True)
class Verification:
    """Fine-tune the first checkpoints of a leaderboard on the images that it was made on.

    The same commit, columns, classes and sampled images are trained on. What measures is the dataset's test split, or
    without one a fifth of the images, which then trains nothing. See `lead_hub.finetuning.finetune` for the recipe.

    `for board in Verification(board)` gives the board after each checkpoint; `verify(...)` takes the same arguments and
    gives the last one: the board with `finetuned` in the rows that were fine-tuned. Where that failed the row's note
    says why. What full fine-tuning gave is also kept on this machine, for its owner alone: `calibrate` learns from it.

    Attributes:
        board: or the path of one that was saved as .json or .parquet.
        top: how many are fine-tuned, from the first on.
        mode: "full", "lora" or "probe", as of `finetune`.
        learning_rates: as of `finetune`.
        epochs: as of `finetune`.
        seeds: as of `finetune`.
        budget: seconds, or "90s", "30m", "2h", for all checkpoints together; each gets an equal part of what is left.
        test_split: the split that measures; None means "test" where there is one.
        flip: as of `finetune`.
        cache_dir: as of `recommend`.
        token: Hub token; None means the Hub's own login, False nobody's, even where one is logged in.
        allow_pickle: also accept weights as pickle files, loaded with `weights_only`.
        progress: show bars on a terminal's standard error.
        cancelled: asked after every step of a training: once it returns True the loop ends with the board so far. In
            several processes it must say the same in each.
        on_progress: told where it is, when a checkpoint begins and after every epoch.

    Raises:
        DatasetError: the images cannot be read, or are not those of the board any more.
        CandidateError: the board has no rows.
        HubError: the Hub refused the dataset, or cannot be reached.
        LeadHubError: a choice that cannot be, peft is missing, or the file holds no leaderboard.
        RunCancelledError: cancelled while the images were read.
    """

    board: Leaderboard | str | Path
    top: int = 3
    _: KW_ONLY
    mode: str = "full"
    learning_rates: Sequence[float | int] | None = None
    epochs: int | None = None
    seeds: Sequence[int] | None = None
    budget: float | int | str | None = None
    test_split: str | None = None
    flip: bool = True
    cache_dir: str | Path | None = None
    token: Token = field(default=None, repr=False)
    allow_pickle: bool = False
    progress: bool = True
    cancelled: Callable[[], bool] | None = None
    on_progress: Callable[[VerificationProgress], object] | None = None

    def __post_init__(self) -> None:
        if self.top < 1:
            raise LeadHubError(f"top must be at least 1, found {self.top}: it is how many checkpoints are fine-tuned")
        if not isinstance(self.board, Leaderboard):
            object.__setattr__(self, "board", Leaderboard.load(self.board))
        self.ranked.best  # noqa: B018 - a board without rows says why it has none
        _ = self.settings, parse_budget(self.budget)  # each is checked as it is made

    @property
    def ranked(self) -> Leaderboard:
        """The board whose first rows are fine-tuned."""
        assert isinstance(self.board, Leaderboard)  # a path was read when the record was made
        return self.board

    @property
    def settings(self) -> FineTuningSettings:
        """How each checkpoint is fine-tuned."""
        return settings_of(
            self.mode, learning_rates=self.learning_rates, epochs=self.epochs, seeds=self.seeds, flip=self.flip
        )

    @property
    def access(self) -> Access:
        """As whom the Hub is asked, and where everything is kept."""
        return access_of(
            cache_dir=self.cache_dir,
            token=self.token,
            allow_pickle=self.allow_pickle,
            progress=self.progress,
            cancelled=self.cancelled,
        )

    def __iter__(self) -> Iterator[Leaderboard]:
        """The board after each checkpoint that was fine-tuned, or failed to be."""
        return verified_boards(self)


def verified_boards(verification: Verification) -> Iterator[Leaderboard]:
    """The board of a verification after each checkpoint, in their order."""
    board, hardware = verification.ranked, this_hardware()
    clock = Budget(parse_budget(verification.budget))
    processes, access = hardware.processes, verification.access
    read = partial(same_images, board, access, test_split=verification.test_split)
    with (
        shared_folder(processes, prefix=SHARED_PREFIX) as folder,
        closing(first_on_each_node(partial(read, decoded_folder=folder), processes)) as ungrouped,
    ):
        images = grouped_as_ranked(ungrouped, board, access, processes)
        chosen = board.rows[: verification.top]
        for number, row in enumerate(chosen):
            budget = Budget(clock.share(len(chosen) - number))
            at = VerificationProgress(row.checkpoint, number + 1, len(chosen))
            training = RowTraining(verification, budget, hardware, at)
            try:
                outcome = finetuned_row(row, images, training)
            except RunCancelledError:
                yield board
                return
            if processes.is_main_process:
                keep(board, outcome, access)
            board = replace(board, rows=tuple(outcome if other == row else other for other in board.rows))
            yield board


Arguments = ParamSpec("Arguments")


def call_of(record: Callable[Arguments, Verification]) -> Callable[Arguments, Leaderboard]:
    """`verify`: the record's own signature is the one place where its arguments stand."""

    @wraps(record, assigned=("__doc__", "__module__"), updated=())
    def verify(*arguments: Arguments.args, **options: Arguments.kwargs) -> Leaderboard:
        return deque(record(*arguments, **options), maxlen=1).pop()

    verify.__qualname__ = "verify"  # so that it can be sent to another process
    return verify


verify = call_of(Verification)


@dataclass(frozen=True, eq=False)
class RowTraining:
    """How one row is fine-tuned.

    Attributes:
        verification: whose choices hold.
        budget: of this row.
        hardware: of all.
        at: where the verification is.
    """

    verification: Verification
    budget: Budget
    hardware: Hardware
    at: VerificationProgress

    def tell(self, n_epochs: int = 0, total_epochs: int = 0) -> None:
        """Say where it is."""
        if self.verification.on_progress is not None:
            self.verification.on_progress(replace(self.at, n_epochs=n_epochs, total_epochs=total_epochs))


def finetuned_row(row: RankedCheckpoint, images: FineTuningImages, training: RowTraining) -> RankedCheckpoint:
    """The row with what fine-tuning gave, or a note of why it failed.

    Raises:
        DatasetError: the images have no parts to train on.
        RunCancelledError: nobody waits any more.
    """
    verification, hardware = training.verification, training.hardware
    training.tell()
    candidate = Candidate(row.checkpoint, revision=row.sha if is_commit(row.sha) else None, licence=row.licence)
    note = row.note.partition(FAILED)[0].removesuffix("; ")  # of an earlier call nothing stays
    try:
        files = files_with_weights(candidate, access=verification.access, processes=hardware.processes)
        if files.sha != row.sha:
            raise CandidateError(
                f"the checkpoint must be the one that was ranked, sha {row.sha}, found {files.sha}: rank it again (with"
                " allow_pickle if it was ranked so)",
                stage="find",
            )
        job = FineTuningJob(candidate, files, images, verification.settings, verification.access, hardware)
        result = finetune_job(job, budget=training.budget, on_epochs=training.tell)
    except (RunCancelledError, DatasetError):  # nobody waits, or the images train no checkpoint
        raise
    except LeadHubError as error:
        is_hub = isinstance(error, HubError)
        stage = error.stage if isinstance(error, CandidateError) else "download" if is_hub else "finetune"
        return replace(row, note="; ".join(filter(None, [note, f"{FAILED}{stage}: {error}"])))
    return replace(row, finetuned=finetuned_accuracy(result), note=note)


def keep(board: Leaderboard, row: RankedCheckpoint, access: Access) -> None:
    """Keep prediction and outcome on this machine, for `calibrate`; the board has them in any case."""
    try:
        keep_outcome(board, row, access)
    except OSError as error:
        warnings.warn(
            f"what fine-tuning gave is in the board, but cannot be kept for `calibrate`: {error}", stacklevel=2
        )


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


@dataclass(frozen=True)
class Agreement:
    """How the board's order and the order by accuracy agree among the checkpoints that were fine-tuned in one mode.

    Attributes:
        n_checkpoints: two or more.
        weighted_kendall_tau: in [-1, 1]; None where all places or all accuracies are equal.
        regret_at_1_points: accuracy points lost by taking the first by score instead of the best by outcome, 0 or more.
    """

    n_checkpoints: int
    weighted_kendall_tau: float | None
    regret_at_1_points: float

    @property
    def in_words(self) -> str:
        tau = self.weighted_kendall_tau
        order = "no order: all are equal" if tau is None else f"weighted Kendall tau {tau:.3f} (1 is the true order)"
        return (
            f"of {self.n_checkpoints} fine-tuned checkpoints: {order}; taking the first by score loses"
            f" {self.regret_at_1_points:.1f} accuracy points"
        )


def agreement(board: Leaderboard, *, mode: str) -> Agreement | None:
    """Rank agreement among the rows that were fine-tuned in a mode; None of fewer than two."""
    rows = rank(row for row in board.rows if row.finetuned and row.finetuned.mode == mode)
    if len(rows) < 2:
        return None
    # By place: after a race, scores on fewer images are on another scale.
    scores = [-float(row.rank) for row in rows]
    accuracies = [100 * row.finetuned.accuracy for row in rows if row.finetuned]
    ordered = len(set(scores)) > 1 and len(set(accuracies)) > 1
    return Agreement(
        len(rows),
        weighted_kendall_tau=weighted_kendall_tau(scores, accuracies) if ordered else None,
        regret_at_1_points=regret_at(1, scores, accuracies),
    )

"""Where a run is at this moment, for whoever shows it to people; and whether anybody still waits for it."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]  # public, exported lazily

from lead_hub.access import Access
from lead_hub.candidates import Candidate
from lead_hub.errors import Stage
from lead_hub.leaderboard import duration_in_words
from lead_hub.recommendation.estimate import measured_speed
from lead_hub.recommendation.remaining_time import NO_STAGES, RemainingTime, StagesAhead


@dataclass(frozen=True)
class RunProgress:
    """One moment of a run.

    Attributes:
        stage: "dataset" while the images are read, then for every checkpoint "download" while its files are found or
            fetched, "load" while its weights are read, "extract" while images run through it, "score".
        checkpoint: Hub id or folder as given; empty while the dataset is read.
        number: which checkpoint of the run, or of a stage of a race, from 1; 0 while the dataset is read.
        n_candidates: checkpoints of the run, or of the stage.
        n_images: images that have run through this checkpoint, in this stage.
        total_images: images of the run, or those that the stage adds; 0 while the dataset is read.
        images_per_s: speed of this checkpoint so far, preparation included; None before its first batch.
        device: where it runs, e.g. "cpu" or "cuda:0"; empty while the dataset is read.
        remaining_s: seconds until the run ends: estimated for the first checkpoint, from then on as the finished ones
            took. Of a race the stages to come are in it, as many candidates as usually go on, and no more than the
            budget leaves. None while the dataset is read.
    """

    stage: Stage
    checkpoint: str = ""
    number: int = 0
    n_candidates: int = 0
    n_images: int = 0
    total_images: int = 0
    images_per_s: float | None = None
    device: str = ""
    remaining_s: float | None = None


# Without the time that a bar itself expects, as if all checkpoints were of one size.
BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt} images [{elapsed}{postfix}]"
OnProgress: TypeAlias = Callable[[RunProgress], object]


class RunFollower:
    """Tells a bar, and whoever asked to be told, how far a run is; and ends it where nobody waits any more."""

    def __init__(
        self,
        n_candidates: int,
        *,
        access: Access,
        on_progress: OnProgress | None,
        budget_left_s: Callable[[], float | None] = lambda: None,
    ) -> None:
        """A follower of a run.

        Args:
            n_candidates: of the run.
            access: who still waits.
            on_progress: who is told.
            budget_left_s: seconds until a budget of time is over, if there is one.
        """
        self._access = access
        self._on_progress = on_progress
        self._budget_left_s = budget_left_s
        self._n_candidates = n_candidates
        self._bar: tqdm | None = None
        self._number = 0
        self._checkpoint = self._device = ""
        self._n_images = self._total_images = 0
        self._stage: Stage = "dataset"
        self._since_s = 0.0
        self._remaining = RemainingTime(lambda: measured_speed(self._device.partition(":")[0] or "auto"))
        self.n_sharing = 1  # processes that take the candidates
        self.is_asking_caller = False  # still so after an error: then it is the caller's own, and none of a candidate's

    def reads_dataset(self) -> None:
        """The run has begun."""
        self._tell()

    @contextmanager
    def ranks(self, *, n_images: int, device: str, shown: bool) -> Iterator[None]:
        """The images are there, and candidates follow one after the other within the block."""
        self._total_images, self._device = n_images, device
        silent = None if shown else True  # None: silent unless on a terminal
        with tqdm(total=n_images * self._n_candidates, unit="image", disable=silent, bar_format=BAR) as self._bar:  # type: ignore[no-untyped-call]
            yield

    def begins_stage(self, n_candidates: int, *, n_images: int) -> None:
        """A stage of the run has begun, of which a full run has one.

        Args:
            n_candidates: of the stage.
            n_images: that may have to run through each of them.
        """
        self._number, self._n_candidates, self._total_images = 0, n_candidates, n_images
        if self._bar is not None:
            self._bar.set_description(f"0/{n_candidates}", refresh=False)
            self._bar.reset(total=n_candidates * n_images)

    @property
    def _is_followed(self) -> bool:
        return self._on_progress is not None or (self._bar is not None and not self._bar.disable)

    def begins(
        self,
        candidate: Candidate,
        *,
        following: Sequence[Candidate],
        number: int,
        n_images: int,
        ahead: StagesAhead = NO_STAGES,
    ) -> None:
        """The next candidate has its turn.

        Args:
            candidate: whose turn it is.
            following: those that come after it, in this stage of the run.
            number: which one of the stage, from 1.
            n_images: that may have to run through it.
            ahead: what is expected after this stage.

        Raises:
            RunCancelledError: nobody waits for it.
        """
        n_candidates = number + len(following)
        if number == 1:
            self.begins_stage(n_candidates, n_images=n_images)
        self._number, self._n_candidates, self._total_images = number, n_candidates, n_images
        self._checkpoint, self._n_images = candidate.checkpoint, 0
        self._stage = "find"
        if self._is_followed:
            self._remaining.begins(candidate, following, n_images=n_images, n_sharing=self.n_sharing, ahead=ahead)
        if self._bar is not None:
            self._bar.set_description(f"{self._number}/{self._n_candidates} {candidate.checkpoint}")
        self._check_wanted()

    def reached(self, stage: Stage) -> None:
        """The candidate has come to a stage."""
        self._stage, self._since_s = stage, time.perf_counter()
        self._tell()

    def advance(self, n_images: int = 0) -> None:
        """So many more images have run through the candidate.

        Raises:
            RunCancelledError: nobody waits for the others.
        """
        if n_images:
            self._n_images += n_images
            if self._bar is not None:
                self._bar.update(n_images)
            self._tell()
        self._check_wanted()

    def ends(self) -> None:
        """The candidate is done with, also where not every image had to run through it."""
        self._remaining.ends(has_run=self._n_images > 0)
        if self._bar is not None:
            self._bar.update(self._number * self._total_images - self._bar.n)
            if self._is_followed:
                self._bar.set_postfix_str(f"about {duration_in_words(self._left_s(1.0))} left")

    def are_done(self, n_candidates: int) -> None:
        """So many candidates of the stage are done with, by this process or by others."""
        if self._bar is not None:
            self._bar.update(n_candidates * self._total_images - self._bar.n)
            self._bar.set_description(f"{n_candidates}/{self._n_candidates}")

    @property
    def _remaining_s(self) -> float | None:
        if not self._number:
            return None
        share = 1.0 if self._stage == "score" else self._n_images / max(1, self._total_images)
        return self._left_s(share)

    def _left_s(self, share_done: float) -> float:
        left_s, within_s = self._remaining.left_s(share_done), self._budget_left_s()
        return left_s if within_s is None else min(left_s, within_s)

    def _check_wanted(self) -> None:
        self.is_asking_caller = True
        self._access.check_wanted()
        self.is_asking_caller = False

    def _tell(self) -> None:
        if self._on_progress is None:
            return
        self.is_asking_caller = True
        is_running = self._stage == "extract" and self._n_images > 0
        self._on_progress(
            RunProgress(
                self._stage,
                checkpoint=self._checkpoint,
                number=self._number,
                n_candidates=self._n_candidates,
                n_images=self._n_images,
                total_images=self._total_images,
                images_per_s=self._n_images / (time.perf_counter() - self._since_s) if is_running else None,
                device=self._device,
                remaining_s=self._remaining_s,
            )
        )
        self.is_asking_caller = False

"""Whose turn it is, and on how many images: every candidate on all of them, or a race within a budget.

In a race the candidates enter in the order of what is known beforehand, all see few images, and those that are worth
more see twice as many (`confidence/race.py`), the most promising first, until all images or the end of the budget. So
a board is good at any moment: who rests on more images stands above who rests on fewer, and what the images say decides
among those that rest on the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Protocol

import numpy as np
from jaxtyping import Int64

from lead_hub.candidates import Candidate
from lead_hub.checkpoint_files import CheckpointFiles
from lead_hub.confidence import (
    Calibration,
    Confidence,
    ImageLabels,
    could_be_best,
    going_on,
    ranking_confidence,
    stage_sizes,
    staged_chances,
)
from lead_hub.labelled_images import LabelledImages, rows_sha256, stratified_sample
from lead_hub.leaderboard import Leaderboard, RankedCheckpoint, Skipped
from lead_hub.leaderboard import rank as ranked
from lead_hub.processes import Processes, on_main_process
from lead_hub.recommendation.estimate import GOING_ON
from lead_hub.recommendation.judging import ScoredCandidate, judged_board
from lead_hub.recommendation.race_budget import SpentBudget
from lead_hub.recommendation.remaining_time import NO_STAGES, StagesAhead


@dataclass(frozen=True, eq=False)
class Turn:
    """One candidate on some images.

    Attributes:
        candidate: whose turn it is.
        images: that it is judged on.
        positions: of these among all images; None where they are all.
        n_new: how many of them have not run through the candidate in an earlier turn.
        number: which turn of its stage, from 1.
        following: whose turn it is after that, in this stage.
        files: of the candidate, as its first turn found them; None where this is the first one.
        ahead: what is expected after this stage.
    """

    candidate: Candidate
    images: LabelledImages
    positions: Int64[np.ndarray, " image"] | None
    n_new: int
    number: int
    following: tuple[Candidate, ...]
    files: CheckpointFiles | None = None
    ahead: StagesAhead = NO_STAGES

    @property
    def is_first(self) -> bool:
        """Whether it is the first one of this candidate."""
        return self.files is None


@dataclass(frozen=True, eq=False)
class ScoredTurn:
    """What came of a turn.

    Attributes:
        candidate: scored on its images.
        files: that it was scored with.
        is_whole: whether more images would cost it nothing.
    """

    candidate: ScoredCandidate
    files: CheckpointFiles
    is_whole: bool


class Ranking(Protocol):
    """Whose turn it is, and the board that follows from what came of the turns."""

    def rounds(self, candidates: Sequence[Candidate]) -> Iterator[Iterator[Turn]]:
        """Turns in order, those that do not depend on each other together.

        What came of a round is told before the next is asked for. Whether there is a further turn is decided as it is
        asked for.
        """

    def images_of(self, n_images: int) -> tuple[LabelledImages, Int64[np.ndarray, " image"] | None]:
        """The images of turns on so many, and their positions among all; None where they are all."""

    def board(self, board: Leaderboard, turn: Turn, one: ScoredCandidate) -> Leaderboard:
        """The board with what came of this turn; asked of the main process alone."""

    def keep(self, turn: Turn, scored: ScoredTurn) -> None:
        """What came of a turn counts from now on; told on every process."""

    def fail(self, board: Leaderboard, turn: Turn, reason: str) -> Leaderboard:
        """The board where more images could not be run: what came of fewer stays, and its row says so."""

    def ended(self, board: Leaderboard, candidates: Sequence[Candidate]) -> Leaderboard:
        """The board when there are no more turns: where a budget let nobody have one, whom it left out and why."""

    def on_same_images(self) -> Mapping[Candidate, ScoredCandidate]:
        """What came of as many candidates as possible on the same images."""


class FullRun:
    """Every candidate once, on all images."""

    def __init__(
        self,
        images: LabelledImages,
        calibration: Calibration | None,
        candidates: Sequence[Candidate],
        *,
        seed: int,
    ) -> None:
        """A run of these candidates.

        Args:
            images: of the run.
            calibration: of the board's score; None without one.
            candidates: in the order of the board's rows where it is none of the scores, whoever had its turn first.
            seed: of what is drawn.
        """
        self._images, self._calibration, self._candidates, self._seed = images, calibration, candidates, seed
        self._scored: dict[Candidate, ScoredCandidate] = {}

    def rounds(self, candidates: Sequence[Candidate]) -> Iterator[Iterator[Turn]]:
        yield (
            Turn(
                candidate,
                self._images,
                None,
                n_new=len(self._images),
                number=number,
                following=tuple(candidates[number:]),
            )
            for number, candidate in enumerate(candidates, start=1)
        )

    def images_of(self, n_images: int) -> tuple[LabelledImages, None]:  # noqa: ARG002 - all images
        return self._images, None

    def board(self, board: Leaderboard, turn: Turn, one: ScoredCandidate) -> Leaderboard:
        scored = [*in_order({**self._scored, turn.candidate: one}, self._candidates).values()]
        return judged_board(board, scored, self._images, calibration=self._calibration, seed=self._seed)

    def keep(self, turn: Turn, scored: ScoredTurn) -> None:
        self._scored[turn.candidate] = scored.candidate

    def fail(self, board: Leaderboard, turn: Turn, reason: str) -> Leaderboard:  # noqa: ARG002 - never asked
        raise AssertionError(f"a candidate has one turn: {turn.candidate.checkpoint}: {reason}")

    def ended(self, board: Leaderboard, candidates: Sequence[Candidate]) -> Leaderboard:  # noqa: ARG002 - all had one
        return board

    def on_same_images(self) -> Mapping[Candidate, ScoredCandidate]:
        return self._scored


def in_order(
    scored: Mapping[Candidate, ScoredCandidate], candidates: Sequence[Candidate]
) -> dict[Candidate, ScoredCandidate]:
    """The same, in the order of the candidates, so that nothing depends on who was first."""
    return {candidate: scored[candidate] for candidate in candidates if candidate in scored}


@dataclass(eq=False)
class RaceStage:
    """What came of the candidates on the images of one stage.

    Attributes:
        racing: the candidates that are in it, in its order.
        images: of the stage.
        positions: of them among all; None where they are all.
        scored: those that have a score on them, in the same order.
    """

    racing: Sequence[Candidate]
    images: LabelledImages
    positions: Int64[np.ndarray, " image"] | None
    scored: dict[Candidate, ScoredCandidate] = field(default_factory=dict)

    def and_then(self, candidate: Candidate, one: ScoredCandidate) -> "RaceStage":
        """The stage with what came of a further candidate."""
        return replace(self, scored=in_order({**self.scored, candidate: one}, self.racing))

    def records(self, calibration: Calibration, *, seed: int) -> dict[Candidate, Confidence]:
        """How sure each row is among those of the stage, by the stage's images."""
        terms = [one.images for one in self.scored.values() if one.images]
        images = self.images
        labels = ImageLabels(images.labels, images.class_names, seed=seed, groups=images.groups)
        return dict(zip(self.scored, ranking_confidence(terms, labels, calibration), strict=True))


class Race:
    """Stages, in each of which those that are worth it see twice as many images."""

    def __init__(
        self,
        images: LabelledImages,
        calibration: Calibration,
        *,
        seed: int,
        spent: SpentBudget,
        processes: Processes,
    ) -> None:
        self._images, self._calibration, self._seed = images, calibration, seed
        self._spent, self._processes = spent, processes
        self._sizes = stage_sizes(len(images), len(images.class_names))
        self._parts: dict[int, tuple[LabelledImages, Int64[np.ndarray, " image"] | None]] = {}
        self._is_over = False
        self._stages: list[RaceStage] = []
        self._finished: list[dict[Candidate, Confidence]] = []  # of all stages but the last
        self._files: dict[Candidate, CheckpointFiles] = {}
        self._whole: set[Candidate] = set()
        self._failed: dict[Candidate, str] = {}

    def rounds(self, candidates: Sequence[Candidate]) -> Iterator[Iterator[Turn]]:
        racing = list(candidates)
        n_seen = 0
        for size in self._sizes:
            self._stages.append(RaceStage(racing, *self.images_of(size)))
            yield self._turns(racing, size=size, n_seen=n_seen)
            if self._is_over:
                return
            n_seen = size
            racing = self._worth_more(self._stages[-1])

    def _turns(self, racing: Sequence[Candidate], *, size: int, n_seen: int) -> Iterator[Turn]:
        """Those of a stage, as far as the budget goes."""
        images, positions = self.images_of(size)
        for number, candidate in enumerate(racing, start=1):
            n_more = 0 if candidate in self._whole else size - n_seen
            self._is_over = not self._allows(n_more)
            if self._is_over:
                return
            yield Turn(
                candidate,
                images,
                positions,
                n_new=size - n_seen,
                number=number,
                following=tuple(racing[number:]),
                files=self._files.get(candidate),
                ahead=self._ahead(racing, size=size),
            )
            self._spent.run(n_more)

    def images_of(self, n_images: int) -> tuple[LabelledImages, Int64[np.ndarray, " image"] | None]:
        if n_images not in self._parts:
            is_all = n_images == len(self._images)
            positions = None if is_all else stratified_sample(self._images.labels, n_images, seed=self._seed)
            images = self._images if positions is None else self._images.part(positions)
            self._parts[n_images] = images, positions
        return self._parts[n_images]

    def _ahead(self, racing: Sequence[Candidate], *, size: int) -> StagesAhead:
        """What is expected after the stage of so many images: of the first, as many go on as usually do, then all."""
        later = self._sizes[self._sizes.index(size) :]
        return StagesAhead(
            tuple(each for each in racing if each not in self._whole),
            n_images=tuple(after - before for before, after in pairwise(later)),
            going_on=GOING_ON if size == self._sizes[0] else 1.0,
            n_allowed=self._spent.n_left(n_images_of_run=len(self._images)),
        )

    def ended(self, board: Leaderboard, candidates: Sequence[Candidate]) -> Leaderboard:
        budget = self._spent.budget
        n_first = self._sizes[0]
        if board.rows or budget is None or self._spent.allows(n_first, n_images_of_run=len(self._images)):
            return board
        reason = (
            f"the budget of {budget.text} must let a candidate see the {n_first} images of the first stage, and was"
            " over before this one had: give more"
        )
        told = {(skip.checkpoint, skip.revision) for skip in board.skipped}
        others = [each for each in candidates if (each.checkpoint, each.revision) not in told]
        untried = [Skipped(each.checkpoint, each.revision, "extract", reason) for each in others]
        return replace(board, skipped=(*board.skipped, *untried)) if untried else board

    def on_same_images(self) -> Mapping[Candidate, ScoredCandidate]:
        return self._stages[0].scored if self._stages else {}

    def _allows(self, n_images: int) -> bool:
        """As the clock of the main process says, so that all processes do the same."""
        allows = self._spent.allows
        return on_main_process(lambda: allows(n_images, n_images_of_run=len(self._images)), self._processes)

    def _worth_more(self, stage: RaceStage) -> list[Candidate]:
        """Those of a stage that see more images, the most promising first; and those whom it costs nothing."""
        records = stage.records(self._calibration, seed=self._seed)
        self._finished.append(records)
        candidates = list(records)
        chances = np.array([record.p_best for record in records.values()], dtype=np.float64)
        scores = np.array([one.row.score for one in stage.scored.values()], dtype=np.float64)
        following = going_on(scores, chances) | np.array([each in self._whole for each in candidates], dtype=bool)
        order = np.argsort(-chances, kind="stable")
        return [candidates[place] for place in order if following[place] and candidates[place] not in self._failed]

    def board(self, board: Leaderboard, turn: Turn, one: ScoredCandidate) -> Leaderboard:
        with_it = self._stages[-1].and_then(turn.candidate, one)
        return self._board_of(board, [*self._stages[:-1], with_it])

    def keep(self, turn: Turn, scored: ScoredTurn) -> None:
        self._stages[-1] = self._stages[-1].and_then(turn.candidate, scored.candidate)
        self._files.setdefault(turn.candidate, scored.files)
        if scored.is_whole:
            self._whole.add(turn.candidate)

    def fail(self, board: Leaderboard, turn: Turn, reason: str) -> Leaderboard:
        self._failed[turn.candidate] = reason
        return self._board_of(board, self._stages)

    def _board_of(self, board: Leaderboard, stages: Sequence[RaceStage]) -> Leaderboard:
        """A row for each candidate, as its last stage has it; its chance to be best counts all stages."""
        records = [*self._finished, stages[-1].records(self._calibration, seed=self._seed)]
        chances = staged_chances([{one: record.p_best or 0.0 for one, record in each.items()} for each in records])
        possible = dict(zip(chances, could_be_best(np.array([*chances.values()])).tolist(), strict=True))
        rows = {}
        for stage, judged in zip(stages, records, strict=True):
            for one, record in judged.items():
                sure = replace(record, p_best=chances[one], could_be_best=possible[one])
                rows[one] = self._row(stage, one, sure)
        return replace(board, rows=ranked(rows.values()))

    def _row(self, stage: RaceStage, candidate: Candidate, sure: Confidence) -> RankedCheckpoint:
        row = replace(stage.scored[candidate].row, confidence=sure)
        if stage.positions is None:
            return row
        few = f"judged on {len(stage.images):,} of {len(self._images):,} images"
        failed = f"on more it failed: {self._failed[candidate]}" if candidate in self._failed else ""
        note = "; ".join(filter(None, (few, failed, row.note)))
        return replace(row, n_images=len(stage.images), rows_sha256=rows_sha256(stage.images), note=note)

"""A run that several processes share: each takes whole checkpoints from one queue, the main process makes the boards.

files -> outputs -> scores in whichever process is free, the longest checkpoint first; a row, or why there is none,
travels to the main process. So no disk has to be shared, and no process waits for another.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from torch.distributed import DistError

from lead_hub.candidates import Candidate
from lead_hub.checkpoint_files import Downloads
from lead_hub.confidence import Calibration
from lead_hub.errors import CandidateError, LeadHubError, RunCancelledError
from lead_hub.hub import HubDownError
from lead_hub.labelled_images import LabelledImages
from lead_hub.leaderboard import Leaderboard, Skipped
from lead_hub.processes import Processes, n_on_this_machine
from lead_hub.recommendation.estimate import multiply_adds_of_all
from lead_hub.recommendation.judging import ScoredCandidate, judged_board
from lead_hub.recommendation.racing import Turn
from lead_hub.recommendation.turn_scoring import TurnScoring
from lead_hub.recommendation.work_queue import MAIN_IS_GONE, NAP_S, WorkQueue, can_meet, run_store

# Of the time that an even share would take, without any loss: whole checkpoints may take so much more.
MOST_UNEVEN = 1.25
FEWEST_A_PROCESS = 2  # checkpoints
MOST_LOST = 2  # processes, over one checkpoint: a third one is not risked
Outcome: TypeAlias = ScoredCandidate | LeadHubError


def shared_queue(candidates: Sequence[Candidate], processes: Processes) -> WorkQueue | None:
    """The queue of the candidates, longest first; None where there is one process, or where all share each candidate.

    Every process of the run must ask for it, with the same candidates.
    """
    n_processes = processes.num_processes
    if n_processes == 1 or not can_meet() or not takes_whole(multiply_adds_of_all(candidates), n_processes):
        return None
    store = run_store(processes)
    return WorkQueue(store, len(candidates), process_index=processes.process_index, n_processes=n_processes)


def takes_whole(costs: Sequence[float], n_processes: int) -> bool:
    """Whether whole checkpoints keep so many processes busy.

    Splitting the images of each costs a load of every network in every process, and all wait for the slowest after
    each. Whole ones cost what some processes have nothing to do at the end. That depends on the candidates alone, not
    on how fast the machine is at the moment: the same run goes the same way every time.

    Args:
        costs: of the candidates, in any unit.
        n_processes: that take them, the longest first.
    """
    if len(costs) < FEWEST_A_PROCESS * n_processes:
        return False
    busy = [0.0] * n_processes
    for cost in sorted(costs, reverse=True):
        busy[busy.index(min(busy))] += cost
    return max(busy) <= MOST_UNEVEN * sum(costs) / n_processes


def longest_first(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates as a queue gives them out; equally long ones in their order."""
    by_candidate = dict(zip(candidates, multiply_adds_of_all(candidates), strict=True))
    return sorted(candidates, key=lambda candidate: -by_candidate[candidate])


def taken_in_turn(downloads: Downloads, queue: WorkQueue) -> Downloads:
    """The files of a queue's candidates in its order, those ahead of which this process may get next."""
    queued, limit = longest_first(downloads.candidates), downloads.max_disk_bytes
    if limit is None:
        return replace(downloads, candidates=queued, every=queue.n_processes)
    # What was fetched ahead may be another's in the end, and would take its place on the disk for ever.
    share = limit // n_on_this_machine()
    return replace(downloads, candidates=queued, every=queue.n_processes, ahead=0, max_disk_bytes=share)


def _deadly(candidate: Candidate, n_lost: int) -> CandidateError:
    return CandidateError(
        f"{candidate.checkpoint} must leave its process alive, but {n_lost} were lost over it, maybe for want of"
        " memory: rank it alone, with a smaller batch_size",
        stage="extract",
    )


@dataclass(eq=False)
class SharedRun:
    """This process's part of a run that is shared by whole checkpoints.

    Attributes:
        queue: of the run; its pieces are the candidates, longest first.
        scoring: files, outputs and scores of one candidate, by this process alone.
        images: of the run.
        calibration: of the board's score; None without one.
        candidates: of the run, in the order of its boards.
    """

    queue: WorkQueue
    scoring: TurnScoring
    images: LabelledImages
    calibration: Calibration | None
    candidates: Sequence[Candidate]
    _outcomes: dict[Candidate, Outcome] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._queued = longest_first(self.candidates)
        self.scoring.run.follower.n_sharing = self.queue.n_processes

    def boards(self, empty: Leaderboard) -> Iterator[Leaderboard]:
        """A board after every candidate on the main process, on the others the last one alone.

        Raises:
            HubDownError: after the last board, if the Hub did not answer and no candidate could be ranked without it.
            LeadHubError: the main process is gone.
        """
        with self.queue.running():
            yield from self._as_main(empty) if self.queue.is_main else self._as_other()

    def _as_main(self, empty: Leaderboard) -> Iterator[Leaderboard]:
        board, last = empty, None
        try:
            try:
                while len(self._outcomes) < len(self.candidates):
                    self._take_one()
                    for board in self._new_boards(empty):
                        yield board
            except RunCancelledError:
                board = [board, *self._new_boards(empty)][-1]
                yield board
            down = [outcome for outcome in self._outcomes.values() if isinstance(outcome, HubDownError)]
            last = down[0] if down and not board.rows else None
        finally:
            self.queue.over(last or board)
        if last:
            raise last

    def _as_other(self) -> Iterator[Leaderboard]:
        try:
            try:
                while not self.queue.is_over():
                    self._take_one()
            except RunCancelledError:  # for all, whoever it was that nobody waits for
                self.queue.stop()
        except DistError as error:
            raise LeadHubError(MAIN_IS_GONE) from error
        last = self.queue.last()
        if isinstance(last, LeadHubError):
            raise last
        assert isinstance(last, Leaderboard)
        yield last

    def _take_one(self) -> None:
        """Do a candidate, if there is one to do.

        Raises:
            RunCancelledError: nobody waits any more.
        """
        piece = self.queue.take()
        if piece is None:
            self.scoring.run.access.check_wanted()
            time.sleep(NAP_S)
            return
        candidate, downloads = self._queued[piece], self.scoring.downloads
        n_lost = self.queue.n_takers(piece) - 1
        outcome = self._outcome_of(candidate) if n_lost < MOST_LOST else _deadly(candidate, n_lost)
        downloads.scored(candidate, outcome.row.score if isinstance(outcome, ScoredCandidate) else None)
        self.queue.answer(piece, outcome)

    def _outcome_of(self, candidate: Candidate) -> Outcome:
        following = tuple(each for each in self._queued if each not in self._outcomes and each != candidate)
        number, n_new = len(self.candidates) - len(following), len(self.images)
        turn = Turn(candidate, self.images, None, n_new, number=number, following=following, is_first=True)
        follower = self.scoring.run.follower
        try:
            return self.scoring.of(turn).candidate
        except RunCancelledError:
            raise
        except LeadHubError as error:
            if follower.is_asking_caller:
                raise error.__cause__ or error from None
            return error
        finally:
            follower.ends()

    def _new_boards(self, empty: Leaderboard) -> Iterator[Leaderboard]:
        """The board with every outcome that has come since."""
        for piece, outcome in self.queue.answers():
            assert isinstance(outcome, ScoredCandidate | LeadHubError)
            self._outcomes[self._queued[piece]] = outcome
            self.scoring.run.follower.are_done(len(self._outcomes))
            yield self._board(empty)

    def _board(self, empty: Leaderboard) -> Leaderboard:
        """What came of the candidates, in their own order, so that it is the same whoever was first."""
        outcomes = [(each, self._outcomes[each]) for each in self.candidates if each in self._outcomes]
        scored = [outcome for _, outcome in outcomes if isinstance(outcome, ScoredCandidate)]
        skipped = tuple(
            Skipped.because(each.checkpoint, each.revision, outcome)
            for each, outcome in outcomes
            if isinstance(outcome, LeadHubError)
        )
        board = judged_board(empty, scored, self.images, calibration=self.calibration, seed=self.scoring.seed)
        return replace(board, skipped=skipped)

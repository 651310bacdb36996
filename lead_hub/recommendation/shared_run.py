"""A run that several processes share: each takes whole checkpoints from one queue, the main process makes the boards.

files -> outputs -> scores in whichever process is free, the longest checkpoint first; a row, or why there is none,
travels to the main process. So no disk has to be shared, and no process waits for another. Of a race the main process
adds one stage after the other, and what an earlier stage found of a checkpoint is read from the disk by whoever has it
next: these are processes of one machine.
"""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeAlias

from torch.distributed import DistError

from lead_hub.candidates import Candidate
from lead_hub.checkpoint_files import CheckpointFiles, Downloads
from lead_hub.errors import CandidateError, LeadHubError, RunCancelledError
from lead_hub.hub import HubDownError
from lead_hub.leaderboard import Leaderboard, Skipped
from lead_hub.processes import Processes, guarded, n_on_this_machine
from lead_hub.recommendation.estimate import multiply_adds_of_all
from lead_hub.recommendation.judging import ScoredCandidate
from lead_hub.recommendation.racing import Ranking, ScoredTurn, Turn
from lead_hub.recommendation.turn_scoring import TurnOutputs, TurnScoring
from lead_hub.recommendation.work_queue import MAIN_IS_GONE, NAP_S, WorkQueue, can_meet, run_store

# Of the time that an even share would take, without any loss: whole checkpoints may take so much more.
MOST_UNEVEN = 1.25
FEWEST_A_PROCESS = 2  # checkpoints
# As many of them for each in a race, where a quarter or more are left for later stages, and all wait for each stage.
FEWEST_IN_A_RACE = 7
MOST_LOST = 2  # processes, over one checkpoint: a third one is not risked
Outcome: TypeAlias = ScoredTurn | LeadHubError


def shared_queue(
    candidates: Sequence[Candidate], processes: Processes, *, is_race: bool, has_disk_limit: bool
) -> WorkQueue | None:
    """A queue for the candidates; None where there is one process, or where all share each candidate.

    Every process of the run must ask for it, with the same candidates.

    Args:
        candidates: of the run.
        processes: of the run.
        is_race: whether a candidate may have several turns, each in another process, which read what the earlier found.
        has_disk_limit: whether a process deletes weights again, which in a race another may need.
    """
    n_processes = processes.num_processes
    if n_processes == 1 or not can_meet() or not takes_whole(multiply_adds_of_all(candidates), n_processes):
        return None
    is_elsewhere = n_on_this_machine() < n_processes
    if is_race and (is_elsewhere or has_disk_limit or len(candidates) < FEWEST_IN_A_RACE * n_processes):
        return None
    return WorkQueue(run_store(processes), process_index=processes.process_index, n_processes=n_processes)


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
    """The files of a queue's candidates, of which this process gets those ahead that may be its next."""
    limit = downloads.max_disk_bytes
    if limit is None:
        return replace(downloads, every=queue.n_processes)
    # What was fetched ahead may be another's in the end, and would take its place on the disk for ever.
    return replace(downloads, every=queue.n_processes, ahead=0, max_disk_bytes=limit // n_on_this_machine())


def _deadly(candidate: Candidate, n_lost: int) -> CandidateError:
    return CandidateError(
        f"{candidate.checkpoint} must leave its process alive, but {n_lost} were lost over it, maybe for want of"
        " memory: rank it alone, with a smaller batch_size",
        stage="extract",
    )


@dataclass(frozen=True)
class Piece:
    """A turn as it travels: the other processes have the candidates and the images.

    Attributes:
        place: of the candidate among those of the run.
        n_images: that it is judged on.
        n_new: how many of them have not run through the candidate in an earlier turn.
        number: which turn of its stage, from 1.
        files: of the candidate on this machine, as its first turn found them; None where this is the first one.
    """

    place: int
    n_images: int
    n_new: int
    number: int
    files: CheckpointFiles | None


@dataclass(eq=False)
class SharedRun:
    """This process's part of a run that is shared by whole checkpoints.

    Attributes:
        queue: of the run.
        scoring: files, outputs and scores of one candidate, by this process alone.
        ranking: whose turn it is, and the boards.
        candidates: of the run, in the order of its boards.
        show: told by the main process of every turn what came of it.
    """

    queue: WorkQueue
    scoring: TurnScoring
    ranking: Ranking
    candidates: Sequence[Candidate]
    show: Callable[[Turn, ScoredCandidate], object]
    _open: dict[int, Turn] = field(default_factory=dict)  # by piece; those of the main process that have no answer
    _n_turns: int = 0  # of the round
    _scored: Future[None] | None = None  # the turn that is scored, and told, beside the passes of what follows
    _has_told: bool = False
    _reserved: int | None = None  # the piece that this process has next
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "lead-hub-score"))

    def __post_init__(self) -> None:
        self.scoring.run.follower.n_sharing = self.queue.n_processes

    def boards(self, empty: Leaderboard, queued: Sequence[Candidate]) -> Generator[Leaderboard, None, None]:
        """A board after every turn on the main process, on the others the last one alone.

        Args:
            empty: the board before the first turn.
            queued: the candidates in the order in which they are taken.

        Raises:
            HubDownError: after the last board, if the Hub did not answer and no candidate could be ranked without it.
            LeadHubError: the main process is gone.
        """
        with self.queue.running(), self._thread:
            yield from self._as_main(empty, queued) if self.queue.is_main else self._as_other()

    def _as_main(self, empty: Leaderboard, queued: Sequence[Candidate]) -> Iterator[Leaderboard]:
        board, is_cancelled = empty, False
        down: HubDownError | None = None
        last: HubDownError | None = None
        try:
            try:
                for turns in self.ranking.rounds(queued):
                    self._add(list(turns))
                    while self._open:
                        self._take_one()
                        for turn, outcome in self._answered():
                            down = down or (outcome if isinstance(outcome, HubDownError) else None)
                            board = self._board(board, turn, outcome)
                            yield board
            except RunCancelledError:
                is_cancelled = True
                self._answer()
                for turn, outcome in self._answered():
                    board = self._board(board, turn, outcome)
            before, board = board, self.ranking.ended(board, self.candidates)
            if is_cancelled or board is not before or board is empty:
                yield board
            last = None if is_cancelled or board.rows else down
        finally:
            self.queue.over(last or board)
        if last:
            raise last

    def _add(self, turns: Sequence[Turn]) -> None:
        """A round of the run, for all processes."""
        places = {candidate: place for place, candidate in enumerate(self.candidates)}
        pieces = [
            Piece(places[turn.candidate], len(turn.images), turn.n_new, turn.number, turn.files) for turn in turns
        ]
        first = self.queue.add(pieces)
        self._open, self._n_turns = dict(enumerate(turns, start=first)), len(turns)
        if turns:
            self.scoring.run.follower.begins_stage(len(turns), n_images=turns[0].n_new)

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
        """Do a turn, if there is one to do.

        Raises:
            RunCancelledError: nobody waits any more.
        """
        number, self._reserved = self._reserved, None
        # Another process may have done it, if this one did not beat for a while.
        number = number if number is not None and self.queue.is_still_mine(number) else self.queue.take()
        if number is None and self._scored is not None:
            self._answer()
            return
        if number is None:
            self.scoring.run.access.check_wanted()
            time.sleep(NAP_S)
            return
        turn, n_lost = self._turn(number), self.queue.n_takers(number) - 1
        if n_lost:  # a turn that ends this process takes no other with it
            self._answer()
        self.scoring.next_up = None if n_lost else self._reserve(turn)
        outputs = self.scoring.tried(turn) if n_lost < MOST_LOST else _deadly(turn.candidate, n_lost)
        self._answer()
        if self.scoring.is_beside and self._has_told:  # the first at once, which people await
            self._scored = self._thread.submit(self._score_and_tell, number, turn, outputs)
        else:
            self._score_and_tell(number, turn, outputs)
        if not self.scoring.is_beside:
            self.scoring.run.follower.ends()

    def _reserve(self, turn: Turn) -> Candidate | None:
        """Take the piece after a turn as well, where each process can have one: its network is loaded meanwhile."""
        if not self.scoring.is_beside or self.queue.n_left() < self.queue.n_processes:
            return None
        number = self.queue.take()
        if number is None:
            return None
        if self.queue.n_takers(number) > 1:  # maybe it ended the process that had it
            self.queue.give_back(number)
            return None
        self._reserved, reserved = number, self._turn(number)
        for each in (turn, reserved):  # in the order in which their files are needed
            if each.is_first:
                self.scoring.downloads.begin(each.candidate)
        return reserved.candidate

    def _answer(self) -> None:
        """Wait until it is told what came of the turn that is scored beside others, if there is one."""
        scored, self._scored = self._scored, None
        if scored is not None:
            scored.result()

    def _score_and_tell(self, number: int, turn: Turn, outputs: TurnOutputs | LeadHubError) -> None:
        self._tell(number, turn, self._outcome_of(outputs))

    def _tell(self, number: int, turn: Turn, outcome: Outcome) -> None:
        score = outcome.candidate.row.score if isinstance(outcome, ScoredTurn) else None
        self.scoring.downloads.scored(turn.candidate, score)
        self.queue.answer(number, outcome)
        self._has_told = True

    def _turn(self, number: int) -> Turn:
        """The turn that a piece stands for, and those that are left of its round."""
        if self.queue.is_main:
            turn = self._open[number]
            others = tuple(each.candidate for each in self._open.values() if each is not turn)
            return replace(turn, following=others, number=self._n_turns - len(others))
        pieces = [piece for piece in self.queue.works()[number:] if isinstance(piece, Piece)]
        piece, *following = pieces
        images, positions = self.ranking.images_of(piece.n_images)
        return Turn(
            self.candidates[piece.place],
            images,
            positions,
            n_new=piece.n_new,
            number=piece.number,
            following=tuple(self.candidates[each.place] for each in following),
            files=piece.files,
        )

    def _outcome_of(self, outputs: TurnOutputs | LeadHubError) -> Outcome:
        try:
            return outputs if isinstance(outputs, LeadHubError) else self.scoring.score(outputs)
        except RunCancelledError:
            raise
        except LeadHubError as error:
            return error

    def _answered(self) -> Iterator[tuple[Turn, Outcome]]:
        """The turns that have come to an end since this was asked last, and what came of them."""
        for number, outcome in self.queue.answers():
            assert isinstance(outcome, ScoredTurn | LeadHubError)
            turn = self._open.pop(number)
            self.scoring.run.follower.are_done(self._n_turns - len(self._open))
            yield turn, outcome

    def _board(self, board: Leaderboard, turn: Turn, outcome: Outcome) -> Leaderboard:
        """What came of the turns, in the candidates' own order, so that it is the same whoever was first."""
        if isinstance(outcome, ScoredTurn):
            try:
                board = guarded(partial(self.ranking.board, board, turn, outcome.candidate), stage="score")()
            except LeadHubError as error:
                outcome = error
            else:
                self.ranking.keep(turn, outcome)
                self.show(turn, outcome.candidate)
                return board
        if not turn.is_first:
            return self.ranking.fail(board, turn, str(outcome))
        skip = Skipped.because(turn.candidate.checkpoint, turn.candidate.revision, outcome)
        places = {(each.checkpoint, each.revision): place for place, each in enumerate(self.candidates)}
        skipped = sorted((*board.skipped, skip), key=lambda one: places.get((one.checkpoint, one.revision), -1))
        return replace(board, skipped=tuple(skipped))

"""A run of one process, or of several that share the images of each candidate: turn after turn, and a board for each.

Where passes are on another device, what came of a turn is scored and judged in a thread beside the passes of the next.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from lead_hub.candidates import Candidate
from lead_hub.errors import LeadHubError, RunCancelledError
from lead_hub.hub import HubDownError
from lead_hub.leaderboard import Leaderboard, Skipped
from lead_hub.processes import guarded, on_main_process
from lead_hub.recommendation.judging import ScoredCandidate
from lead_hub.recommendation.racing import Ranking, ScoredTurn, Turn
from lead_hub.recommendation.turn_scoring import TurnOutputs, TurnScoring


@dataclass(frozen=True, eq=False)
class TurnEnd:
    """The end of a turn.

    Attributes:
        turn: whose.
        outcome: what came of it, or why nothing did.
        board: with it.
    """

    turn: Turn
    outcome: ScoredTurn | LeadHubError
    board: Leaderboard


@dataclass(eq=False)
class RunInTurns:
    """The boards of a run.

    Attributes:
        scoring: of its turns.
        ranking: whose turn it is, and what the board is.
        candidates: in the order in which they enter.
        show: told, by the main process, what came of a turn.
        board: so far.
    """

    scoring: TurnScoring
    ranking: Ranking
    candidates: Sequence[Candidate]
    show: Callable[[Turn, ScoredCandidate], object]
    board: Leaderboard

    def boards(self) -> Generator[Leaderboard, None, None]:
        """A board after every turn; one at the least.

        Raises:
            HubDownError: after the last board, if the Hub did not answer and no candidate could be ranked without it.
        """
        is_told = False
        down: HubDownError | None = None
        try:
            for turns in self.ranking.rounds(self.candidates):
                for end in self._beside(turns) if self.scoring.is_beside else map(self._in_turn, turns):
                    outcome, candidate, is_told = end.outcome, end.turn.candidate, True
                    if isinstance(outcome, ScoredTurn):
                        self._show(end.turn, outcome)
                        self.scoring.downloads.scored(candidate, outcome.candidate.row.score)
                    else:
                        down = down or (outcome if isinstance(outcome, HubDownError) else None)
                        self.scoring.downloads.scored(candidate, None)
                    yield end.board
        except RunCancelledError:
            yield self.ranking.ended(self.board, self.candidates)
            return
        ended = self.ranking.ended(self.board, self.candidates)
        if not is_told or ended is not self.board:
            yield ended
        if down and not self.board.rows:
            raise down

    def _show(self, turn: Turn, outcome: ScoredTurn) -> None:
        if self.scoring.run.processes.is_main_process:
            self.show(turn, outcome.candidate)

    def _in_turn(self, turn: Turn) -> TurnEnd:
        end = self._end(turn, self.scoring.tried(turn))
        self.scoring.run.follower.ends()
        return end

    def _beside(self, turns: Iterator[Turn]) -> Iterator[TurnEnd]:
        """The ends of turns in their order, each after the passes of the next, but for the first row: at once.

        Raises:
            RunCancelledError: nobody waits any more; what had its passes is told before.
        """
        before: Future[TurnEnd] | None = None
        with ThreadPoolExecutor(1, "lead-hub-score") as thread:
            for turn in turns:
                try:
                    outputs = self.scoring.tried(turn)
                except RunCancelledError:
                    if before:
                        yield before.result()
                    raise
                if before:
                    yield before.result()
                is_waited_for = not self.board.rows
                before = thread.submit(self._end, turn, outputs)
                if is_waited_for:
                    yield before.result()
                    before = None
            if before:
                yield before.result()

    def _end(self, turn: Turn, outputs: TurnOutputs | LeadHubError) -> TurnEnd:
        """Score and judge; the board of the run has it from now on."""
        outcome: ScoredTurn | LeadHubError
        try:
            if isinstance(outputs, LeadHubError):
                raise outputs
            outcome = self.scoring.score(outputs)
            judge = partial(self.ranking.board, self.board, turn, outcome.candidate)
            board = on_main_process(guarded(judge, stage="score"), self.scoring.run.processes)
            self.ranking.keep(turn, outcome)
        except RunCancelledError:
            raise
        except LeadHubError as error:
            outcome, board = error, self._without(turn, error)
        self.board = board
        return TurnEnd(turn, outcome, board)

    def _without(self, turn: Turn, error: LeadHubError) -> Leaderboard:
        if turn.is_first:
            return self.board.with_skipped(Skipped.because(turn.candidate.checkpoint, turn.candidate.revision, error))
        return self.ranking.fail(self.board, turn, str(error))

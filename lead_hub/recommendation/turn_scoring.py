"""One turn of a run: a candidate's files, its outputs on the images of the turn, its scores."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch

from lead_hub.access import Access
from lead_hub.candidates import Candidate
from lead_hub.checkpoint_files import CheckpointFiles, Downloads
from lead_hub.errors import LeadHubError, RunCancelledError
from lead_hub.processes import Processes, guarded, on_every_process, on_main_process
from lead_hub.recommendation.judging import ScoredCandidate
from lead_hub.recommendation.progress import RunFollower
from lead_hub.recommendation.race_budget import SpentBudget
from lead_hub.recommendation.racing import ScoredTurn, Turn
from lead_hub.recommendation.scoring import from_card, scored_candidate
from lead_hub.recommendation.steps import FoundOutputs, OutputsOfImages, find_files
from lead_hub.score_cards import ScoreCards


@dataclass(frozen=True)
class RunEdges:
    """What a run meets on its way: the Hub and the disk, its other processes, whoever follows it, its budget."""

    access: Access
    processes: Processes
    follower: RunFollower
    spent: SpentBudget


@dataclass(frozen=True, eq=False)
class TurnOutputs:
    """What there is to score after a turn's passes.

    Attributes:
        turn: whose.
        files: of its candidate.
        found: what the candidate says of the images; its row, where a score card has it.
    """

    turn: Turn
    files: CheckpointFiles
    found: FoundOutputs | ScoredCandidate


@dataclass(eq=False)
class TurnScoring:
    """Scores the candidates of a run, one turn after the other.

    Attributes:
        run: its edges.
        outputs_of: what checkpoints say of the images.
        downloads: files of the candidates.
        cards: that may stand in for computing, if any.
        methods: names of the scores; the first one ranks.
        seed: of what a score draws.
        next_up: of candidates that several processes take, the one that this process has next, as far as it knows.
    """

    run: RunEdges
    outputs_of: OutputsOfImages
    downloads: Downloads
    cards: ScoreCards | None
    methods: Sequence[str]
    seed: int
    next_up: Candidate | None = None

    def __post_init__(self) -> None:
        # The very same: what is fetched again must fit into the part of the disk that is this process's.
        if self.run.processes.num_processes == 1:
            self.outputs_of.networks.downloads = self.downloads

    @property
    def is_beside(self) -> bool:
        """Whether turns are scored beside the passes of the next ones: not where those wait for what a score frees."""
        is_alone, limit = self.run.processes.num_processes == 1, self.downloads.max_disk_bytes
        return self.outputs_of.works_beside and is_alone and limit is None

    def tried(self, turn: Turn) -> TurnOutputs | LeadHubError:
        """`outputs`, or why there are none.

        Raises:
            RunCancelledError: nobody waits any more.
            Exception: whatever the caller's own function raised.
        """
        found: TurnOutputs | LeadHubError
        try:
            found = self.outputs(turn)
        except RunCancelledError:
            raise
        except LeadHubError as error:
            if self.run.follower.is_asking_caller:
                raise error.__cause__ or error from None
            found = error
        if self.is_beside:
            self.run.follower.ends()
        return found

    def outputs(self, turn: Turn) -> TurnOutputs:
        """What the candidate of a turn says of its images.

        Raises:
            LeadHubError: it cannot be run, or nobody waits any more.
        """
        candidate, follower, processes = turn.candidate, self.run.follower, self.run.processes
        begins = partial(follower.begins, candidate, following=turn.following, number=turn.number)
        begins = partial(begins, n_images=turn.n_new, ahead=turn.ahead)
        on_every_process(guarded(begins, stage="find"), processes)
        follower.reached("download")
        files = turn.files or self._files_of(candidate)
        card = on_every_process(guarded(partial(from_card, candidate, files, self.cards), stage="score"), processes)
        if card is not None:
            return TurnOutputs(turn, files, card)
        # Of several processes another one may be next to take what follows.
        following = next(iter(turn.following), None) if follower.n_sharing == 1 else self.next_up
        self.outputs_of.networks.following = following
        outputs = self.outputs_of.on(turn.positions, files, follower)
        follower.reached("score")
        return TurnOutputs(turn, files, outputs)

    def score(self, outputs: TurnOutputs) -> ScoredTurn:
        """What follows from a turn's outputs; of one process it may be asked in any thread.

        Raises:
            CandidateError: the score that ranks is undefined for them.
        """
        turn, files, found = outputs.turn, outputs.files, outputs.found
        if isinstance(found, ScoredCandidate):
            return ScoredTurn(found, files, is_whole=True)
        if self.is_beside:  # the device has the next one's passes, and its memory is for them
            found = replace(found, device=torch.device("cpu"))
        to_score = partial(scored_candidate, turn.candidate, files, found, methods=self.methods)
        to_score = partial(to_score, images=turn.images, seed=self.seed)
        scored = on_main_process(guarded(to_score, stage="score"), self.run.processes)
        return ScoredTurn(scored, files, is_whole=found.is_whole)

    def _files_of(self, candidate: Candidate) -> CheckpointFiles:
        return find_files(candidate, self.downloads, access=self.run.access, processes=self.run.processes)

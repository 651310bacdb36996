"""The whole path, from a dataset to a leaderboard: one record with every choice, and what carries it out.

images -> empty board -> for each candidate: files -> outputs -> scores -> judged board, or skipped with its reason
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

from lead_hub.access import Access, access_of
from lead_hub.candidates import Candidate, CandidateQuery, CandidateSource, IndexQuery, read_candidates
from lead_hub.checkpoint_files import CheckpointFiles, Downloads
from lead_hub.checkpoint_outputs import Dtype, ExtractionSettings
from lead_hub.errors import LeadHubError, RunCancelledError, ScoreError
from lead_hub.hub import Token
from lead_hub.labelled_images import DatasetQuery, LabelledImages
from lead_hub.leaderboard import Leaderboard
from lead_hub.processes import (
    OneProcess,
    Processes,
    on_every_process,
    on_main_process,
    running_processes,
)
from lead_hub.recommendation.board_rows import empty_board, find_cards
from lead_hub.recommendation.estimate import measured_speed, too_long_s
from lead_hub.recommendation.grouping import image_groups
from lead_hub.recommendation.judging import ScoredCandidate, calibration_of
from lead_hub.recommendation.one_signature import call_of
from lead_hub.recommendation.pictures import OnPictures, predicted_classes, sample_pictures
from lead_hub.recommendation.progress import OnProgress, RunFollower
from lead_hub.recommendation.race_budget import (
    AUTO,
    AUTO_BUDGET,
    RaceBudget,
    SpentBudget,
    parse_race_budget,
    parse_size,
)
from lead_hub.recommendation.race_entry import can_race, check_race, entrants
from lead_hub.recommendation.racing import FullRun, Race, Ranking, Turn
from lead_hub.recommendation.shared_run import SharedRun, longest_first, shared_queue, taken_in_turn
from lead_hub.recommendation.standing_elsewhere import known_standings, noted, with_standings
from lead_hub.recommendation.steps import OutputsOfImages, shared_images
from lead_hub.recommendation.turn_by_turn import RunInTurns
from lead_hub.recommendation.turn_scoring import RunEdges, TurnScoring
from lead_hub.recommendation.work_queue import WorkQueue
from lead_hub.transferability import SCORES


@dataclass(frozen=True)
class Recommendation:
    """Rank pretrained checkpoints by how well each would fine-tune on a labelled image dataset.

    Each checkpoint sees the same images of one split through its own image processor; nothing is trained. Outputs
    are kept on disk, so that a second run, or one after a kill, goes on where the first stopped. Started by
    `accelerate launch` or `torchrun`, many checkpoints are taken one by one by whichever process is free, and the main
    process gets the boards, the others the last one; few are run by all together, each on its part of the images.

    `for board in Recommendation("my-org/my-dataset")` gives a board after every checkpoint, and ending the loop
    ends the run; `recommend(...)` takes the same arguments and gives the last board, or with `stream=True` all of them.

    Attributes:
        dataset: Hub id, or path of an image folder, a parquet file or folder, or a `save_to_disk` folder.
        candidates: Hub ids (optionally "@revision"), checkpoint folders, folders of them, text files with one a
            line, a model index, an IndexQuery that takes a part of one, or a CandidateQuery that asks the Hub; None
            means this machine's own index after a `lead-hub crawl`, else the one that comes with lead-hub.
        score: a key of SCORES, or several, of which the first one ranks and the others stand beside it; images are
            run through each checkpoint once for all of them, and about five times more for "lead-network".
        config: configuration of the dataset, needed if it has several.
        split: the only split that is read. Leave the one that you will test on alone.
        image_column: needed if the dataset has several columns of images.
        label_column: needed if it is not clear which column holds the class.
        group_column: column that is the same for images of the same thing (one patient, one scene, one video): they are
            left out together, as copies of one picture are in any case.
        revision: branch, tag or commit of the dataset on the Hub.
        max_images: at most this many images are used, a seeded sample stratified by class.
        seed: of the sample and of whatever a score draws.
        batch_size: images a forward pass, or "auto"; halved when memory runs out.
        device: "auto", or a torch device such as "cpu" or "cuda:1".
        dtype: "auto" (bfloat16, on GPUs that emulate it float16, where that is clearly faster on this machine, else
            float32, as for a checkpoint that bears no other), "float32", "bfloat16" or "float16".
        cache_dir: keeps downloads, prepared data and outputs; None means the Hugging Face caches.
        token: Hub token; None means the Hub's own login, False nobody's, even where one is logged in.
        progress: show a bar on a terminal's standard error.
        allow_pickle: also accept weights as pickle files, loaded with `weights_only`.
        max_disk: the most that weights downloaded by this run may take on the disk, in bytes or as "20GB"; beyond it
            scored checkpoints are deleted again, the worst first, never what was there before.
        budget: what the run may cost: a time ("10min", "2h"), a size of downloads ("5GB"), or a share of the full run's
            forward passes ("20%"). The candidates then race: all see few images, and those that could be best see
            more, until all images or the end of the budget. Rows say on how many images they rest (`n_images`), and
            those on more stand above those on fewer. Needs a score whose chances are calibrated, which "lead" is.
            "auto" is None where the full run is estimated to take at most 15 minutes here, or there can be no race,
            else "15min"; which of them, the board's settings say.
        reuse_cards: a dataset repository of score cards, "me/lead-scores": a card of the same checkpoint commit,
            dataset commit, sample and score stands in for computing, and its row says so; only where one score is
            asked for.
        cancelled: asked between batches of images and while files are on the way, for example an Event's `is_set`: once
            it returns True the run ends, with the board so far. While the dataset is still read there is none: a loop
            then ends without a board, and `recommend` without `stream` raises RunCancelledError.
        on_progress: told after every step and every batch of images where the run is, by the thread that asks for the
            next board; in several processes, by each.
        on_race: told once, by the main process alone, where budget="auto" is a race: about how many seconds the full
            run would take.
        on_pictures: told, by the main process alone, what there is to look at: small pictures of the images
            (`SamplePictures`), then of every checkpoint what it takes each image for (`PredictedClasses`). No board
            holds a picture.

    Raises:
        DatasetError: the dataset cannot be used; the message lists what there is.
        CandidateError: the source of candidates cannot be read, or names none.
        ScoreError: `score` is not, or not only, made of keys of SCORES.
        HubError: the Hub refused the dataset or the score cards, or cannot be reached.
        LeadHubError: `max_disk` is no size, or `budget` none of these, or not for this score, or one of time that was
            over while the images were read.
        RunCancelledError: cancelled while the dataset was read, and only the last board is asked for.
    """

    dataset: str | Path
    candidates: CandidateSource | Iterable[CandidateSource] | None = None
    score: str | Iterable[str] = "lead"
    _: KW_ONLY
    config: str | None = None
    split: str = "train"
    image_column: str | None = None
    label_column: str | None = None
    group_column: str | None = None
    revision: str | None = None
    max_images: int = 2000
    seed: int = 0
    batch_size: int | Literal["auto"] = "auto"
    device: str = "auto"
    dtype: Dtype = "auto"
    cache_dir: str | Path | None = None
    token: Token = field(default=None, repr=False)
    progress: bool = True
    allow_pickle: bool = False
    max_disk: int | str | None = None
    budget: str | None = None
    reuse_cards: str | None = None
    cancelled: Callable[[], bool] | None = None
    on_progress: OnProgress | None = None
    on_race: Callable[[float], object] | None = None
    on_pictures: OnPictures | None = None

    def __post_init__(self) -> None:
        # What is given as an iterator can be read once only; the record keeps what it gave.
        if not isinstance(self.candidates, (str, Path, Candidate, CandidateQuery, IndexQuery, type(None))):
            object.__setattr__(self, "candidates", tuple(self.candidates))
        methods = (self.score,) if isinstance(self.score, str) else tuple(self.score)
        object.__setattr__(self, "score", methods)
        if not methods or len(set(methods)) < len(methods):
            raise ScoreError(f"score must name at least one score, each once, found {list(methods)}")
        for method in methods:
            if method not in SCORES:
                raise ScoreError(f"score must be one of {', '.join(SCORES)}, found {method!r}")
        # Each is checked as it is made.
        _ = self.query, self.extraction, self.max_disk_bytes
        if self.race_budget is not None:
            check_race(methods, reuse_cards=self.reuse_cards)

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the scores; the first one ranks."""
        return tuple(self.score)

    @property
    def query(self) -> DatasetQuery:
        """Which images the checkpoints are ranked on."""
        return DatasetQuery(
            dataset=str(self.dataset),
            config=self.config,
            split=self.split,
            image_column=self.image_column,
            label_column=self.label_column,
            revision=self.revision,
            max_images=self.max_images,
            seed=self.seed,
            group_column=self.group_column,
        )

    @property
    def extraction(self) -> ExtractionSettings:
        """How the forward passes are run."""
        return ExtractionSettings(batch_size=self.batch_size, device=self.device, dtype=self.dtype)

    @property
    def access(self) -> Access:
        """As whom the Hub is asked, and where things are kept."""
        return access_of(
            cache_dir=self.cache_dir,
            token=self.token,
            allow_pickle=self.allow_pickle,
            progress=self.progress,
            cancelled=self.cancelled,
        )

    @property
    def max_disk_bytes(self) -> int | None:
        """The most that weights downloaded by this run may take."""
        return parse_size(self.max_disk)

    @property
    def race_budget(self) -> RaceBudget | None:
        """What the run may cost; None for all candidates on all images, and for "auto" until it is decided."""
        return None if self.budget == AUTO else parse_race_budget(self.budget)

    @property
    def settings(self) -> dict[str, str | int | None]:
        """What a leaderboard keeps of the choices; never the token."""
        names = ("seed", "max_images", "batch_size", "device", "dtype", "allow_pickle")
        settings = {name: getattr(self, name) for name in names}
        # Only where it is named, so that a score card of a run without it is the same as ever.
        named = {"group_column": self.group_column, "budget": self.budget}
        return {**settings, **{name: value for name, value in named.items() if value is not None}}

    @property
    def last_board(self) -> Leaderboard:
        """The board when every candidate has been tried."""
        last = deque(self, maxlen=1)
        if not last:
            raise RunCancelledError("the run was cancelled while its dataset was read: there is no board yet")
        return last.pop()

    def __iter__(self) -> Iterator[Leaderboard]:
        """A board after every candidate; once cancelled, the board so far as the last one, none while images are read.

        Raises:
            HubDownError: after the last board, if the Hub did not answer and no candidate could be ranked without it.
        """
        access = self.access
        return self._ranked(read_candidates(self.candidates, api=access.api), access)

    def _ranked(self, candidates: Sequence[Candidate], access: Access) -> Iterator[Leaderboard]:
        processes = running_processes()
        spent = SpentBudget(self.race_budget, n_candidates=len(candidates))
        ends: list[Callable[[], bool]] = [access.cancelled, lambda: spent.is_time_over]
        access = replace(access, cancelled=lambda: any(is_over() for is_over in ends))
        follower = RunFollower(
            len(candidates), access=access, on_progress=self.on_progress, budget_left_s=lambda: spent.left_s
        )
        follower.reads_dataset()
        with ExitStack() as stack:
            try:
                images = stack.enter_context(shared_images(self.query, access, processes))
                find_groups = partial(image_groups, images, self.methods, group_column=self.group_column, access=access)
                images = on_main_process(find_groups, processes).of(images)
                if self.on_pictures is not None and processes.is_main_process:
                    self.on_pictures(sample_pictures(images))
                known = on_main_process(partial(known_standings, access, images if self.budget else None), processes)
            except RunCancelledError as error:
                if spent.is_time_over and not ends[0]():
                    raise LeadHubError(
                        f"the budget of {self.budget} must be more than it takes to read the images, and was over while"
                        " they were read: give more time, or take fewer images with max_images"
                    ) from error
                return
            candidates = with_standings(candidates, *known, dataset=images.dataset)
            run = RunEdges(access, processes, follower, spent)
            decided = self._decided(images, candidates, run)
            extraction = decided.extraction.agreed(processes)
            limits = {"is_race": decided.budget is not None, "has_disk_limit": self.max_disk is not None}
            queue = shared_queue(candidates, processes, **limits)
            if queue is not None:  # of which one clock ends all
                ends[:] = [*ends, queue.is_over] if queue.is_main else [ends[0], queue.is_over]
            yield from decided._ranked_on(images, candidates, run, extraction=extraction, queue=queue)

    def _decided(self, images: LabelledImages, candidates: Sequence[Candidate], run: RunEdges) -> "Recommendation":
        """This run, where "auto" is a race or the full run, as the main process says for all."""
        if self.budget != AUTO:
            return self
        full = replace(self, budget=None)
        if not can_race(self.methods, reuse_cards=self.reuse_cards):
            return full
        device, processes = self.extraction.torch_device(run.processes).type, run.processes
        ask = partial(too_long_s, candidates, n_images=len(images), get_speed=partial(measured_speed, device))
        full_s = on_main_process(partial(ask, n_processes=processes.num_processes), processes)
        if full_s is None:
            return full
        run.spent.becomes(AUTO_BUDGET)
        if self.on_race is not None and processes.is_main_process:
            self.on_race(full_s)
        return replace(self, budget=AUTO_BUDGET.text)

    def _ranked_on(
        self,
        images: LabelledImages,
        candidates: Sequence[Candidate],
        run: RunEdges,
        *,
        extraction: ExtractionSettings,
        queue: WorkQueue | None,
    ) -> Iterator[Leaderboard]:
        board = empty_board(images, self.methods[0], settings=self.settings, n_candidates=len(candidates))
        access = run.access
        # Those that each turn waits for.
        processes = run.processes if queue is None else OneProcess(run.processes.device)
        try:
            board, candidates, ranking = self._begin(board, images, candidates, run, processes)
        except RunCancelledError:
            yield board
            return
        run = replace(run, processes=processes)
        outputs_of = OutputsOfImages(
            images,
            extraction,
            access=access,
            processes=processes,
            with_network_kernel=any("network_kernel" in SCORES[name].needs_kernels for name in self.methods),
            shares_images=queue is not None,
        )
        cards = on_every_process(partial(find_cards, self.reuse_cards, board, self.methods, access=access), processes)

        def needs_weights(candidate: Candidate, files: CheckpointFiles) -> bool:
            is_on_card = cards is not None and cards.find(checkpoint=candidate.checkpoint, sha=files.sha) is not None
            return not is_on_card and not outputs_of.are_kept(files)

        # A race lets the most promising have their turn first, whoever is free.
        queued = candidates if queue is None or self.budget is not None else longest_first(candidates)
        downloads = Downloads(queued, access, needs_weights, self.max_disk_bytes)
        downloads = taken_in_turn(downloads, queue) if queue else downloads
        is_main = queue.is_main if queue else processes.is_main_process
        scoring = TurnScoring(run, outputs_of, downloads, cards, methods=self.methods, seed=self.seed)
        with (
            outputs_of.networks.running(),
            downloads.running() if processes.is_local_main_process else nullcontext(),
            run.follower.ranks(n_images=len(images), device=str(outputs_of.device), shown=is_main and access.progress),
        ):
            if queue is None:
                boards = RunInTurns(scoring, ranking, candidates, self._show_left_out, board).boards()
            else:
                boards = SharedRun(queue, scoring, ranking, candidates, self._show_left_out).boards(board, queued)
            yield from noted(boards, ranking.on_same_images, images, access) if is_main else boards

    def _show_left_out(self, turn: Turn, one: ScoredCandidate) -> None:
        if self.on_pictures and (told := predicted_classes(one.row.sha, turn.images, one.images)) is not None:
            self.on_pictures(told)

    def _begin(
        self,
        board: Leaderboard,
        images: LabelledImages,
        candidates: Sequence[Candidate],
        run: RunEdges,
        of_turns: Processes,
    ) -> tuple[Leaderboard, Sequence[Candidate], Ranking]:
        """The board before the first turn, the candidates in the order in which they enter, and whose turn it is."""
        calibration, budget = calibration_of(board, run.access), self.race_budget
        if budget is None or calibration is None:
            return board, candidates, FullRun(images, calibration, candidates, seed=self.seed)
        race = Race(images, calibration, seed=self.seed, spent=run.spent, processes=of_turns)
        entering, left_out = on_main_process(partial(entrants, candidates, budget, run.access), run.processes)
        return replace(board, skipped=left_out), entering, race


recommend = call_of(Recommendation)

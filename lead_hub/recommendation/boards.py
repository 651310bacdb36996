"""The run itself: images, then candidate after candidate, a board after each."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from accelerate import PartialState
from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]  # public, exported lazily

from lead_hub.candidates import Candidate
from lead_hub.checkpoint_files import CheckpointFiles, Downloads, fetch_weights, find_checkpoint
from lead_hub.checkpoint_outputs import cache_key, extract, load_checkpoint, versions
from lead_hub.errors import CandidateError, RunCancelledError
from lead_hub.hub import HubDownError
from lead_hub.labelled_images import LabelledImages, load_labelled_images
from lead_hub.leaderboard import Leaderboard, Skipped, read_row
from lead_hub.processes import first_on_each_node, on_every_process, on_main_process, running_processes, shared_folder
from lead_hub.recommendation.board_rows import ranked_checkpoint, ranked_dataset
from lead_hub.recommendation.judging import ScoredCandidate, judged_board, scored_images
from lead_hub.recommendation.progress import RunProgress, Stage
from lead_hub.recommendation.run import Run
from lead_hub.recommendation.scoring import score_outputs
from lead_hub.score_cards import ScoreCards, load_cards
from lead_hub.transferability import SCORES


@dataclass(frozen=True)
class Setting:
    """What stays the same from candidate to candidate."""

    run: Run
    images: LabelledImages
    state: PartialState
    downloads: Downloads
    device: torch.device
    dtype: torch.dtype
    cards: ScoreCards | None


def stream_boards(run: Run) -> Iterator[Leaderboard]:
    """A board after every candidate; once cancelled, the board so far as the last one, none while images are read.

    Raises:
        HubDownError: after the last board, if the Hub did not answer and no candidate could be ranked without it.
    """
    state = running_processes()
    run.on_progress(RunProgress("dataset", n_candidates=len(run.candidates)))
    with shared_folder(state) as folder:
        try:
            images = first_on_each_node(lambda: load_images(run, folder), state)
        except RunCancelledError:
            return
        with closing(images):
            yield from boards_on(images, run, state)


def boards_on(images: LabelledImages, run: Run, state: PartialState) -> Iterator[Leaderboard]:
    """The boards of a run whose images are there."""
    board = empty_board(run, images)
    device = run.extraction.torch_device(state)
    dtype = run.extraction.torch_dtype(device)

    cards = on_every_process(lambda: find_cards(run, board), state)

    def needs_weights(candidate: Candidate, files: CheckpointFiles) -> bool:
        if cards and cards.find(checkpoint=candidate.checkpoint, sha=files.sha):
            return False
        return not run.cache.path(cache_key(files, images, dtype=dtype)).is_file()

    downloads = Downloads(run.candidates, run.hub_cache, needs_weights, run.max_disk_bytes, run.cancelled)
    n_images = len(images.labels)
    silent = None if run.progress and state.is_main_process else True  # None: silent unless on a terminal
    down: HubDownError | None = None
    scored: list[ScoredCandidate] = []
    with (
        downloads.running() if state.is_local_main_process else nullcontext(),
        tqdm(total=n_images * len(run.candidates), unit="image", disable=silent) as bar,  # type: ignore[no-untyped-call]
    ):
        setting = Setting(run, images, state, downloads, device, dtype, cards)
        for number, candidate in enumerate(run.candidates):
            bar.set_description(f"{number + 1}/{len(run.candidates)} {candidate.checkpoint}")
            score: float | None = None
            try:
                scored.append(score_candidate(number, setting, advance=bar.update))
                score = scored[-1].row.score
                board = on_main_process(partial(judged_board, board, scored, images, seed=run.query.seed), state)
            except RunCancelledError:
                yield board
                return
            except (CandidateError, HubDownError) as error:
                down = down or (error if isinstance(error, HubDownError) else None)
                stage = error.stage if isinstance(error, CandidateError) else "download"
                board = board.with_skipped(Skipped(candidate.checkpoint, candidate.revision, stage, str(error)))
            downloads.scored(number, score)
            bar.update((number + 1) * n_images - bar.n)
            yield board
    if down and not board.rows:
        raise down


def empty_board(run: Run, images: LabelledImages) -> Leaderboard:
    """The board before the first candidate."""
    return Leaderboard(
        dataset=ranked_dataset(images),
        method=run.method,
        rows=(),
        skipped=(),
        settings=run.settings,
        versions=versions(),
        n_candidates=len(run.candidates),
        method_version=SCORES[run.method].version,
    )


def find_cards(run: Run, board: Leaderboard) -> ScoreCards | None:
    """The score cards that may stand in for computing, if the run asks for any; a card holds one score."""
    if run.reuse_cards is None or len(run.methods) > 1:
        return None
    dataset = dataclasses.asdict(board.dataset)
    version = board.method_version
    return load_cards(run.reuse_cards, api=run.api, dataset=dataset, method=run.method, method_version=version)


def load_images(run: Run, decoded_folder: Path | None) -> LabelledImages:
    """The images of the run's query."""
    return load_labelled_images(
        run.query,
        decoded_folder=decoded_folder,
        cache_dir=run.cache_dir / "datasets" if run.cache_dir else None,
        token=run.token,
        progress=run.progress,
        cancelled=run.cancelled,
    )


def find_files(number: int, setting: Setting) -> CheckpointFiles:
    """The candidate's files: downloaded by one process of each machine, found in the cache by its others."""
    state, candidate = setting.state, setting.run.candidates[number]
    downloaded = on_every_process(
        lambda: setting.downloads.take(number) if state.is_local_main_process else None, state
    )
    sha = on_main_process(lambda: downloaded.sha if downloaded else "", state)
    pinned = candidate if candidate.folder else replace(candidate, revision=sha)
    return on_every_process(lambda: downloaded or find_checkpoint(pinned, cache=setting.run.hub_cache), state)


class CandidateFollower:
    """Tells the run's follower of one candidate, step by step."""

    def __init__(self, number: int, setting: Setting) -> None:
        self._setting, self._number = setting, number
        self._stage: Stage = "download"
        self._n_images = 0
        self._since = time.perf_counter()

    def reached(self, stage: Stage) -> None:
        self._stage, self._since = stage, time.perf_counter()
        self._tell()

    def advance(self, n_images: int) -> None:
        if n_images:
            self._n_images += n_images
            self._tell()

    def _tell(self) -> None:
        setting, n_images = self._setting, self._n_images
        is_running = self._stage == "extract" and n_images > 0
        progress = RunProgress(
            self._stage,
            checkpoint=setting.run.candidates[self._number].checkpoint,
            number=self._number + 1,
            n_candidates=len(setting.run.candidates),
            n_images=n_images,
            total_images=len(setting.images.labels),
            images_per_s=n_images / (time.perf_counter() - self._since) if is_running else None,
            device=str(setting.device),
        )
        setting.run.on_progress(progress)


def score_candidate(number: int, setting: Setting, *, advance: Callable[[int], object]) -> ScoredCandidate:
    """One candidate's score: find its files, take its outputs from the cache or extract them, score them.

    Raises:
        CandidateError: any of that failed; the error knows the stage.
        HubDownError: the Hub does not answer, and the cache has no copy.
        RunCancelledError: the caller wants no more.
    """
    run, images, state = setting.run, setting.images, setting.state
    candidate = run.candidates[number]
    follower = CandidateFollower(number, setting)

    def go_on(n_images: int = 0) -> None:
        advance(n_images)
        follower.advance(n_images)
        if run.cancelled():
            raise RunCancelledError("the run is over")

    on_every_process(go_on, state)
    follower.reached("download")
    files = find_files(number, setting)
    if setting.cards and (card := setting.cards.find(checkpoint=candidate.checkpoint, sha=files.sha)):
        return ScoredCandidate(read_row({**card, "revision": candidate.revision}))
    key = on_every_process(lambda: cache_key(files, images, dtype=setting.dtype), state)
    outputs = run.cache.read(key, n_images=len(images.labels)) if state.is_main_process else None
    images_per_s: float | None = None
    if on_main_process(lambda: outputs is None, state):
        # The weights are there already, unless another run's limit on the disk, or a damaged file, came in between.
        on_every_process(lambda: fetch_weights(files, cache=run.hub_cache), state)
        follower.reached("load")
        checkpoint = on_every_process(lambda: load_checkpoint(files.folder, allow_pickle=run.allow_pickle), state)
        follower.reached("extract")
        start = time.perf_counter()
        outputs = extract(checkpoint, images.pixels, state=state, settings=run.extraction, advance=go_on)
        images_per_s = len(images.labels) / (time.perf_counter() - start)
        if state.is_main_process:
            run.cache.write(key, outputs)

    follower.reached("score")

    def scored() -> ScoredCandidate:
        assert outputs is not None  # the main process, which runs this, has read or extracted them
        scores = score_outputs(outputs, images, candidate=candidate, run=run, device=setting.device)
        row = ranked_checkpoint(
            candidate, files, outputs, score=scores.ranking, images_per_s=images_per_s, images=images
        )
        note = "; ".join(filter(None, (row.note, scores.undefined)))
        return ScoredCandidate(
            replace(row, other_scores=scores.others, note=note), images=scored_images(scores.ranking)
        )

    return on_main_process(scored, state)

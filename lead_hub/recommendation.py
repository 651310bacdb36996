"""recommend(): the whole path, from a dataset to a leaderboard. Read this first; every step is a module of its own.

dataset id -> LabelledImages -> Candidate... -> CheckpointOutputs -> score -> Leaderboard
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, overload

import torch
from accelerate import PartialState
from huggingface_hub import HfApi
from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]  # public, exported lazily

from lead_hub.candidates import Candidate, CandidateSource, read_candidates
from lead_hub.checkpoint_files import fetch_checkpoint
from lead_hub.checkpoint_outputs import CheckpointOutputs
from lead_hub.errors import CandidateError, ScoreError
from lead_hub.extraction import Dtype, ExtractionSettings, extract
from lead_hub.labelled_images import DatasetQuery, LabelledImages, load_labelled_images
from lead_hub.leaderboard import Leaderboard, RankedCheckpoint, Skipped
from lead_hub.loaded_checkpoint import load_checkpoint
from lead_hub.outputs_cache import OutputsCache, default_cache_folder
from lead_hub.processes import first_on_each_node, on_every_process, on_main_process, running_processes, shared_folder
from lead_hub.provenance import cache_key, lead_hub_version, ranked_checkpoint, ranked_dataset, versions
from lead_hub.transferability import SCORES, TransferabilityScore, transferability


@dataclass(frozen=True)
class Run:
    """One call of `recommend`, checked, before anything is read."""

    query: DatasetQuery
    candidates: list[Candidate]
    method: str
    extraction: ExtractionSettings
    cache_dir: Path | None
    token: str | None
    progress: bool
    allow_pickle: bool

    def __post_init__(self) -> None:
        if self.method not in SCORES:
            raise ScoreError(f"score must be one of {', '.join(SCORES)}, found {self.method!r}")

    @property
    def api(self) -> HfApi:
        return HfApi(token=self.token, library_name="lead_hub", library_version=lead_hub_version())

    @property
    def cache(self) -> OutputsCache:
        return OutputsCache(self.cache_dir / "outputs" if self.cache_dir else default_cache_folder())

    @property
    def settings(self) -> dict[str, str | int | None]:
        """What a leaderboard keeps of the call; never the token."""
        return {
            "seed": self.query.seed,
            "max_images": self.query.max_images,
            "batch_size": self.extraction.batch_size,
            "device": self.extraction.device,
            "dtype": self.extraction.dtype,
            "allow_pickle": self.allow_pickle,
        }


@overload
def recommend(
    dataset: str | Path,
    candidates: CandidateSource | Iterable[CandidateSource] | None = ...,
    score: str = ...,
    *,
    stream: Literal[False] = ...,
    config: str | None = ...,
    split: str = ...,
    image_column: str | None = ...,
    label_column: str | None = ...,
    revision: str | None = ...,
    max_images: int = ...,
    seed: int = ...,
    batch_size: int | Literal["auto"] = ...,
    device: str = ...,
    dtype: Dtype = ...,
    cache_dir: str | Path | None = ...,
    token: str | None = ...,
    progress: bool = ...,
    allow_pickle: bool = ...,
) -> Leaderboard: ...


@overload
def recommend(
    dataset: str | Path,
    candidates: CandidateSource | Iterable[CandidateSource] | None = ...,
    score: str = ...,
    *,
    stream: Literal[True],
    config: str | None = ...,
    split: str = ...,
    image_column: str | None = ...,
    label_column: str | None = ...,
    revision: str | None = ...,
    max_images: int = ...,
    seed: int = ...,
    batch_size: int | Literal["auto"] = ...,
    device: str = ...,
    dtype: Dtype = ...,
    cache_dir: str | Path | None = ...,
    token: str | None = ...,
    progress: bool = ...,
    allow_pickle: bool = ...,
) -> Iterator[Leaderboard]: ...


def recommend(  # noqa: PLR0913 - the one call that users see carries every choice that they may make
    dataset: str | Path,
    candidates: CandidateSource | Iterable[CandidateSource] | None = None,
    score: str = "lead",
    *,
    stream: bool = False,
    config: str | None = None,
    split: str = "train",
    image_column: str | None = None,
    label_column: str | None = None,
    revision: str | None = None,
    max_images: int = 2000,
    seed: int = 0,
    batch_size: int | Literal["auto"] = "auto",
    device: str = "auto",
    dtype: Dtype = "auto",
    cache_dir: str | Path | None = None,
    token: str | None = None,
    progress: bool = True,
    allow_pickle: bool = False,
) -> Leaderboard | Iterator[Leaderboard]:
    """Rank pretrained checkpoints by how well each would fine-tune on a labelled image dataset.

    Each checkpoint sees the same images of one split through its own image processor; nothing is trained. Outputs
    are kept on disk, so that a second call, or one after a kill, goes on where the first stopped. Started by
    `accelerate launch` or `torchrun`, the images are split over all processes and each returns the same board.

    Args:
        dataset: Hub id, or path of an image folder, a parquet file or folder, or a `save_to_disk` folder.
        candidates: Hub ids (optionally "@revision"), checkpoint folders, folders of them, text files with one a
            line, or a model index; None means the index that comes with lead-hub.
        score: a key of SCORES.
        stream: return an iterator that yields a board after every checkpoint; closing it stops the run.
        config: configuration of the dataset, needed if it has several.
        split: the only split that is read. Leave the one that you will test on alone.
        image_column: needed if the dataset has several columns of images.
        label_column: needed if it is not clear which column holds the class.
        revision: branch, tag or commit of the dataset on the Hub.
        max_images: at most this many images are used, a seeded sample stratified by class.
        seed: of the sample and of whatever a score draws.
        batch_size: images a forward pass, or "auto"; halved when memory runs out.
        device: "auto", or a torch device such as "cpu" or "cuda:1".
        dtype: "auto" (bfloat16 or float16 on a GPU, float32 elsewhere), "float32", "bfloat16" or "float16".
        cache_dir: keeps downloads, prepared data and outputs; None means the Hugging Face caches.
        token: Hub token; None means the Hub's own login.
        progress: show a bar on a terminal's standard error.
        allow_pickle: also accept weights as pickle files, loaded with `weights_only`.

    Returns:
        A Leaderboard, best first. Checkpoints that could not be scored are in its `skipped`, with the reason.

    Raises:
        DatasetError: the dataset cannot be used; the message lists what there is.
        CandidateError: the source of candidates cannot be read, or names none.
        ScoreError: `score` is no key of SCORES.
        HubError: the Hub refused the dataset or cannot be reached.
    """
    run = Run(
        query=DatasetQuery(
            dataset=str(dataset),
            config=config,
            split=split,
            image_column=image_column,
            label_column=label_column,
            revision=revision,
            max_images=max_images,
            seed=seed,
        ),
        candidates=read_candidates(candidates),
        method=score,
        extraction=ExtractionSettings(batch_size=batch_size, device=device, dtype=dtype),
        cache_dir=Path(cache_dir).expanduser() if cache_dir is not None else None,
        token=token,
        progress=progress,
        allow_pickle=allow_pickle,
    )
    boards = stream_boards(run)
    return boards if stream else deque(boards, maxlen=1).pop()


def stream_boards(run: Run) -> Iterator[Leaderboard]:
    """A board after every candidate."""
    state = running_processes()
    with shared_folder(state) as folder, closing(first_on_each_node(lambda: load_images(run, folder), state)) as images:
        board = Leaderboard(
            dataset=ranked_dataset(images),
            method=run.method,
            rows=(),
            skipped=(),
            settings=run.settings,
            versions=versions(),
            n_candidates=len(run.candidates),
        )
        n_images = len(images.labels)
        silent = None if run.progress and state.is_main_process else True  # None: silent unless on a terminal
        with tqdm(total=n_images * len(run.candidates), unit="image", disable=silent) as bar:  # type: ignore[no-untyped-call]
            for number, candidate in enumerate(run.candidates, start=1):
                bar.set_description(f"{number}/{len(run.candidates)} {candidate.checkpoint}")
                try:
                    row = score_candidate(candidate, images, run=run, state=state, advance=bar.update)
                    board = board.with_row(row)
                except CandidateError as error:
                    skipped = Skipped(candidate.checkpoint, candidate.revision, stage=error.stage, reason=str(error))
                    board = board.with_skipped(skipped)
                bar.update(number * n_images - bar.n)
                yield board


def load_images(run: Run, decoded_folder: Path | None) -> LabelledImages:
    """The images of the run's query."""
    return load_labelled_images(
        run.query,
        decoded_folder=decoded_folder,
        cache_dir=run.cache_dir / "datasets" if run.cache_dir else None,
        token=run.token,
        progress=run.progress,
    )


def score_candidate(
    candidate: Candidate, images: LabelledImages, *, run: Run, state: PartialState, advance: Callable[[int], object]
) -> RankedCheckpoint:
    """One candidate's row: find its files, take its outputs from the cache or extract them, score them.

    Raises:
        CandidateError: any of that failed; the error knows the stage.
    """
    hub_cache = run.cache_dir / "hub" if run.cache_dir else None
    files = on_every_process(
        lambda: fetch_checkpoint(candidate, api=run.api, cache_dir=hub_cache, allow_pickle=run.allow_pickle), state
    )
    device = run.extraction.torch_device(state)
    dtype = run.extraction.torch_dtype(device)
    key = on_every_process(lambda: cache_key(files, images, dtype=dtype), state)
    outputs = run.cache.read(key, n_images=len(images.labels)) if state.is_main_process else None
    images_per_s: float | None = None
    if on_main_process(lambda: outputs is None, state):
        checkpoint = on_every_process(lambda: load_checkpoint(files.folder, allow_pickle=run.allow_pickle), state)
        start = time.perf_counter()
        outputs = extract(checkpoint, images.pixels, state=state, settings=run.extraction, advance=advance)
        images_per_s = len(images.labels) / (time.perf_counter() - start)
        if state.is_main_process:
            run.cache.write(key, outputs)

    def row() -> RankedCheckpoint:
        assert outputs is not None  # the main process, which runs this, has read or extracted them
        score = score_outputs(outputs, images, run=run, device=device)
        return ranked_checkpoint(candidate, files, outputs, score=score, images_per_s=images_per_s)

    return on_main_process(row, state)


def score_outputs(
    outputs: CheckpointOutputs, images: LabelledImages, *, run: Run, device: torch.device
) -> TransferabilityScore:
    """The run's score of one checkpoint's outputs, on the GPU where there is one (float64, so not on others)."""
    place = device if device.type == "cuda" else torch.device("cpu")
    try:
        return transferability(
            outputs.features.to(place),
            torch.from_numpy(images.labels),
            run.method,
            logits=None if outputs.logits is None else outputs.logits.to(place),
            seed=run.query.seed,
        )
    except ScoreError as error:
        raise CandidateError(str(error), stage="score") from error

"""recommend(): the whole path, from a dataset to a leaderboard. Read this first; every step is a module of its own.

dataset id -> LabelledImages -> Candidate... -> CheckpointOutputs -> score -> Leaderboard
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal, overload

from lead_hub.candidates import CandidateSource, read_candidates
from lead_hub.checkpoint_outputs import Dtype, ExtractionSettings
from lead_hub.errors import RunCancelledError
from lead_hub.hub import Token, hub_api
from lead_hub.labelled_images import DatasetQuery
from lead_hub.leaderboard import Leaderboard
from lead_hub.recommendation.boards import stream_boards
from lead_hub.recommendation.estimate import RunEstimate, estimate_run
from lead_hub.recommendation.progress import RunProgress
from lead_hub.recommendation.run import Run, ignore, parse_size

__all__ = ["RunEstimate", "RunProgress", "estimate_run", "recommend"]


@overload
def recommend(
    dataset: str | Path,
    candidates: CandidateSource | Iterable[CandidateSource] | None = ...,
    score: str | Iterable[str] = ...,
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
    token: Token = ...,
    progress: bool = ...,
    allow_pickle: bool = ...,
    max_disk: int | str | None = ...,
    reuse_cards: str | None = ...,
    cancelled: Callable[[], bool] | None = ...,
    on_progress: Callable[[RunProgress], object] | None = ...,
) -> Leaderboard: ...


@overload
def recommend(
    dataset: str | Path,
    candidates: CandidateSource | Iterable[CandidateSource] | None = ...,
    score: str | Iterable[str] = ...,
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
    token: Token = ...,
    progress: bool = ...,
    allow_pickle: bool = ...,
    max_disk: int | str | None = ...,
    reuse_cards: str | None = ...,
    cancelled: Callable[[], bool] | None = ...,
    on_progress: Callable[[RunProgress], object] | None = ...,
) -> Iterator[Leaderboard]: ...


def recommend(  # noqa: PLR0913 - the one call that users see carries every choice that they may make
    dataset: str | Path,
    candidates: CandidateSource | Iterable[CandidateSource] | None = None,
    score: str | Iterable[str] = "lead",
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
    token: Token = None,
    progress: bool = True,
    allow_pickle: bool = False,
    max_disk: int | str | None = None,
    reuse_cards: str | None = None,
    cancelled: Callable[[], bool] | None = None,
    on_progress: Callable[[RunProgress], object] | None = None,
) -> Leaderboard | Iterator[Leaderboard]:
    """Rank pretrained checkpoints by how well each would fine-tune on a labelled image dataset.

    Each checkpoint sees the same images of one split through its own image processor; nothing is trained. Outputs
    are kept on disk, so that a second call, or one after a kill, goes on where the first stopped. Started by
    `accelerate launch` or `torchrun`, the images are split over all processes and each returns the same board.

    Args:
        dataset: Hub id, or path of an image folder, a parquet file or folder, or a `save_to_disk` folder.
        candidates: Hub ids (optionally "@revision"), checkpoint folders, folders of them, text files with one a
            line, a model index, an IndexQuery that takes a part of one, or a CandidateQuery that asks the Hub; None
            means this machine's own index after a `lead-hub crawl`, else the one that comes with lead-hub.
        score: a key of SCORES, or several, of which the first one ranks and the others stand beside it; images are
            run through each checkpoint once for all of them.
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
        token: Hub token; None means the Hub's own login, False nobody's, even where one is logged in.
        progress: show a bar on a terminal's standard error.
        allow_pickle: also accept weights as pickle files, loaded with `weights_only`.
        max_disk: the most that weights downloaded by this run may take on the disk, in bytes or as "20GB"; beyond it
            scored checkpoints are deleted again, the worst first, never what was there before.
        reuse_cards: a dataset repository of score cards, "me/lead-scores": a card of the same checkpoint commit,
            dataset commit, sample and score stands in for computing, and its row says so; only where one score is
            asked for.
        cancelled: asked between batches of images and while files are on the way, for example an Event's `is_set`: once
            it returns True the run ends, with the board so far. While the dataset is still read there is none: a
            stream then ends without a board, and a call without `stream` raises RunCancelledError.
        on_progress: told after every step and every batch of images where the run is, by the thread that asks for the
            next board; in several processes, by each.

    Returns:
        A Leaderboard, best first. Checkpoints that could not be scored are in its `skipped`, with the reason.

    Raises:
        DatasetError: the dataset cannot be used; the message lists what there is.
        CandidateError: the source of candidates cannot be read, or names none.
        ScoreError: `score` is not, or not only, made of keys of SCORES.
        HubError: the Hub refused the dataset or the score cards, or cannot be reached.
        LeadHubError: `max_disk` is no size.
        RunCancelledError: cancelled while the dataset was read, and `stream` is False.
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
        candidates=read_candidates(candidates, api=hub_api(token)),
        methods=(score,) if isinstance(score, str) else tuple(score),
        extraction=ExtractionSettings(batch_size=batch_size, device=device, dtype=dtype),
        cache_dir=Path(cache_dir).expanduser() if cache_dir is not None else None,
        token=token,
        progress=progress,
        allow_pickle=allow_pickle,
        max_disk_bytes=parse_size(max_disk),
        reuse_cards=reuse_cards,
        cancelled=cancelled or bool,
        on_progress=on_progress or ignore,
    )
    boards = stream_boards(run)
    if stream:
        return boards
    last = deque(boards, maxlen=1)
    if not last:
        raise RunCancelledError("the run was cancelled while its dataset was read: there is no board yet")
    return last.pop()

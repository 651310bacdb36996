"""Every score of every checkpoint on every target of a matrix, with the seconds that it took."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, Int64

from lead_hub.bench.matrix import GroundTruthMatrix
from lead_hub.bench.score_cache import Cell, read_cells, write_cells
from lead_hub.bench.stored_outputs import outputs_sha256, read_outputs
from lead_hub.bench.workers import carried_out
from lead_hub.errors import ScoreError
from lead_hub.labelled_images import MINIMUM_PER_CLASS, stratified_sample
from lead_hub.transferability import SCORES, transferability, unpacked_kernel


@dataclass(frozen=True)
class ImageSample:
    """Which of the stored train images a score sees: all of them, or a seeded sample stratified by class.

    Attributes:
        n_images: at most this many; None for all. Never fewer than two of every class.
        seed: of the sample.
    """

    n_images: int | None = None
    seed: int = 0


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """Scores of one image sample.

    Attributes:
        methods: names of the scores.
        values: higher predicts better fine-tuning; NaN where the score is undefined.
        seconds: of processor time, on one thread, for one checkpoint on one target.
        errors: why scores are undefined: how many pairs, by method and reason.
    """

    methods: tuple[str, ...]
    values: Float[np.ndarray, "method checkpoint target"]
    seconds: Float[np.ndarray, "method checkpoint target"]
    errors: dict[str, dict[str, int]]


@dataclass(frozen=True)
class ScoreJob:
    """The scores of one pair on one image sample."""

    folder: Path
    target: str
    checkpoint: str
    sample: ImageSample
    methods: tuple[str, ...]
    cache_file: Path | None


def score_tables(
    matrix: GroundTruthMatrix,
    samples: Sequence[ImageSample],
    *,
    methods: Sequence[str] | None = None,
    cache_folder: Path | None = None,
    n_workers: int | None = None,
    advance: Callable[[int, int], None] | None = None,
) -> list[ScoreTable]:
    """A table of every image sample, over the pairs of the matrix that have an accuracy.

    Args:
        matrix: the ground truth.
        samples: image samples.
        methods: keys of SCORES; None for all that look at the images.
        cache_folder: keeps what was computed, one small file a pair and sample; None keeps nothing.
        n_workers: processes of one thread each; None for as many as the machine has cores, 1 for this process alone.
        advance: told how many of how many pairs and samples are done.
    """
    methods = image_scores() if methods is None else tuple(methods)
    pairs = np.argwhere(~np.isnan(matrix.accuracy))
    hashes = {target.name: outputs_sha256(matrix.folder, target.name) for target in matrix.targets}
    shape = len(samples), len(methods), len(matrix.checkpoints), len(matrix.targets)
    values, seconds = np.full(shape, np.nan), np.full(shape, np.nan)
    errors: list[dict[str, dict[str, int]]] = [{method: {} for method in methods} for _ in samples]
    jobs: dict[ScoreJob, tuple[int, int, int]] = {}
    for number, sample in enumerate(samples):
        for row, column in pairs.tolist():
            target, checkpoint = matrix.targets[column].name, matrix.checkpoints[row].name
            name = f"{hashes[target]}-{checkpoint}-{sample.n_images}-{sample.seed}.json"
            file = cache_folder / name if cache_folder else None
            jobs[ScoreJob(matrix.folder, target, checkpoint, sample, methods, file)] = number, row, column
    for done, (job, cells) in enumerate(computed(list(jobs), n_workers=n_workers), start=1):
        number, row, column = jobs[job]
        for position, method in enumerate(methods):
            cell = cells[method]
            seconds[number, position, row, column] = cell.seconds
            if cell.value is None:
                errors[number][method][cell.error] = errors[number][method].get(cell.error, 0) + 1
            else:
                values[number, position, row, column] = cell.value
        if advance:
            advance(done, len(jobs))
    return [ScoreTable(methods, *table) for table in zip(values, seconds, errors, strict=True)]


def image_scores() -> tuple[str, ...]:
    """Names of the scores that are computed from images alone; the others are, or use, what else is known."""
    return tuple(name for name, method in SCORES.items() if method.function is not None and not method.uses_standing)


def computed(jobs: list[ScoreJob], *, n_workers: int | None) -> Iterator[tuple[ScoreJob, dict[str, Cell]]]:
    """Every job's cells: those in the cache first, then the others as they are finished."""
    waiting = []
    for job in jobs:
        cells = read_cells(job.cache_file, job.methods)
        if cells.keys() >= set(job.methods):
            yield job, cells
        else:
            waiting.append(job)
    yield from carried_out(run_job, waiting, n_workers=n_workers)


def run_job(job: ScoreJob) -> dict[str, Cell]:
    """Compute what the cache does not hold, and add it to the cache."""
    cells = read_cells(job.cache_file, job.methods)
    outputs = read_outputs(job.folder, job.target, job.checkpoint)
    rows = sampled_rows(outputs.labels, job.sample)
    features, labels = outputs.features[rows], outputs.labels[rows]
    logits = None if outputs.logits is None else outputs.logits[rows]
    kernels = {name: among(kernel, rows) for name, kernel in outputs.kernels.items()}
    for method in job.methods:
        if method in cells:
            continue
        value, error = None, ""
        start = time.process_time()  # not the clock on the wall: other processes share the cores
        try:
            value = transferability(features, labels, method, logits=logits, kernels=kernels).value
        except ScoreError as undefined:
            error = str(undefined)
        cells[method] = Cell(value, time.process_time() - start, error)
    write_cells(job.cache_file, cells)
    return cells


def among(kernel: Float[np.ndarray, " pair"], rows: Int64[np.ndarray, " sampled_image"]) -> Float[torch.Tensor, "n n"]:
    """The kernel between the images of a sample."""
    chosen = torch.from_numpy(rows)
    return unpacked_kernel(torch.from_numpy(kernel).float())[chosen][:, chosen]


def sampled_rows(labels: Int[np.ndarray, " image"], sample: ImageSample) -> Int64[np.ndarray, " sampled_image"]:
    """Positions of the images of a sample, ascending."""
    if sample.n_images is None:
        return np.arange(len(labels), dtype=np.int64)
    classes, counts = np.unique(labels, return_counts=True)
    # A class of which one image is stored stays out of a sample, which promises two of every class.
    classes = classes[counts >= MINIMUM_PER_CLASS]
    eligible = np.flatnonzero(np.isin(labels, classes)).astype(np.int64)
    n_images = max(sample.n_images, MINIMUM_PER_CLASS * len(classes))
    chosen = stratified_sample(labels[eligible].astype(np.int64), n_images, seed=sample.seed)
    rows: Int64[np.ndarray, " sampled_image"] = eligible[chosen]
    return rows

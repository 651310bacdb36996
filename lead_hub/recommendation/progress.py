"""Where a run of `recommend` is at this moment, for whoever shows it to people."""

from dataclasses import dataclass
from typing import Literal

Stage = Literal["dataset", "download", "load", "extract", "score"]


@dataclass(frozen=True)
class RunProgress:
    """One moment of a run.

    Attributes:
        stage: "dataset" while the images are read, then for every checkpoint "download" while its files are found or
            fetched, "load" while its weights are read, "extract" while images run through it, "score".
        checkpoint: Hub id or folder as given; empty while the dataset is read.
        number: which checkpoint of the run, from 1; 0 while the dataset is read.
        n_candidates: checkpoints of the run.
        n_images: images that have run through this checkpoint.
        total_images: images of the run; 0 while the dataset is read.
        images_per_s: speed of this checkpoint so far, preparation included; None before its first batch.
        device: where it runs, e.g. "cpu" or "cuda:0"; empty while the dataset is read.
    """

    stage: Stage
    checkpoint: str = ""
    number: int = 0
    n_candidates: int = 0
    n_images: int = 0
    total_images: int = 0
    images_per_s: float | None = None
    device: str = ""

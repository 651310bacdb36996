"""The record of a checkpoint that may be ranked."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Candidate:
    """A checkpoint that may be ranked, before anything of it was looked at.

    Attributes:
        checkpoint: Hub id ("org/name") or path of a local checkpoint folder, as the user gave it.
        revision: branch, tag or commit asked for; None means the default branch, or a local folder.
        parameters: number of weights where known beforehand.
        licence: the Hub's licence identifier where known beforehand, e.g. "apache-2.0".
        weight_bytes: size of its weights where known beforehand.
        imagenet_top1_percent: published top-1 accuracy on ImageNet-1k where known, 0 to 100.
        downloads: of the last 30 days where known from a crawl.
        datasets: what it was trained on, as far as its card says.
        base_datasets: what the checkpoints that it was fine-tuned from were trained on.
        multiply_adds: of one forward pass over one image, of the size that it wants, where known beforehand.
        standing: by how many standard deviations it stands above others on other datasets, in the mean, as score cards
            tell; None where this machine knows of none.
        standing_here: the same, as this machine's own runs found, where datasets whose images look like those of the
            run count more; no score takes it into account.
    """

    checkpoint: str
    revision: str | None = None
    parameters: int | None = None
    licence: str | None = None
    weight_bytes: int | None = None
    imagenet_top1_percent: float | None = None
    downloads: int | None = None
    datasets: tuple[str, ...] = ()
    base_datasets: tuple[str, ...] = ()
    standing: float | None = None
    standing_here: float | None = None
    multiply_adds: int | None = None

    @property
    def folder(self) -> Path | None:
        """The local checkpoint folder, or None for a repository on the Hub."""
        try:
            path = Path(self.checkpoint).expanduser()
            return path if self.checkpoint.strip() and path.is_dir() else None
        except (OSError, RuntimeError, ValueError):  # no name that a folder can have here, or none to look at
            return None

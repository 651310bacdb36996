"""What a leaderboard is made of: the ranked and the skipped checkpoints, and the images that they were ranked on."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class RankedCheckpoint:
    """One scored checkpoint.

    Attributes:
        checkpoint: Hub id or folder, as given.
        score: higher predicts better fine-tuning; comparable within one leaderboard only.
        rank: 1 is best; equal scores share the better rank. 0 before the leaderboard has sorted it.
        revision: branch, tag or commit asked for, if any.
        sha: the Hub commit that was scored (40 hex digits), or the sha256 of a local folder's files (64).
        companions: figures computed beside the score, by name, e.g. leave-one-out accuracy in [0, 1].
        family: the model type, e.g. "resnet".
        parameters: number of weights of the vision model that was run.
        licence: as the checkpoint's card names it, or None.
        n_features: length of the feature vector.
        n_source_classes: outputs of the checkpoint's own trained head; None without one.
        pooling: the rule that made one vector of the hidden states.
        processor: class of the image processor that prepared the pixels.
        dtype: number format of the forward pass.
        device: where the forward pass ran.
        images_per_s: images a second, preparation included; None when the outputs came from the cache.
        trained_on_dataset: whether the checkpoint, or the base it was made from, names this dataset as training
            data: its score then says little about images that it has not seen.
        note: what else the reader should know.
    """

    checkpoint: str
    score: float
    rank: int = 0
    revision: str | None = None
    sha: str = ""
    companions: Mapping[str, float] = field(default_factory=dict)
    family: str = ""
    parameters: int = 0
    licence: str | None = None
    n_features: int = 0
    n_source_classes: int | None = None
    pooling: str = ""
    processor: str = ""
    dtype: str = ""
    device: str = ""
    images_per_s: float | None = None
    trained_on_dataset: bool = False
    note: str = ""


@dataclass(frozen=True)
class Skipped:
    """A checkpoint that could not be scored.

    Attributes:
        checkpoint: Hub id or folder, as given.
        revision: branch, tag or commit asked for, if any.
        stage: "find", "download", "load", "extract" or "score".
        reason: what must hold, what was found, what to do next.
    """

    checkpoint: str
    revision: str | None
    stage: str
    reason: str


@dataclass(frozen=True)
class RankedDataset:
    """The images that the ranking was made on.

    Attributes:
        dataset: Hub id or path, as given.
        sha: the Hub commit (40 hex digits), or the sha256 of local data (64).
        is_local: True for data that was read from this machine's disk.
        config: dataset configuration, if any.
        split: the one split that was read.
        image_column: column of the images.
        label_column: column of the labels.
        class_names: the classes that were ranked on.
        n_images: images that were used.
        rows_sha256: sha256 over the numbers of the sampled rows.
        notes: what was left out, and why.
        is_private: True for local data and for private or gated repositories: pushing its scores must be asked for.
    """

    dataset: str
    sha: str
    is_local: bool
    config: str | None
    split: str
    image_column: str
    label_column: str
    class_names: tuple[str, ...]
    n_images: int
    rows_sha256: str
    notes: tuple[str, ...] = ()
    is_private: bool = True

"""What a leaderboard is made of: the ranked and the skipped checkpoints, and the images that they were ranked on."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from lead_hub.confidence import Confidence, as_columns, parse_confidence, with_checked_types
from lead_hub.errors import CandidateError, LeadHubError
from lead_hub.hub import in_utf_8


@dataclass(frozen=True)
class FineTunedAccuracy:
    """What fine-tuning a checkpoint on the ranked dataset really gave.

    Attributes:
        mode: what was trained: "full" all weights, "lora" low-rank adapters, "probe" a linear head alone.
        accuracy: on test images that nothing was chosen by, in [0, 1]; mean over seeds at the rate that validated best.
        accuracy_sd: standard deviation between these seeds; None of a single one.
        macro_f1: mean over classes of F1 on the same images, in [0, 1]; mean over the same seeds.
        learning_rate: the one that validated best.
        n_runs: trainings at that rate, one a seed.
        n_trainings: finished ones altogether.
        n_dropped: planned ones that the budget left out, or that diverged.
        n_train: images that were learnt from.
        n_validation: images that chose rate and epoch.
        n_test: images that measured.
        test_source: where these come from, e.g. "split 'test'" or "held-out part of 'train'".
        duration_s: seconds of all trainings together.
        device: where they ran.
    """

    mode: str
    accuracy: float
    accuracy_sd: float | None
    macro_f1: float
    learning_rate: float
    n_runs: int
    n_trainings: int
    n_dropped: int
    n_train: int
    n_validation: int
    n_test: int
    test_source: str
    duration_s: float
    device: str


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
        other_scores: the further scores that were asked for, by name, each on its own scale; None where one is
            undefined for this checkpoint (the note says why).
        family: the model type, e.g. "resnet".
        parameters: number of weights of the vision model that was run.
        licence: as the checkpoint's card names it, or None.
        downloads: of the last 30 days, where known from a crawl; not part of a score card.
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
        finetuned: what fine-tuning it gave, where `verify` has done that.
        confidence: how sure the score, the rank and what to expect of fine-tuning are; None where the score has no
            terms per image, or came from a score card that has none.
        is_private: False only where the Hub said that everybody may read the checkpoint; True for folders, private and
            gated repositories, and where nobody asked: pushing it to where all can see it must be asked for.
        n_images: images that score and confidence rest on, where a race left it with fewer than the dataset's; it then
            ranks below those of more images, whose scores are on another scale. None means all.
        rows_sha256: over the numbers of the rows of these images; None means all.
    """

    checkpoint: str
    score: float
    rank: int = 0
    revision: str | None = None
    sha: str = ""
    companions: Mapping[str, float] = field(default_factory=dict)
    other_scores: Mapping[str, float | None] = field(default_factory=dict)
    family: str = ""
    parameters: int = 0
    licence: str | None = None
    downloads: int | None = None
    n_features: int = 0
    n_source_classes: int | None = None
    pooling: str = ""
    processor: str = ""
    dtype: str = ""
    device: str = ""
    images_per_s: float | None = None
    trained_on_dataset: bool = False
    note: str = ""
    finetuned: FineTunedAccuracy | None = None
    confidence: Confidence | None = None
    is_private: bool = True
    n_images: int | None = None
    rows_sha256: str | None = None


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

    def __post_init__(self) -> None:
        # Why it was skipped may be its very name, and a board must be writable all the same.
        for name in ("checkpoint", "revision", "reason"):
            if isinstance(text := getattr(self, name), str):
                object.__setattr__(self, name, in_utf_8(text))

    @staticmethod
    def because(checkpoint: str, revision: str | None, error: LeadHubError) -> "Skipped":
        """The checkpoint with what went wrong; a Hub that does not answer is what a download met."""
        stage = error.stage if isinstance(error, CandidateError) else "download"
        return Skipped(checkpoint, revision, stage, str(error))


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
        groups_sha256: sha256 over the number of each image's group; None where every image was left out alone.
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
    groups_sha256: str | None = None


class Board(Protocol):
    """What words and pictures need to know of a `Leaderboard`, which itself shows and saves them."""

    @property
    def dataset(self) -> RankedDataset: ...
    @property
    def method(self) -> str: ...
    @property
    def rows(self) -> tuple[RankedCheckpoint, ...]: ...
    @property
    def skipped(self) -> tuple[Skipped, ...]: ...
    @property
    def n_candidates(self) -> int: ...
    @property
    def is_complete(self) -> bool: ...


def read_row(values: Mapping[str, Any]) -> RankedCheckpoint:
    """A row of a leaderboard's document.

    Raises:
        KeyError, TypeError: keys are missing or unknown, or a value is of another kind.
    """
    if not isinstance(values, Mapping):  # whoever wrote it
        raise TypeError(f"a row to be an object, found {values!r:.100}")
    finetuned, confidence = values.get("finetuned"), values.get("confidence")
    nested = {
        "finetuned": None if finetuned is None else with_checked_types(FineTunedAccuracy(**finetuned)),
        "confidence": None if confidence is None else parse_confidence(confidence),
    }
    return with_checked_types(RankedCheckpoint(**{**values, **nested}))


def finetuned_figures(row: RankedCheckpoint) -> dict[str, object]:
    """What fine-tuning gave, as columns of a table; none where it was not done."""
    if row.finetuned is None:
        return {}
    return {f"finetuned_{name}": value for name, value in dataclasses.asdict(row.finetuned).items()}


def confidence_columns(row: RankedCheckpoint) -> dict[str, object]:
    """How sure a row is, as columns of a table; none where nothing is known of it."""
    return {} if row.confidence is None else {**as_columns(row.confidence)}

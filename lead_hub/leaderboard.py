"""Ranked and skipped checkpoints -> Leaderboard: sorted once, read by people, programs and score cards."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lead_hub.errors import CandidateError, LeadHubError
from lead_hub.leaderboard_file import read_board, write_board

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 1


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


@dataclass(frozen=True)
class Leaderboard:
    """Checkpoints by score, best first, and all that is needed to make the ranking again.

    Attributes:
        dataset: the images.
        method: name of the score, a key of SCORES.
        rows: scored checkpoints, best first.
        skipped: checkpoints that could not be scored, in the order they were met.
        settings: arguments of the run (seed, max_images, batch_size, ...).
        versions: of Python and the packages that can change a number.
        n_candidates: checkpoints asked for; more than rows and skipped while a run goes on.
    """

    dataset: RankedDataset
    method: str
    rows: tuple[RankedCheckpoint, ...]
    skipped: tuple[Skipped, ...]
    settings: Mapping[str, str | int | None]
    versions: Mapping[str, str]
    n_candidates: int

    @property
    def best(self) -> RankedCheckpoint:
        """The first row.

        Raises:
            CandidateError: no checkpoint could be scored; the message gives every reason.
        """
        if not self.rows:
            reasons = "; ".join(f"{skip.checkpoint} ({skip.stage}): {skip.reason}" for skip in self.skipped)
            raise CandidateError(f"no candidate could be scored: {reasons or 'none was tried yet'}", stage="score")
        return self.rows[0]

    @property
    def is_complete(self) -> bool:
        """Whether every candidate has been tried."""
        return len(self.rows) + len(self.skipped) == self.n_candidates

    def with_row(self, row: RankedCheckpoint) -> "Leaderboard":
        """The board with one more scored checkpoint, ranked anew."""
        return replace(self, rows=rank([*self.rows, row]))

    def with_skipped(self, skipped: Skipped) -> "Leaderboard":
        """The board with one more checkpoint that could not be scored."""
        return replace(self, skipped=(*self.skipped, skipped))

    def to_pandas(self) -> "pd.DataFrame":
        """One row a candidate: the scored ones by rank (status "ranked"), then the skipped ones ("skipped")."""
        import pandas as pd  # noqa: PLC0415 - half a second that `lead-hub --version` need not wait for

        facts = [fact.name for fact in dataclasses.fields(RankedCheckpoint) if fact.name != "companions"]
        records = [
            {**{name: getattr(row, name) for name in facts}, "status": "ranked", **row.companions} for row in self.rows
        ] + [
            {"checkpoint": skip.checkpoint, "revision": skip.revision, "status": "skipped", "stage": skip.stage}
            | {"note": skip.reason}
            for skip in self.skipped
        ]
        leading = [
            "rank",
            "checkpoint",
            "score",
            "status",
            *sorted({name for row in self.rows for name in row.companions}),
        ]
        columns = [*leading, *(name for name in facts if name not in leading), "stage"]
        whole_numbers = ["rank", "parameters", "n_features", "n_source_classes"]
        return pd.DataFrame.from_records(records, columns=columns).astype(dict.fromkeys(whole_numbers, "Int64"))

    def save(self, path: str | Path) -> Path:
        """Write `.json` or `.parquet` (complete: `load` gives an equal board) or `.csv` (the table alone).

        Raises:
            LeadHubError: another ending, or a place that cannot be written.
        """
        return write_board(Path(path), self.to_document(), table=self.to_pandas())

    @staticmethod
    def load(path: str | Path) -> "Leaderboard":
        """Read a board that was saved as `.json` or `.parquet`.

        Raises:
            LeadHubError: no such file, another ending, or a file that holds no leaderboard of this version.
        """
        return Leaderboard.from_document(read_board(Path(path)))

    def to_document(self) -> dict[str, Any]:
        """The board as plain JSON values."""
        return {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(self)}

    @staticmethod
    def from_document(document: object) -> "Leaderboard":
        """The board of `to_document`, also after a journey through JSON.

        Raises:
            LeadHubError: not a leaderboard, of another schema version, or with keys missing or unknown.
        """
        version = document.get("schema_version") if isinstance(document, dict) else None
        if not isinstance(document, dict) or version != SCHEMA_VERSION:
            raise LeadHubError(
                f'a leaderboard must be an object with "schema_version" {SCHEMA_VERSION}, found {version!r}:'
                " was it written by another version of lead-hub?"
            )
        values = {key: value for key, value in document.items() if key != "schema_version"}
        try:
            dataset = values["dataset"]
            listed = {key: tuple(dataset[key]) for key in ("class_names", "notes")}
            values["dataset"] = RankedDataset(**{**dataset, **listed})
            values["rows"] = tuple(RankedCheckpoint(**row) for row in values["rows"])
            values["skipped"] = tuple(Skipped(**skip) for skip in values["skipped"])
            return Leaderboard(**values)
        except (KeyError, TypeError) as error:
            raise LeadHubError(f"a leaderboard of schema version {SCHEMA_VERSION} has other keys: {error}") from error


def rank(rows: Iterable[RankedCheckpoint]) -> tuple[RankedCheckpoint, ...]:
    """Sort by score, best first; equal scores share a rank, the smaller checkpoint first."""
    ordered = sorted(rows, key=lambda row: (-row.score, row.parameters, row.checkpoint))
    scores = [row.score for row in ordered]
    return tuple(replace(row, rank=scores.index(row.score) + 1) for row in ordered)

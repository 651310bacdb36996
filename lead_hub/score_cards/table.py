"""All results as one table, data/scores.parquet, in the order in which they were pushed."""

import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from lead_hub.errors import LeadHubError
from lead_hub.score_cards.card import ScoreResult

TABLE_PATH = "data/scores.parquet"
MOST_ROWS = 200_000
MOST_TABLE_BYTES = 256 << 20  # in memory

SCHEMA = pa.schema(
    [
        ("dataset", pa.string()),
        ("checkpoint", pa.string()),
        ("score", pa.float64()),
        ("method", pa.string()),
        ("method_version", pa.int64()),
        ("companions", pa.string()),
        ("parameters", pa.int64()),
        ("licence", pa.string()),
        ("family", pa.string()),
        ("trained_on_dataset", pa.bool_()),
        ("finetuned_accuracy", pa.float64()),
        ("finetuned_accuracy_sd", pa.float64()),
        ("finetuned_mode", pa.string()),
        ("note", pa.string()),
        ("sha", pa.string()),
        ("dataset_sha", pa.string()),
        ("dataset_is_local", pa.bool_()),
        ("config", pa.string()),
        ("split", pa.string()),
        ("image_column", pa.string()),
        ("label_column", pa.string()),
        ("class_names", pa.list_(pa.string())),
        ("n_images", pa.int64()),
        ("settings", pa.string()),
        ("versions", pa.string()),
        ("ranking_id", pa.string()),
        ("card", pa.string()),
        ("content_sha256", pa.string()),
    ]
)
OUTCOME = ("finetuned_accuracy", "finetuned_accuracy_sd", "finetuned_mode")
NULLABLE = frozenset({"licence", "config", *OUTCOME})


@dataclass(frozen=True)
class ScoreRow:
    """One line of the table: a result in short, and where its card is. Companions, settings, versions are JSON text.

    What fine-tuning gave is None where it was not done; the accuracies are shares in [0, 1].
    """

    dataset: str
    checkpoint: str
    score: float
    method: str
    method_version: int
    companions: str
    parameters: int
    licence: str | None
    family: str
    trained_on_dataset: bool
    finetuned_accuracy: float | None
    finetuned_accuracy_sd: float | None
    finetuned_mode: str | None
    note: str
    sha: str
    dataset_sha: str
    dataset_is_local: bool
    config: str | None
    split: str
    image_column: str
    label_column: str
    class_names: Sequence[str]
    n_images: int
    settings: str
    versions: str
    ranking_id: str
    card: str
    content_sha256: str

    @property
    def identity(self) -> tuple[str, str, str]:
        """What tells a measurement from others, as `ScoreResult.identity` does."""
        return self.checkpoint, self.sha, self.ranking_id

    @property
    def outcome(self) -> tuple[float | None, float | None, str | None]:
        """What fine-tuning gave: accuracy, its standard deviation and the mode."""
        return self.finetuned_accuracy, self.finetuned_accuracy_sd, self.finetuned_mode


def score_row(result: ScoreResult) -> ScoreRow:
    """Make a result's line of the table."""
    dataset, row = result.dataset, result.row
    finetuned = row.get("finetuned") or {}  # cards from before `verify` have no such key
    return ScoreRow(
        dataset=dataset["dataset"],
        checkpoint=row["checkpoint"],
        score=row["score"],
        method=result.method,
        method_version=result.method_version,
        companions=json.dumps(row["companions"]),
        parameters=row["parameters"],
        licence=row["licence"],
        family=row["family"],
        trained_on_dataset=row["trained_on_dataset"],
        finetuned_accuracy=finetuned.get("accuracy"),
        finetuned_accuracy_sd=finetuned.get("accuracy_sd"),
        finetuned_mode=finetuned.get("mode"),
        note=row["note"],
        sha=row["sha"],
        dataset_sha=dataset["sha"],
        dataset_is_local=dataset["is_local"],
        config=dataset["config"],
        split=dataset["split"],
        image_column=dataset["image_column"],
        label_column=dataset["label_column"],
        class_names=tuple(dataset["class_names"]),
        n_images=dataset["n_images"],
        settings=json.dumps(result.settings),
        versions=json.dumps(result.versions),
        ranking_id=result.ranking_id,
        card=result.card_path,
        content_sha256=result.content_sha256,
    )


def table_bytes(rows: Iterable[ScoreRow]) -> bytes:
    """The parquet file; equal rows give equal bytes with the same pyarrow.

    Raises:
        LeadHubError: it would be larger than what `read_table` reads.
    """
    table = pa.Table.from_pylist([vars(row) for row in rows], schema=SCHEMA)
    if len(table) > MOST_ROWS or table.nbytes > MOST_TABLE_BYTES:
        raise LeadHubError(
            f"the table of a repository must have at most {MOST_ROWS:,} scores and take {MOST_TABLE_BYTES >> 20} MiB,"
            f" found {len(table):,} in {table.nbytes >> 20}: push to another repository"
        )
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


def read_table(content: bytes) -> list[ScoreRow] | None:
    """The rows of a parquet file that this module wrote; None where it is damaged or holds something else."""
    try:
        # One thread on Arrow's own buffer: its pool, at work on a Python file, can abort or hang the program when it
        # ends (apache/arrow#50482, #34314).
        file = pq.ParquetFile(pa.BufferReader(content), pre_buffer=False)
        table = unpacked(file) if file.schema_arrow.equals(SCHEMA, check_metadata=False) else None
    except (pa.ArrowException, OSError):
        return None
    if table is None:
        return None
    rows = [ScoreRow(**{**line, "class_names": tuple(line["class_names"] or ())}) for line in table.to_pylist()]
    return rows if all(map(is_sound, rows)) else None


def unpacked(file: pq.ParquetFile) -> pa.Table | None:
    """The table; None where it has more rows, or takes more memory, than this module would ever write.

    What a few bytes of a file name again and again takes as much memory as they name. No value is longer than all that
    is in the file, so that so many rows at a time are read as stay within the limit even if each were as long.
    """
    metadata = file.metadata
    size_bytes = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
    if metadata.num_rows > MOST_ROWS or size_bytes > MOST_TABLE_BYTES:
        return None
    batches, left_bytes = [], MOST_TABLE_BYTES
    rows_at_once = max(1, MOST_TABLE_BYTES // max(1, size_bytes))
    for batch in file.iter_batches(batch_size=min(rows_at_once, MOST_ROWS), use_threads=False):
        left_bytes -= batch.nbytes
        if left_bytes < 0:
            return None
        batches.append(batch)
    return pa.Table.from_batches(batches, SCHEMA)


def fits_table(result: ScoreResult) -> bool:
    """Whether a card's result has all that a row needs; its hash tells only that nobody changed it by accident."""
    try:
        row = score_row(result)
        (line,) = pa.Table.from_pylist([vars(row)], schema=SCHEMA).to_pylist()
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, pa.ArrowException):
        return False
    return is_sound(row) and {**line, "class_names": tuple(line["class_names"])} == vars(row)


def is_sound(row: ScoreRow) -> bool:
    """Whether a row by others has every value, and JSON objects where it should, with numbers for companions."""
    if any(value is None for name, value in vars(row).items() if name not in NULLABLE):
        return False
    try:
        companions, *others = (json.loads(text) for text in (row.companions, row.settings, row.versions))
        if not all(isinstance(value, dict) for value in (companions, *others)):
            return False
        measured = [value for value in (row.finetuned_accuracy, row.finetuned_accuracy_sd) if value is not None]
        numbers = (row.score, *measured, *companions.values())
        if (row.finetuned_accuracy is None) != (row.finetuned_mode is None):
            return False
        return all(isinstance(value, int | float) and math.isfinite(value) for value in numbers)
    except (ValueError, OverflowError, RecursionError):  # no JSON, an integer beyond all floats, brackets without end
        return False


def with_ranks(rows: Iterable[ScoreRow]) -> list[tuple[int, ScoreRow]]:
    """Rank and row, best first; equal scores share the better rank, the smaller checkpoint first."""
    ordered = sorted(rows, key=lambda row: (-row.score, row.parameters, row.checkpoint))
    scores = [row.score for row in ordered]
    return [(scores.index(row.score) + 1, row) for row in ordered]

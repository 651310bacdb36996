"""A leaderboard's document and table <-> disk: JSON and parquet hold all of it, CSV the table for spreadsheets."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lead_hub.errors import LeadHubError
from lead_hub.hub import written_whole

if TYPE_CHECKING:
    import pandas as pd

PARQUET_KEY = b"lead_hub_leaderboard"
COMPLETE = (".json", ".parquet")
ENDINGS = (*COMPLETE, ".csv", ".html")


def check_ending(path: Path) -> None:
    """Refuse a name that a board cannot be saved under, before it is computed.

    Raises:
        LeadHubError: another ending than .json, .parquet, .csv and .html.
    """
    if path.suffix not in ENDINGS:
        raise LeadHubError(f"a leaderboard is saved as {', '.join(ENDINGS)}, found {str(path)!r}")


def write_board(
    path: Path, document: dict[str, Any], *, table: "Callable[[], pd.DataFrame]", page: Callable[[], str]
) -> Path:
    """Write a board in the format that the file name's ending asks for; it appears whole or not at all.

    Only this machine's user may read one of private or local data or checkpoints.

    Raises:
        LeadHubError: another ending than .json, .parquet, .csv and .html, a place that cannot be written, or a text or
            number of the board that the format cannot hold.
    """
    check_ending(path)
    is_private = any(part.get("is_private") is not False for part in (document["dataset"], *document["rows"]))
    try:
        with written_whole(path, private=is_private) as part:
            if path.suffix == ".json":
                text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
                part.write_text(text + "\n", encoding="utf-8")
            elif path.suffix == ".csv":
                table().to_csv(part, index=False)
            elif path.suffix == ".html":
                part.write_text(page(), encoding="utf-8")
            else:
                write_parquet(part, document, table=table())
    except OSError as error:
        raise LeadHubError(
            f"the leaderboard must be saved where there is room and a right to write, found {error} at {str(path)!r}:"
            " name another place"
        ) from error
    except ValueError as error:  # as UnicodeEncodeError and pyarrow's errors are
        raise LeadHubError(
            f"a leaderboard must hold texts of UTF-8 characters and finite numbers, found {error} when saving it at"
            f" {str(path)!r}: name another format"
        ) from error
    return path


def write_parquet(path: Path, document: dict[str, Any], *, table: "pd.DataFrame") -> None:
    """The table as columns, the whole document in the file's metadata."""
    import pyarrow as pa  # noqa: PLC0415 - slow to import, needed here alone
    import pyarrow.parquet as pq  # noqa: PLC0415

    columns = pa.Table.from_pandas(table, preserve_index=False)
    metadata = {**(columns.schema.metadata or {}), PARQUET_KEY: json.dumps(document, allow_nan=False).encode()}
    pq.write_table(columns.replace_schema_metadata(metadata), path)


def read_board(path: Path) -> object:
    """The document of a board that was written as .json or .parquet.

    Raises:
        LeadHubError: no such file, another ending, or a file that holds no document.
    """
    if path.suffix not in COMPLETE:
        raise LeadHubError(
            f"a whole leaderboard is read from {' or '.join(COMPLETE)}, found {str(path)!r};"
            " a .csv holds its table alone, an .html file is for people"
        )
    try:
        return json.loads(path.read_text(encoding="utf-8") if path.suffix == ".json" else read_parquet(path))
    except (OSError, ValueError) as error:
        raise LeadHubError(f"{str(path)!r} must be a saved leaderboard, but reading it failed: {error}") from error


def read_parquet(path: Path) -> bytes:
    import pyarrow.parquet as pq  # noqa: PLC0415 - slow to import, needed here alone

    metadata: dict[bytes, bytes] = pq.read_schema(path).metadata or {}
    if PARQUET_KEY not in metadata:
        raise ValueError("this parquet file carries no leaderboard in its metadata")
    return metadata[PARQUET_KEY]

"""A metadata.jsonl beside images, looked at line by line before the datasets library reads it.

Its JSON reader, pyarrow's, ends the whole process where a file begins with `null` or is nested some ten thousand deep:
so a stranger's file must not reach it unseen.
"""

import json
from collections.abc import Iterable, Iterator
from io import IOBase
from typing import Any, cast

from datasets import DatasetBuilder
from huggingface_hub import HfFileSystem

from lead_hub.access import Access
from lead_hub.errors import DatasetError

FIRST_BYTES = 10 << 20  # what the library reads of a table at a time
LONGEST_LINE = 100 << 20


def check_label_tables(builder: DatasetBuilder, access: Access, *, most_bytes: int | None = None) -> None:
    """Let the library read a metadata.jsonl only after each of its lines was found to be an object.

    Args:
        builder: of any kind; only those of folders have such tables.
        access: as whom the Hub is asked; who waits.
        most_bytes: where only the first rows will be read: how much of a table is looked at; None means all of it.
    """
    read = getattr(builder, "_read_metadata", None)
    if read is None:
        return

    def checked(file: str, metadata_ext: str = "") -> Iterator[Any]:
        if metadata_ext == ".jsonl":
            with _opened(str(file), access) as opened:
                refuse_odd_lines(_lines(opened, access, most_bytes=most_bytes), table=_name(str(file)))
        tables: Iterator[Any] = read(file, metadata_ext=metadata_ext) if metadata_ext != ".csv" else of_csv(str(file))
        return tables

    def of_csv(file: str) -> Iterator[Any]:
        with _opened(file, access) as opened:  # the library's own reader of these leaves the file open
            yield from read(opened, metadata_ext=".csv")

    builder._read_metadata = checked


def refuse_odd_lines(lines: Iterable[bytes], *, table: str) -> None:
    """Raise where a line is no JSON object; empty lines count as none.

    Raises:
        DatasetError: names the line and says what was found.
    """
    for number, line in enumerate(lines, 1):
        text = line.strip().removeprefix(b"\xef\xbb\xbf") if number == 1 else line.strip()
        if not text:
            continue
        try:
            value = json.loads(text.decode("utf-8", errors="replace"), strict=False)
        except RecursionError:
            found = "one that is nested too deep"
        except ValueError as error:
            found = f"{_shown(text)} ({error})"
        else:
            if isinstance(value, dict):
                continue
            found = _shown(text)
        raise DatasetError(
            f'every line of {table} must be one JSON object, like {{"file_name": "1.png", "label": "cat"}}, found in'
            f" line {number}: {found}"
        )


def _lines(file: Any, access: Access, *, most_bytes: int | None) -> Iterator[bytes]:
    n_bytes, rest = 0, b""
    while block := file.read(FIRST_BYTES):
        access.check_wanted()
        *lines, rest = (rest + block).split(b"\n")
        yield from lines
        n_bytes += len(block)
        if most_bytes is not None and n_bytes >= most_bytes:
            return
        if len(rest) > LONGEST_LINE:
            raise DatasetError(f"lines of a table must have at most {LONGEST_LINE:,} bytes, found a longer one")
    yield rest


def _opened(file: str, access: Access) -> IOBase:
    if file.startswith("hf://"):
        # Not through the datasets library's own opener: that one asks as whoever last opened a dataset in this process.
        return cast(IOBase, HfFileSystem(token=access.token, skip_instance_cache=True).open(file))
    return open(file, "rb")  # noqa: PTH123 - closed by the caller


def _name(file: str) -> str:
    return file.rsplit("/", 1)[-1]


def _shown(text: bytes) -> str:
    return repr(text[:40].decode("utf-8", errors="replace")) + ("..." if len(text) > 40 else "")

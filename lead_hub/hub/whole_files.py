"""Files that appear whole or not at all, whoever else writes, and whenever the program is killed."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A place for the content of a file, which appears under its name when the block ends well.

    The folder is made where it is missing. On the disk, not only in the operating system's buffers, at the end.

    Raises:
        OSError: the place cannot be written.
    """
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:  # also when Ctrl-C comes in between
        part.unlink(missing_ok=True)


def write_text_whole(path: Path, text: str) -> None:
    """Write a text file, in UTF-8.

    Raises:
        OSError: the place cannot be written.
    """
    with written_whole(path) as part:
        part.write_text(text, encoding="utf-8")

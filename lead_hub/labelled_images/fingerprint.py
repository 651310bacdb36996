"""Local files -> one SHA-256: two copies of a folder agree, one changed byte or name does not."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from lead_hub.errors import DatasetError

_READ_BYTES = 1 << 20


def fingerprint(files: Iterable[Path], root: Path, *, check_wanted: Callable[[], None] = lambda: None) -> str:
    """64 hex digits over the names relative to `root` and the content of the files, in the order of the names.

    Args:
        files: in any order.
        root: a folder that holds them all.
        check_wanted: called all along; what it raises ends the work.

    Raises:
        DatasetError: a file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        for name, path in sorted((path.relative_to(root).as_posix(), path) for path in files):
            # Lengths first, so that no file's end can be taken for the next one's name.
            digest.update(f"{len(name.encode())} {path.stat().st_size} {name}".encode())
            with path.open("rb") as file:
                while part := file.read(_READ_BYTES):
                    check_wanted()
                    digest.update(part)
    except OSError as error:
        raise DatasetError(f"every file of the dataset must be readable, but: {error}") from error
    return digest.hexdigest()

"""Which files a dataset's rows may name, and the content of one: no other path is ever opened.

A row of somebody's table can name any path of this machine. Only what the dataset brought itself is read.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lead_hub.hub import lies_in_cache


@dataclass(frozen=True)
class OwnFiles:
    """The files that a dataset brought.

    Attributes:
        paths: absolute paths, as the rows name them.
        folder: whatever lies in it is the dataset's own, too; None for no folder.
        home: the dataset's part of the Hub's cache, into which its links may lead; None for the folder itself.
        cache: root of that cache, in whose store the content may lie, too.
    """

    paths: frozenset[str] = frozenset()
    folder: Path | None = None
    home: Path | None = None
    cache: Path | None = None

    def __contains__(self, path: str) -> bool:
        if path in self.paths:
            return True
        if self.folder is None or not os.path.isabs(path) or "\0" in path:  # noqa: PTH117 - Path takes no such text
            return False
        named, folder = Path(os.path.normpath(path)), Path(os.path.normpath(self.folder))
        if not named.is_relative_to(folder):
            return False
        if self.home is None or self.cache is None:
            return Path(os.path.realpath(named)).is_relative_to(os.path.realpath(self.home or folder))
        return lies_in_cache(named, home=self.home, cache=self.cache)


NO_FILES = OwnFiles()
MOST_ENCODED_BYTES = 1 << 30  # the largest image that is decoded takes 0.7 GB if nothing of it is compressed


def open_regular_file(path: str | Path) -> BinaryIO:
    """Open a file for reading, which must be one: opening a pipe or a device may wait for ever.

    Raises:
        OSError: it is something else, or cannot be opened.
    """
    if not stat.S_ISREG(Path(path).stat().st_mode):
        raise OSError("no regular file")
    file = os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # it was replaced since
        file.close()
        raise OSError("no regular file")
    return file


def read_image_file(path: str) -> bytes:
    """The content of a file that can be that of an image.

    Raises:
        OSError: it cannot be read, or is too large.
    """
    with open_regular_file(path) as file:
        size_bytes = os.fstat(file.fileno()).st_size
        if size_bytes > MOST_ENCODED_BYTES:
            raise OSError(f"{size_bytes:,} bytes, more than the limit of {MOST_ENCODED_BYTES:,}")
        return file.read()

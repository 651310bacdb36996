"""Files that appear whole or not at all, whoever else writes, and whenever the program is killed."""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import constants

OWNER_ALONE, OWNERS_FOLDER = 0o600, 0o700


def free_disk(folder: Path) -> tuple[Path, int]:
    """The folder, or the first above it that is there, and how many bytes are free in it."""
    place = next(each for each in (folder, *folder.absolute().parents) if each.is_dir())
    return place, shutil.disk_usage(place).free


@contextmanager
def written_whole(path: Path, *, private: bool = False) -> Iterator[Path]:
    """A place for the content of a file, which appears under its name when the block ends well.

    The folder is made where it is missing. On the disk, not only in the operating system's buffers, at the end.

    Args:
        path: the file.
        private: whether only this machine's user may read the file, and the folders that are made for it; otherwise
            the umask decides.

    Raises:
        OSError: the place cannot be written.
    """
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    make_folder(path.parent, private=private)
    try:
        if private:  # before the first byte is in it
            part.touch(mode=OWNER_ALONE)
        yield part
        with part.open("r+b") as file:  # Windows flushes no file that may only be read
            os.fsync(file.fileno())
        if private:  # a writer may have put another file in its place
            part.chmod(OWNER_ALONE)
        part.replace(path)
    finally:  # also when Ctrl-C comes in between
        part.unlink(missing_ok=True)


def write_text_whole(path: Path, text: str, *, private: bool = False) -> None:
    """Write a text file, in UTF-8, as `written_whole` does.

    Raises:
        OSError: the place cannot be written.
    """
    with written_whole(path, private=private) as part:
        part.write_text(text, encoding="utf-8")


def in_utf_8(text: str) -> str:
    """The text as it can be written: what of a file's name is no UTF-8, and of nothing else, is spelt out."""
    return text.encode(errors="backslashreplace").decode()


def make_folder(folder: Path, *, private: bool) -> None:
    """Make a folder and those above it that are missing; one that is there already is left as it is.

    Raises:
        OSError: it cannot be made.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=OWNERS_FOLDER if private else 0o777, exist_ok=True)
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))


def assets_folder(what: str) -> Path:
    """Where lead-hub keeps something of its own under HF_ASSETS_CACHE; made by whoever writes the first file there."""
    return Path(constants.HF_ASSETS_CACHE).expanduser().resolve() / "lead_hub" / what / "default"

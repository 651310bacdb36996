"""A folder on this machine -> every file in it, told without opening one.

Links are followed, a link back to a folder above it ends there. Pipes, sockets and devices are only named: opening one
may wait for ever. The walk has an end whatever folder is named, and says after a while what it is doing.
"""

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from lead_hub.access import Access
from lead_hub.errors import DatasetError
from lead_hub.labelled_images.own_files import open_regular_file

SILENT_S = 2.0  # from then on, and as often, a line on standard error tells how far the walk is


@dataclass(frozen=True)
class WalkLimits:
    """The largest folder that is taken for a dataset. ImageNet-21k has 14 million files in 22,000 directories."""

    files: int = 15_000_000
    directories: int = 50_000
    depth: int = 16


@dataclass(frozen=True)
class FolderListing:
    """What a folder holds.

    Attributes:
        root: the folder, absolute, its own links resolved.
        names: the regular files, relative to the root with forward slashes, sorted.
        special: what is no regular file: pipes, sockets, devices, links to nothing.
        loops: links to a folder above them.
        closed: directories that may not be read.
        directories: all below the root, sorted.
        garbled: files, and directories with a slash at the end, whose names are no UTF-8, the odd bytes escaped.
    """

    root: Path
    names: tuple[str, ...]
    special: tuple[str, ...] = ()
    loops: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    garbled: tuple[str, ...] = ()


_KINDS = ("names", "special", "loops", "closed", "directories", "garbled")


@dataclass
class _Walk:
    """A walk under way: what it found, and when it last told."""

    root: Path
    access: Access
    limits: WalkLimits
    silent_s: float
    found: dict[str, list[str]] = field(default_factory=lambda: {kind: [] for kind in _KINDS})
    n_directories: int = 0
    told_at: float = field(default_factory=time.monotonic)

    def note(self, kind: str, name: str) -> None:
        self.found[kind].append(name)
        if len(self.found["names"]) > self.limits.files:
            raise self._too_large(f"{self.limits.files:,} files")

    def entered(self, depth: int) -> None:
        self.access.check_wanted()
        self.n_directories += 1
        if self.n_directories > self.limits.directories:
            raise self._too_large(f"{self.limits.directories:,} directories")
        if depth > self.limits.depth:
            raise self._too_large(f"{self.limits.depth} directories inside one another")
        if self.access.progress and time.monotonic() - self.told_at >= self.silent_s:
            self.told_at = time.monotonic()
            Console(stderr=True, soft_wrap=True).print(
                f"Listing {self.root}: {len(self.found['names']):,} files in {self.n_directories:,} directories so far",
                markup=False,
                highlight=False,
            )

    def _too_large(self, limit: str) -> DatasetError:
        return DatasetError(
            f"the folder of a dataset may hold at most {limit}, found more in {self.root} and listed no further: name"
            " the folder that holds the directories of the classes or of the splits"
        )


def list_folder(
    folder: Path, access: Access, *, limits: WalkLimits | None = None, silent_s: float = SILENT_S
) -> FolderListing:
    """Name every file below a folder.

    Args:
        folder: an existing directory.
        access: whether it may be told on standard error how far the walk is, and whether it is still wanted.
        limits: where the walk gives up; None for the usual ones.
        silent_s: how long the walk is silent, in seconds.

    Raises:
        DatasetError: the folder is larger than any dataset, or cannot be read itself.
        RunCancelledError: cancelled.
    """
    walk = _Walk(folder.resolve(), access, limits or WalkLimits(), silent_s)
    waiting: list[tuple[str, frozenset[tuple[int, int]]]] = [("", frozenset())]
    while waiting:
        directory, above = waiting.pop()
        walk.entered(directory.count("/") + (directory != ""))
        try:
            status = (walk.root / directory).stat()
            entries = _entries(walk.root / directory)
        except OSError as error:
            if not directory:
                raise DatasetError(f"the folder {folder} must be readable, but: {error}") from error
            walk.note("closed", directory)
            continue
        chain = above | {(status.st_dev, status.st_ino)}
        for entry in entries:
            name = f"{directory}/{entry.name}" if directory else entry.name
            if _sorted_out(entry, name, chain, walk):
                walk.note("directories", name)
                waiting.append((name, chain))
    return FolderListing(walk.root, **{kind: tuple(sorted(walk.found[kind])) for kind in _KINDS})


def _entries(directory: Path) -> list["os.DirEntry[str]"]:
    with os.scandir(directory) as entries:
        return list(entries)


def _sorted_out(entry: "os.DirEntry[str]", name: str, chain: frozenset[tuple[int, int]], walk: _Walk) -> bool:
    """Note what is no directory to enter; whether it is one."""
    try:
        entry.name.encode()
    except UnicodeEncodeError:
        shown = name.encode(errors="surrogateescape").decode(errors="backslashreplace")
        walk.note("garbled", shown + "/" * entry.is_dir())
        return False
    try:
        if entry.is_file():
            walk.note("names", name)
        elif not entry.is_dir():
            walk.note("special", name)
        elif entry.is_symlink() and (entry.stat().st_dev, entry.stat().st_ino) in chain:
            walk.note("loops", name)
        else:
            return True
    except OSError:  # a link that leads to itself, or a file behind a directory that may not be read
        walk.note("special", name)
    return False


# How the files of image formats begin. RIFF, ISO media files and others say only further on what they hold.
_BEGINNINGS = (
    *(b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    *(b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51", b"\0\0\0\x0cJXL ", b"8BPS"),
)
_ISO_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1", b"hevc")
_LOOK_BYTES = 32


def looks_like_an_image(path: Path) -> bool:
    """Whether a file begins like an image, whatever its name is."""
    try:
        with open_regular_file(path) as file:
            start = file.read(_LOOK_BYTES)
    except OSError:
        return False
    if start.startswith(_BEGINNINGS) or (start[:4] == b"RIFF" and start[8:12] == b"WEBP"):
        return True
    if start[:2] == b"BM":  # two letters prove little: the header's own size must follow
        return start[6:10] == bytes(4) and start[14:18] in (b"\x28\0\0\0", b"\x0c\0\0\0", b"\x6c\0\0\0", b"\x7c\0\0\0")
    return start[4:8] == b"ftyp" and start[8:12] in _ISO_BRANDS


def first_images(names: Iterable[str], root: Path, *, most: int) -> Iterator[str]:
    """Those of the first `most` files that begin like an image."""
    for number, name in enumerate(names):
        if number >= most:
            return
        if looks_like_an_image(root / name):
            yield name


def grouped_by_directory(names: Iterable[str]) -> Mapping[str, list[str]]:
    """Names by the directory that holds them, "." for the folder itself."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.rpartition("/")[0] or ".", []).append(name)
    return groups

"""A zip of images that a visitor drops -> a folder, and nothing outside of it: nothing that an archive says is trusted.

What a zip may cost is bounded before it is unpacked, by what its list of files promises, and while it is, by what
really comes out of it.
"""

import io
import os
import stat
import struct
import tempfile
import threading
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath

from lead_hub.errors import DatasetError, RunCancelledError

MOST_FILES = 50_000
MOST_BYTES = 4 * 10**9
# A zip of pictures is about as large as they are. What is tightly packed and small costs little all the same.
MOST_RATIO, ANY_RATIO_BYTES = 20, 10**8
MOST_DIRECTORY_BYTES = 16 * 2**20  # the list of MOST_FILES files with long names; Python keeps all of it in memory
UNPACK_S = 120.0
CHUNK_BYTES = 2**18
LOCAL_HEADER_BYTES = 30  # before a file's own bytes, and without its name
METHODS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflated"}  # the others expand in one piece
# What zipfile raises on bytes that are no zip, or not a whole one.
UNREADABLE = (zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, RuntimeError, EOFError, ValueError)
ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".csv", ".jsonl", ".parquet"})
SPLITS = frozenset({"train", "training", "test", "testing", "validation", "valid", "val", "dev", "eval"})
WAY_OUT = "take a sample of each class, or push it to the Hub as a dataset"


@contextmanager
def unpacked(
    archive: Path, *, is_cancelled: Callable[[], bool] = lambda: False, within_s: float = UNPACK_S
) -> Iterator[Path]:
    """The folder of images in a zip, for as long as the block lasts.

    Args:
        archive: the zip; it stays where it is.
        is_cancelled: asked again and again, whether nobody waits for it any more.
        within_s: the longest that unpacking may take.

    Raises:
        DatasetError: no zip, one that is encrypted or damaged, too large or too tightly packed, or without images.
        RunCancelledError: it was cancelled.
    """
    with tempfile.TemporaryDirectory(prefix="lead-hub-upload-") as folder:
        budget = _Budget(0, time.monotonic() + within_s, within_s, is_cancelled)
        try:
            with _ListedInBounds(io.FileIO(archive)) as file, zipfile.ZipFile(file) as opened:
                _unpack(opened, Path(folder), budget, size_bytes=archive.stat().st_size)
        except UNREADABLE as error:
            raise DatasetError(
                f"the upload must be a zip of image folders, and this one cannot be read: {error or 'it is cut off'}"
            ) from error
        except FileNotFoundError as error:
            raise DatasetError(
                f"the zip must still be here, found {archive.name} gone: it is kept for an hour; choose it again"
            ) from error
        except OSError as error:
            raise DatasetError(
                f"the zip must be unpacked before its images can be read, which failed: {error.strerror or error};"
                f" pack it anew, or {WAY_OUT}"
            ) from error
        yield _dataset_folder(Path(folder))


class _ListedInBounds(io.BufferedReader):
    """A file of which no large piece is read at once: zipfile reads a zip's whole list of files in one piece."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > MOST_DIRECTORY_BYTES:
            raise DatasetError(
                f"the zip may hold {MOST_FILES:,} files, found a list of files of {size / 1e6:.0f} MB: {WAY_OUT}"
            )
        return super().read(size)


@dataclass
class _Budget:
    """What unpacking may still cost.

    Attributes:
        left_bytes: how much may still come out.
        until: when it must be over, by `time.monotonic`.
        within_s: how long that was in all, for the message.
        is_cancelled: whether nobody waits for it any more.
    """

    left_bytes: int
    until: float
    within_s: float
    is_cancelled: Callable[[], bool]

    def spend(self, n_bytes: int) -> None:
        """Count bytes that really came out.

        Raises:
            DatasetError: too many, or too late.
            RunCancelledError: it was cancelled.
        """
        self.left_bytes -= n_bytes
        if self.left_bytes < 0:
            raise DatasetError(f"the zip may hold what its list of files says, found more in it: {WAY_OUT}")
        if time.monotonic() > self.until:
            raise DatasetError(f"the zip must be unpacked within {self.within_s:g} s, found it not done: {WAY_OUT}")
        if self.is_cancelled():
            raise RunCancelledError("the run was cancelled while its zip was unpacked: there is no board yet")


def _unpack(archive: zipfile.ZipFile, folder: Path, budget: _Budget, *, size_bytes: int) -> None:
    members = [(member, path) for member in archive.infolist() if (path := _safe_path(member)) is not None]
    if not members:
        raise DatasetError(
            "the zip must hold images in one folder a class (cat/1.png, dog/1.png), found no file of a known image"
            f" format among its {len(archive.infolist())} entries"
        )
    budget.left_bytes = sum(member.file_size for member, _ in members)
    _check_size(len(members), budget.left_bytes, packed_bytes=size_bytes)
    _check_entries(archive, [path for _, path in members])
    for member, path in members:
        _check_method(member)
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(member) as source, target.open("wb") as copy:
            budget.spend(0)
            while chunk := source.read(CHUNK_BYTES):
                budget.spend(len(chunk))
                copy.write(chunk)


def _check_entries(archive: zipfile.ZipFile, paths: Sequence[Path]) -> None:
    """Every file once, and its bytes its own: bytes that many entries share expand as often as they are named."""
    entries = sorted((each.header_offset, each.header_offset + each.compress_size) for each in archive.infolist())
    ends = [(end + LOCAL_HEADER_BYTES, following) for (_, end), (following, _) in pairwise(entries)]
    if any(end > following for end, following in [*ends, (entries[-1][1] + LOCAL_HEADER_BYTES, archive.start_dir)]):
        raise DatasetError("every file of a zip must have bytes of its own, found entries that overlap: pack it anew")
    ((path, count),) = Counter(paths).most_common(1)
    if count > 1:
        raise DatasetError(f"a zip must hold every file once, found {path.as_posix()!r} {count} times: pack it anew")


def _check_size(n_files: int, unpacked_bytes: int, *, packed_bytes: int) -> None:
    if n_files > MOST_FILES or unpacked_bytes > MOST_BYTES:
        raise DatasetError(
            f"the zip may hold {MOST_FILES:,} files of {MOST_BYTES / 1e9:g} GB together, found {n_files:,} files"
            f" of {unpacked_bytes / 1e9:.1f} GB: {WAY_OUT}"
        )
    if unpacked_bytes > max(ANY_RATIO_BYTES, MOST_RATIO * packed_bytes):
        raise DatasetError(
            f"a zip of more than {ANY_RATIO_BYTES / 1e6:g} MB of images may be packed to a {MOST_RATIO}th of them,"
            f" found {unpacked_bytes / 1e6:,.0f} MB in {packed_bytes / 1e6:.1f} MB: save the images as PNG or JPEG, or"
            f" {WAY_OUT}"
        )


def _check_method(member: zipfile.ZipInfo) -> None:
    if member.compress_type not in METHODS:
        raise DatasetError(
            f"the files of a zip must be {' or '.join(METHODS.values())}, found {member.filename[:100]!r} packed by"
            f" method {member.compress_type}: pack it as a plain zip"
        )


def _safe_path(member: zipfile.ZipInfo) -> Path | None:
    """Where a file goes below the folder; None for what is no image, hidden, a link, or points outside."""
    path = PurePosixPath(member.filename.replace("\\", "/"))
    is_link = stat.S_ISLNK(member.external_attr >> 16)
    if member.is_dir() or is_link or path.is_absolute() or path.suffix.lower() not in ENDINGS:
        return None
    hidden = any(part.startswith(".") or part == "__MACOSX" or ":" in part or "\0" in part for part in path.parts)
    return None if hidden or ".." in path.parts else Path(*path.parts)


def _dataset_folder(folder: Path) -> Path:
    """The folder that holds splits or classes: zips often have one more folder around it."""
    inner = list(folder.iterdir())
    while len(inner) == 1 and inner[0].is_dir() and inner[0].name.lower() not in SPLITS:
        if not any(path.is_dir() for path in inner[0].iterdir()):
            break
        folder = inner[0]
        inner = list(folder.iterdir())
    return folder


@dataclass(frozen=True)
class _Zip:
    """A file as it was when a page came to show it; the next upload of the same content is another one."""

    path: Path
    identity: tuple[int, int]


class ShownZips:
    """Which zip each visitor's page shows: it is there as long as one does, and deleted once none does any more.

    Gradio names an upload by its content, so that two visitors with the same zip have one file.
    """

    def __init__(self) -> None:
        self._zips: dict[str, _Zip] = {}
        self._lock = threading.Lock()

    def show(self, session: str, archive: Path | None) -> None:
        """The session's page shows this zip from now on, and no other."""
        with self._lock:
            before = self._zips.pop(session, None)
            if archive is not None and (identity := _identity(archive)) is not None:
                self._zips[session] = _Zip(archive, identity)
            if before is not None and before.path not in {shown.path for shown in self._zips.values()}:
                self._delete(before)

    def forget(self, session: str) -> None:
        """The visitor has left."""
        self.show(session, None)

    @staticmethod
    def _delete(gone: _Zip) -> None:
        if _identity(gone.path) == gone.identity:  # else somebody has just uploaded it too, whom no page names yet
            gone.path.unlink(missing_ok=True)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def keep_for_now(archive: Path) -> None:
    """Uploads are deleted when they have not been used for an hour; this one is."""
    with suppress(OSError):  # gone already, which unpacking it says
        found = archive.stat()
        os.utime(archive, ns=(found.st_atime_ns, found.st_mtime_ns))  # only the time of change is new

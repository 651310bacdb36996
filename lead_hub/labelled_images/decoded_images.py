"""Rows of a dataset -> one flat file of RGB pixels, decoded once and read back one image at a time.

The file is read, not memory-mapped: pages of a mapping count as memory of the process for as long as it lives,
so a pass over 20,000 photos would show as 16 GB.
"""

import os
import pickle  # to open the same files a second time; nothing from outside is ever unpickled
import shutil
import warnings
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from datasets import Dataset
from jaxtyping import Int64, UInt8
from PIL import Image
from rich.console import Console
from rich.progress import track

from lead_hub.access import Access
from lead_hub.errors import DatasetError
from lead_hub.labelled_images.own_files import NO_FILES, OwnFiles, read_image_file
from lead_hub.labelled_images.rgb import rgb_pixels

_ROWS_PER_READ = 16
_ROWS_PER_MAPPING = 512


@dataclass(frozen=True)
class EncodedImage:
    """One image as a dataset stores it: the content of a file, or the path of one, or neither.

    Attributes:
        content: of the file.
        path: of the file; without content it is opened only if it is the dataset's own.
        is_own: whether the dataset brought the file of this path.
    """

    content: bytes | None
    path: str | None
    is_own: bool = True


def encoded_images(
    rows: Dataset, column: str, numbers: Int64[np.ndarray, " image"], own_files: OwnFiles = NO_FILES
) -> Iterator[EncodedImage]:
    """The images of the given rows, in that order, as they are stored.

    A dataset's files are memory-mapped, and the pages that were read count as memory of the process until the
    mapping is closed: so the dataset is opened again every few hundred rows. Pickling it keeps the names of its
    files, not their content.
    """
    closed = pickle.dumps(rows.select_columns([column]).with_format("arrow"))
    for first in range(0, len(numbers), _ROWS_PER_MAPPING):
        mapped = pickle.loads(closed)  # noqa: S301 - written one line above
        for start in range(first, min(first + _ROWS_PER_MAPPING, len(numbers)), _ROWS_PER_READ):
            stop = min(start + _ROWS_PER_READ, first + _ROWS_PER_MAPPING)
            for image in mapped[numbers[start:stop].tolist()][column].to_pylist():
                content, path = (None, None) if image is None else (image["bytes"], image["path"])
                yield EncodedImage(content, path, is_own=content is None and path is not None and path in own_files)


# One image, RGB.
Pixels = UInt8[np.ndarray, "_height _width 3"]

PIXELS_FILE = "pixels.uint8"
_MAXIMUM_THREADS = 16  # a photo of 50 megapixels takes 150 MB while it is decoded
_IMAGES_BETWEEN_DISK_CHECKS = 32


@dataclass(frozen=True, eq=False)
class Decoding:
    """What became of a series of encoded images.

    Attributes:
        readable: positions in the series of the images that were decoded, ascending.
        places: for each of them its offset in the file in bytes, its height and its width.
        reasons: why each other image could not be decoded, by position.
    """

    readable: Int64[np.ndarray, " readable"]
    places: Int64[np.ndarray, "readable 3"]
    reasons: dict[int, str]


class DecodedImages:
    """The pixels in a folder: `images[i]` is a fresh uint8 array [height, width, 3] that the caller may change.

    Safe to read from several threads and processes. A temporary folder is removed by `close`, by garbage
    collection or at exit, whichever comes first, and only by the process that made it.
    """

    def __init__(self, folder: Path, places: Int64[np.ndarray, "image 3"], *, temporary: bool = False) -> None:
        self.folder = folder
        self.places = places
        self._remove = weakref.finalize(self, _remove_folder, folder, os.getpid()) if temporary else None

    def part(self, positions: Int64[np.ndarray, " chosen"]) -> "DecodedImages":
        """Some of the images, in this order, for as long as these are there."""
        return DecodedImages(self.folder, self.places[positions])

    @property
    def largest_short_side_px(self) -> int:
        """Of all of them the largest short side; STORED_SHORT_SIDE_PX where an image was larger than is kept."""
        return int(self.places[:, 1:].min(axis=1).max(initial=0))

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, position: int) -> Pixels:
        offset, height, width = (int(number) for number in self.places[position])
        pixels = np.fromfile(self.folder / PIXELS_FILE, dtype=np.uint8, count=height * width * 3, offset=offset)
        return pixels.reshape(height, width, 3)

    def close(self) -> None:
        """Remove the folder if it is temporary; no image can be read afterwards."""
        if self._remove is not None:
            self._remove()


def decode_images(
    encoded: Iterable[EncodedImage],
    folder: Path,
    *,
    total: int,
    access: Access,
) -> Decoding:
    """Decode `total` images into `folder`, which must exist, in threads and in bounded memory.

    Args:
        encoded: the images.
        folder: gets one file.
        total: how many images there are.
        access: whether a bar is shown, and whether the images are still wanted, asked with each.

    Raises:
        DatasetError: the disk is too small.
    """
    places: dict[int, tuple[int, int, int]] = {}
    reasons: dict[int, str] = {}
    with _whole(folder) as file, _settled_warnings():
        for position, result in enumerate(_shown(_decoded(encoded), total, progress=access.progress)):
            access.check_wanted()
            if isinstance(result, str):
                reasons[position] = result
                continue
            places[position] = (file.tell(), result.shape[0], result.shape[1])
            if len(places) % _IMAGES_BETWEEN_DISK_CHECKS == 0:
                _check_disk(folder, file.tell(), done=position, total=total)
            _write(file, result, folder)
    return Decoding(
        readable=np.array(list(places), dtype=np.int64),
        places=np.array(list(places.values()), dtype=np.int64).reshape(-1, 3),
        reasons=reasons,
    )


def _decoded(encoded: Iterable[EncodedImage]) -> Iterator[Pixels | str]:
    """Pixels or the reason why not, in order; only a few images per thread are ever in memory."""
    threads = min(_MAXIMUM_THREADS, os.cpu_count() or 1)
    waiting: deque[Future[Pixels | str]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
        try:
            for image in encoded:
                waiting.append(pool.submit(_pixels_or_reason, image))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:  # of whoever stops early
                future.cancel()


def _pixels_or_reason(image: EncodedImage) -> Pixels | str:
    try:
        if image.content is not None:
            return rgb_pixels(image.content)
        if image.path is None:
            return "neither content nor a path"
        if not image.is_own:
            return f"{Path(image.path).name}: holds no image, only the path of a file elsewhere, which is not opened"
        return rgb_pixels(read_image_file(image.path))
    except OSError as error:
        name = "" if image.path is None else f"{Path(image.path).name}: "
        return f"{name}{error.strerror or error}"


@contextmanager
def _settled_warnings() -> Iterator[None]:
    """Pillow's remarks on odd metadata neither reach the user nor, under `-W error`, cost an image."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # rgb_pixels refuses these itself
        yield


def _shown(results: Iterator[Pixels | str], total: int, *, progress: bool) -> Iterable[Pixels | str]:
    if not progress:
        return results
    return track(results, "Decoding images", total=total, console=Console(stderr=True), transient=True)


def _check_disk(folder: Path, written_bytes: int, *, done: int, total: int) -> None:
    expected_bytes = written_bytes * (total - done) // done
    free_bytes = shutil.disk_usage(folder).free
    if expected_bytes > free_bytes:
        raise DatasetError(
            f"the decoded images need about {expected_bytes / 1e9:.1f} GB more in {folder}, found"
            f" {free_bytes / 1e9:.1f} GB free; lower max_images, or name another folder (cache_dir, or TMPDIR)"
        )


@contextmanager
def _whole(folder: Path) -> Iterator[BinaryIO]:
    """The file of the pixels; what the operating system still holds back of it is written at the end."""
    try:
        file = (folder / PIXELS_FILE).open("wb")
    except OSError as error:
        raise _cannot_be_written(folder, error) from error
    try:
        yield file
        _flush(file, folder)
    finally:
        _close(file)


def _flush(file: BinaryIO, folder: Path) -> None:
    try:
        file.flush()
    except OSError as error:
        raise _cannot_be_written(folder, error) from error


def _close(file: BinaryIO) -> None:
    """Close it; what could not be written was told before, and would be told again."""
    with suppress(OSError):
        file.close()


def _write(file: BinaryIO, pixels: Pixels, folder: Path) -> None:
    try:
        file.write(np.ascontiguousarray(pixels).data)
    except OSError as error:
        raise _cannot_be_written(folder, error) from error


def _cannot_be_written(folder: Path, error: OSError) -> DatasetError:
    return DatasetError(
        f"decoded images could not be written to {folder}: {error}; free some of the disk, lower max_images, or name"
        " another folder (cache_dir, or TMPDIR)"
    )


def _remove_folder(folder: Path, owner: int) -> None:
    # A forked child inherits the finalizer, and must not take the folder from under its parent.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)

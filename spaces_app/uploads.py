"""A zip of images that a visitor drops -> a folder, and nothing outside of it: names in an archive are not trusted."""

import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from lead_hub.errors import DatasetError

MOST_FILES = 50_000
MOST_BYTES = 4 * 10**9
ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".csv", ".jsonl", ".parquet"})
SPLITS = frozenset({"train", "training", "test", "testing", "validation", "valid", "val", "dev", "eval"})


@contextmanager
def unpacked(archive: Path) -> Iterator[Path]:
    """The folder of images in a zip, for as long as the block lasts.

    Raises:
        DatasetError: no zip, one that is encrypted or damaged, too large, or without images.
    """
    with tempfile.TemporaryDirectory(prefix="lead-hub-upload-") as folder:
        try:
            with zipfile.ZipFile(archive) as file:
                _unpack(file, Path(folder))
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
            raise DatasetError(
                f"the upload must be a zip of image folders, and this one cannot be read: {error}"
            ) from error
        yield _dataset_folder(Path(folder))


def _unpack(archive: zipfile.ZipFile, folder: Path) -> None:
    members = [(member, path) for member in archive.infolist() if (path := _safe_path(member)) is not None]
    if not members:
        raise DatasetError(
            "the zip must hold images in one folder a class (cat/1.png, dog/1.png), found no file of a known image"
            f" format among its {len(archive.infolist())} entries"
        )
    size_bytes = sum(member.file_size for member, _ in members)
    if len(members) > MOST_FILES or size_bytes > MOST_BYTES:
        raise DatasetError(
            f"the zip may hold {MOST_FILES:,} files of {MOST_BYTES / 1e9:g} GB together, found {len(members):,} files"
            f" of {size_bytes / 1e9:.1f} GB: take a sample of each class, or push it to the Hub as a dataset"
        )
    for member, path in members:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(member) as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy)  # zipfile reads no more than the size that was added up above


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

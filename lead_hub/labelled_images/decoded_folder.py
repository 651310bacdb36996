"""Decoded images in a folder that several processes share: complete or absent, never half written."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lead_hub.errors import DatasetError
from lead_hub.labelled_images.abandoned_folders import prefix_of_this_process, remove_abandoned

_FACTS_FILE = "record.json"
_ARRAYS_FILE = "arrays.npz"


@contextmanager
def scratch_folder(parent: Path | None) -> Iterator[Path]:
    """A new folder that stays if the block ends well, and is removed if it does not; only its owner may look into it.

    Those that killed processes left there are removed first.

    Raises:
        DatasetError: no folder can be made there.
    """
    try:
        if parent is not None:
            parent.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.gettempdir()) if parent is None else parent
        remove_abandoned(place)
        folder = Path(tempfile.mkdtemp(prefix=prefix_of_this_process(), dir=place))  # mode 0700
    except OSError as error:
        raise DatasetError(
            f"a folder for the decoded images must be made in {parent or 'the folder of temporary files'}, but:"
            f" {error}; name another folder (cache_dir, or TMPDIR)"
        ) from error
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def is_complete(folder: Path) -> bool:
    """Whether a record was published there."""
    return (folder / _FACTS_FILE).is_file()


def write_record(folder: Path, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Put what describes the pixels beside them.

    Raises:
        DatasetError: the disk is full or may not be written.
    """
    try:
        np.savez(folder / _ARRAYS_FILE, allow_pickle=False, **arrays)
        (folder / _FACTS_FILE).write_text(json.dumps(facts), encoding="utf-8")
    except OSError as error:
        raise DatasetError(
            f"decoded images could not be written to {folder}: {error}; free some of the disk, or name another folder"
            " (cache_dir, or TMPDIR)"
        ) from error


def publish(folder: Path, final: Path) -> None:
    """Move a finished folder to its name in one step; if another process was first, its folder stays."""
    try:
        folder.rename(final)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        if not is_complete(final):
            raise DatasetError(
                f"decoded images could not be moved to {final}: {error}; name an unused folder"
            ) from error


def read_record(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read what `write_record` wrote.

    Raises:
        DatasetError: the files are damaged.
    """
    try:
        facts = json.loads((folder / _FACTS_FILE).read_text(encoding="utf-8"))
        with np.load(folder / _ARRAYS_FILE, allow_pickle=False) as arrays:
            return facts, dict(arrays)
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(f"the decoded images in {folder} are damaged: {error}; remove the folder") from error

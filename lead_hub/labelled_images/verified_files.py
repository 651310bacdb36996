"""The files of a dataset's commit -> the cache, each compared once with the hash that the Hub lists.

What was compared is remembered beside the files, with their sizes and times of change: a warm cache is not hashed
again, and a file that somebody else changed is.
"""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from huggingface_hub import constants
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]  # public, exported lazily

from lead_hub.access import Access
from lead_hub.errors import HubError
from lead_hub.hub import AnnouncedHash, patiently, remove_cached, write_text_whole

REPAIRS = 2
_NAMES_PER_REQUEST = 500
_VERDICTS_FOLDER = "lead-hub-verified"


@dataclass(frozen=True)
class DatasetFiles:
    """Where the files of one commit of a dataset lie in a Hub cache.

    Attributes:
        dataset: Hub id.
        sha: the commit.
        cache: root of the Hub cache.
    """

    dataset: str
    sha: str
    cache: Path

    @property
    def home(self) -> Path:
        """The dataset's folder in the cache, all commits of it."""
        return self.cache / f"datasets--{self.dataset.replace('/', '--')}"

    @property
    def snapshot(self) -> Path:
        """Where the commit's files lie under their own names."""
        return self.home / "snapshots" / self.sha

    @property
    def verdicts(self) -> Path:
        """What was compared before; removed together with the files."""
        return self.home / _VERDICTS_FOLDER / f"{self.sha}.json"


class Verdicts:
    """The files of a commit that had the content which the Hub lists, as they were then. Safe to ask from threads."""

    def __init__(self, files: DatasetFiles) -> None:
        self._files = files
        self._lock = threading.Lock()
        self._known = _read_verdicts(files.verdicts)
        self._is_new = False

    def holds(self, name: str) -> bool:
        """Whether the file is there and unchanged since it was compared."""
        found = _state(self._files.snapshot / name)
        return found is not None and self._known.get(name) == found

    def add(self, name: str) -> None:
        """Remember that the file, as it is now, has the right content."""
        state = _state(self._files.snapshot / name)
        if state is not None:
            with self._lock:
                self._known[name] = state
                self._is_new = True

    def write(self) -> None:
        """Keep what was added.

        Raises:
            OSError: the cache cannot be written.
        """
        with self._lock:
            if self._is_new:
                write_text_whole(self._files.verdicts, json.dumps(self._known))
                self._is_new = False


def _state(path: Path) -> list[int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def _read_verdicts(path: Path) -> dict[str, Any]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # everything is compared again
    return known if isinstance(known, dict) else {}


def announced_hashes(names: Sequence[str], files: DatasetFiles, access: Access) -> Mapping[str, AnnouncedHash]:
    """What the Hub lists of files.

    Raises:
        HfHubHTTPError, HubError: the Hub refused or could not be reached.
        RunCancelledError: cancelled.
    """
    announced: dict[str, AnnouncedHash] = {}
    for first in range(0, len(names), _NAMES_PER_REQUEST):
        part = list(names[first : first + _NAMES_PER_REQUEST])
        listing = partial(access.api.get_paths_info, files.dataset, part, revision=files.sha, repo_type="dataset")
        for info in access.ask(listing, asked_for=f"the hashes of the files of {files.dataset}"):
            if isinstance(info, RepoFile):
                large = info.lfs.sha256 if info.lfs else None
                announced[info.path] = AnnouncedHash(info.size, large, None if large else info.blob_id)
    return announced


def fetch_verified(
    name: str,
    files: DatasetFiles,
    announced: AnnouncedHash | None,
    *,
    access: Access,
    cancelled: Callable[[], bool],
    bar: type[tqdm],
) -> Path:
    """Download one file unless it is there, and again while its content is not what the Hub lists.

    Raises:
        HubError: other bytes each time; nothing of them stays in the cache.
        RunCancelledError: cancelled.
        HfHubHTTPError, OSError: what else the client raises.
    """
    download = partial(
        access.api.hf_hub_download,
        *(files.dataset, name),
        repo_type="dataset",
        revision=files.sha,
        cache_dir=files.cache,
        tqdm_class=bar,
    )
    for attempt in range(REPAIRS + 1):
        again = partial(download, force_download=attempt > 0)
        path = Path(patiently(again, asked_for=f"{name} of {files.dataset}", cancelled=cancelled))
        if announced is None or announced.fits(path):
            return path
    remove_cached(path)
    raise HubError(
        f"{name} of {files.dataset}@{files.sha} must have the content that {constants.ENDPOINT} lists, found other"
        f" bytes {REPAIRS + 1} times: a proxy or a full disk does this, try again"
    )

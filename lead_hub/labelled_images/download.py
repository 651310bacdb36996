"""The data files of a Hub dataset -> files on this machine, handed to the datasets library.

The library's own download of them cannot be stopped, and keeps them in the shared Hub cache whatever it is told.
"""

import os
import shutil
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from datasets import DatasetBuilder, DownloadConfig, DownloadManager
from huggingface_hub import constants

from lead_hub.access import Access
from lead_hub.errors import DatasetError
from lead_hub.hub import cancellable_bar, free_disk
from lead_hub.labelled_images.builder import files_by_split, is_prepared
from lead_hub.labelled_images.commit import DatasetCommit
from lead_hub.labelled_images.image_folder_files import is_image_name
from lead_hub.labelled_images.threads import in_threads
from lead_hub.labelled_images.verified_files import DatasetFiles, Verdicts, announced_hashes, fetch_verified

MANY_FILES = 16  # from here on several at a time, and one bar for all of them
THREADS = 16

_private_cards = threading.Lock()


class FetchedFiles(DownloadManager):  # type: ignore[misc]  # the library is not typed
    """Tells the library where the files of a dataset are."""

    def __init__(self, places: Mapping[str, Path], *, builder: DatasetBuilder, access: Access) -> None:
        self._places = places
        downloads = None if access.datasets_folder is None else access.datasets_folder / "downloads"
        config = DownloadConfig(cache_dir=downloads, use_etag=False, token=access.token)
        super().__init__(builder.dataset_name, builder.config.data_dir, config, builder.base_path)

    def download(self, url_or_urls: Any) -> Any:
        """Their paths, in the same nesting as the addresses; what was not fetched, the library downloads itself."""
        if isinstance(url_or_urls, dict):
            return {key: self.download(inner) for key, inner in url_or_urls.items()}
        if isinstance(url_or_urls, (list, tuple)):
            return [self.download(inner) for inner in url_or_urls]
        place = self._places.get(str(url_or_urls))
        return super().download(url_or_urls) if place is None else str(place)


def fetch_files(builder: DatasetBuilder, dataset: str, *, sha: str, access: Access) -> FetchedFiles:
    """Fetch the files of all splits, which the library prepares together, each with the content that the Hub lists.

    They go into a Hub cache inside the `cache_dir`, else into the user's own. Of tables that were prepared before
    nothing is needed any more. Images stay in their files, of which the library is told where they will be: those of
    a sample are fetched when it is known (`fetch_images`).

    Raises:
        DatasetError: they do not fit the disk.
        RunCancelledError: cancelled; nothing goes on in the background.
        HubDownError: the Hub does not answer.
        HubError: the Hub lists another content than it gives.
        HfHubHTTPError, OSError: what else the client raises.
    """
    addresses: Mapping[str, Sequence[str]] = builder.config.data_files or {}
    if not addresses or (is_prepared(builder) and builder.name != "imagefolder"):
        return FetchedFiles({}, builder=builder, access=access)
    splits = files_by_split(builder)
    names = [name for of_split in splits.values() for name in of_split]
    pairs = dict(zip(names, (address for of_split in addresses.values() for address in of_split), strict=True))
    # A configuration may name files of another revision of the same repository by their whole address.
    own = [name for name in pairs if not name.startswith("hf://")]
    files = DatasetFiles(dataset, sha, downloads_folder(access))
    later = _read_later(splits) if builder.name == "imagefolder" else set()
    fetch_all_verified([name for name in own if name not in later], files, access=access)
    return FetchedFiles({pairs[name]: files.snapshot / name for name in own}, builder=builder, access=access)


def _read_later(splits: Mapping[str, Sequence[str]]) -> set[str]:
    """The images of an image folder but the first of each split, which tells the library that these are files."""
    images = [[name for name in names if is_image_name(name)] for names in splits.values()]
    return {name for of_split in images for name in of_split} - {of_split[0] for of_split in images if of_split}


def fetch_images(paths: Iterable[str], files: DatasetFiles, *, names: Collection[str], access: Access) -> None:
    """Fetch those images of an image folder that rows name.

    Args:
        paths: as the rows name them; others than those of `names` are not fetched.
        files: of the dataset.
        names: of the files that may be fetched, relative to the dataset.
        access: whose token, and whether the images are still wanted.

    Raises:
        DatasetError: they do not fit the disk.
        RunCancelledError, HubDownError, HubError, HfHubHTTPError, OSError: as `fetch_files`.
    """
    root = f"{files.snapshot}{os.sep}"
    named = (path.removeprefix(root).replace(os.sep, "/") for path in paths if path.startswith(root))
    wanted = set(named).intersection(names)
    fetch_all_verified([name for name in names if name in wanted], files, access=access)


def downloads_folder(access: Access) -> Path:
    """The Hub cache that a dataset's files are kept in."""
    return Path(constants.HF_HUB_CACHE) if access.datasets_folder is None else access.datasets_folder / "hub"


def fetch_all_verified(names: Sequence[str], files: DatasetFiles, *, access: Access) -> dict[str, Path]:
    """Fetch files that are not there, and compare those with the Hub's hashes that were not compared before.

    Raises:
        DatasetError: they do not fit the disk.
        RunCancelledError, HubDownError, HubError, HfHubHTTPError, OSError: as `fetch_files`.
    """
    verdicts = Verdicts(files)
    missing = [name for name in names if not verdicts.holds(name)]
    announced = announced_hashes(missing, files, access)
    absent = [each for name, each in announced.items() if not (files.snapshot / name).is_file()]
    check_room(sum(each.size_bytes or 0 for each in absent), files)
    has_many = len(missing) >= MANY_FILES

    def fetch(name: str, cancelled: Callable[[], bool]) -> None:
        bar = cancellable_bar(cancelled, shown=access.progress and not has_many)
        fetch_verified(name, files, announced.get(name), access=access, cancelled=cancelled, bar=bar)
        verdicts.add(name)

    n_threads, title = (THREADS, "Downloading images") if has_many else (1, None)
    in_threads(fetch, missing, access=access, n_threads=n_threads, title=title)
    verdicts.write()
    return {name: files.snapshot / name for name in names}


def check_room(size_bytes: int, files: DatasetFiles) -> None:
    """Refuse to begin what would fill the disk.

    Raises:
        DatasetError: the files that are missing have no room.
    """
    place, free_bytes = free_disk(files.cache)
    if size_bytes > free_bytes:
        raise DatasetError(
            f"the files of {files.dataset} that are read, {size_bytes / 1e9:.1f} GB, must fit the disk, and"
            f" {free_bytes / 1e9:.1f} GB are free in {place}: free some, choose another cache_dir, or name a smaller"
            " dataset or configuration"
        )


@contextmanager
def private_card_removed(commit: DatasetCommit, access: Access) -> Iterator[None]:
    """Within the block the library may read a dataset's card; a private one's does not stay in the shared Hub cache.

    Only where another `cache_dir` was asked for, and the shared cache had nothing of the dataset before.
    """
    if access.datasets_folder is None or not commit.is_private:
        yield
        return
    hub_cache, name = Path(constants.HF_HUB_CACHE), f"datasets--{commit.dataset.replace('/', '--')}"
    with _private_cards:  # another run of this process may be about to read the same card
        was_there = (hub_cache / name).exists()
        try:
            yield
        finally:
            if not was_there:
                shutil.rmtree(hub_cache / name, ignore_errors=True)
                shutil.rmtree(hub_cache / ".locks" / name, ignore_errors=True)

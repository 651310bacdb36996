"""The data files of a Hub dataset -> files on this machine, handed to the datasets library.

The library's own download of them cannot be stopped, and keeps them in the shared Hub cache whatever it is told.
"""

import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from datasets import DatasetBuilder, DownloadConfig, DownloadManager
from huggingface_hub import constants
from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]  # public, exported lazily

from lead_hub.access import Access
from lead_hub.errors import RunCancelledError
from lead_hub.hub import cancellable_bar, patiently
from lead_hub.labelled_images.builder import files_by_split
from lead_hub.labelled_images.commit import DatasetCommit

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
    """Fetch the files of all splits, which the library prepares together, unless it has prepared them before.

    They go into a Hub cache inside the `cache_dir`, else into the user's own.

    Raises:
        RunCancelledError: cancelled; nothing goes on in the background.
        HubDownError: the Hub does not answer.
        HfHubHTTPError, OSError: what else the client raises.
    """
    if (Path(builder.cache_dir) / "dataset_info.json").is_file():
        return FetchedFiles({}, builder=builder, access=access)
    addresses: Mapping[str, Sequence[str]] = builder.config.data_files or {}
    names = [name for of_split in files_by_split(builder).values() for name in of_split]
    pairs = dict(zip(names, (address for of_split in addresses.values() for address in of_split), strict=True))
    # A configuration may name files of another revision of the same repository by their whole address.
    fetched = _fetch([name for name in pairs if not name.startswith("hf://")], dataset, sha=sha, access=access)
    return FetchedFiles({pairs[name]: path for name, path in fetched.items()}, builder=builder, access=access)


def _fetch(names: Sequence[str], dataset: str, *, sha: str, access: Access) -> dict[str, Path]:
    is_over = threading.Event()

    def cancelled() -> bool:
        return is_over.is_set() or access.cancelled()

    bar = cancellable_bar(cancelled, shown=access.progress and len(names) < MANY_FILES)
    cache_dir = None if access.datasets_folder is None else access.datasets_folder / "hub"
    download = partial(
        access.api.hf_hub_download, repo_type="dataset", revision=sha, cache_dir=cache_dir, tqdm_class=bar
    )

    def fetch(name: str) -> Path:
        if cancelled():
            raise RunCancelledError("the run is over")
        return Path(patiently(lambda: download(dataset, name), asked_for=f"{name} of {dataset}", cancelled=cancelled))

    with ThreadPoolExecutor(THREADS if len(names) >= MANY_FILES else 1, "lead-hub-dataset") as threads:
        futures = {name: threads.submit(fetch, name) for name in names}
        try:
            for done in _shown(futures.values(), progress=access.progress and len(names) >= MANY_FILES):
                done.result()
        except BaseException:
            is_over.set()  # those that are under way end at their next bytes
            threads.shutdown(wait=False, cancel_futures=True)
            raise
    return {name: future.result() for name, future in futures.items()}


def _shown(futures: Iterable["Future[Path]"], *, progress: bool) -> Iterable["Future[Path]"]:
    waiting = list(futures)
    done = as_completed(waiting)
    if not progress:
        return done
    return tqdm(done, total=len(waiting), desc="Downloading images", unit="file")  # type: ignore[no-untyped-call]


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

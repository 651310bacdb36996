"""A dataset's commit on the Hub -> the library's builder of its files, and what lies there and is not read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets import DatasetBuilder
from datasets.data_files import DataFilesDict
from huggingface_hub import constants

from lead_hub.access import Access
from lead_hub.errors import DatasetError, HubError
from lead_hub.labelled_images.builder import (
    LOADING_ERRORS,
    by_split,
    cannot_be_opened,
    data_files_of,
    files_by_split,
    is_prepared,
    open_builder,
)
from lead_hub.labelled_images.commit import DatasetCommit
from lead_hub.labelled_images.download import downloads_folder, fetch_all_verified
from lead_hub.labelled_images.image_folder_files import (
    ImageFolderFiles,
    configured_files,
    files_by_names,
    holds_images_only,
    refuse_archives_only,
)
from lead_hub.labelled_images.local_folder import CARD, HUB_SETTINGS, SETTINGS, is_configured_by
from lead_hub.labelled_images.own_files import NO_FILES, OwnFiles
from lead_hub.labelled_images.query import DatasetQuery
from lead_hub.labelled_images.verified_files import DatasetFiles, announced_hashes

OTHERS_UP_TO_BYTES = 500_000_000  # of other splits, that are fetched with the one that is read


@dataclass(frozen=True, eq=False)
class HubDataset:
    """What is read of a dataset on the Hub.

    Attributes:
        builder: the library's, of one configuration.
        splits: names of the files of each split; none offline, for the library's own copy.
        images: what is read of an image folder and what is not; None for other kinds, and offline.
        own_files: what the rows may name.
    """

    builder: DatasetBuilder
    splits: Mapping[str, Sequence[str]]
    images: ImageFolderFiles | None
    own_files: OwnFiles


def open_hub_dataset(query: DatasetQuery, commit: DatasetCommit, access: Access) -> HubDataset:
    """Find the files of every split at the commit.

    Raises:
        DatasetError: there is no such configuration, or several and none is named, or it is no dataset.
        HubError: the Hub refused or could not be reached, or gives another card than it lists.
        RunCancelledError: cancelled.
    """
    try:
        is_configured = _is_configured(commit, access)
    except LOADING_ERRORS as error:
        raise cannot_be_opened(query, error) from error
    refuse_archives_only(commit.files, dataset=query.dataset)
    own = files_by_names(commit.files) if not is_configured and holds_images_only(commit.files) else None
    builder = _library_builder(query, commit, own, access=access)
    splits = files_by_split(builder)
    if not splits:
        copy = commit.loaded(str(builder.hash))
        return HubDataset(builder, splits, None, _files_in_cache(commit.dataset, copy, access))
    if builder.name != "imagefolder" or commit.sha is None:
        return HubDataset(builder, splits, None, NO_FILES)
    images = (
        configured_files(commit.files, splits, config=builder.config.name)
        if is_configured
        else own or files_by_names(commit.files)
    )
    if _sorted(splits) != _sorted(images.splits):
        builder.config.data_files = _addresses(commit, images)
        builder.info.splits = None  # the card counted what the library's own search finds
    return HubDataset(builder, images.splits, images, _files_in_cache(commit.dataset, commit.sha, access))


def builder_of_split(
    found: HubDataset, query: DatasetQuery, commit: DatasetCommit, files: DatasetFiles, access: Access
) -> DatasetBuilder:
    """The builder of the one split that is read, where the others would take long; else that of all splits.

    The library fetches and prepares all splits of a builder together.

    Raises:
        HubError: the Hub refused or could not be reached.
        RunCancelledError: cancelled.
    """
    addresses = found.builder.config.data_files or {}
    others = [name for split, names in found.splits.items() if split != query.split for name in names]
    if commit.sha is None or not others or is_prepared(found.builder):
        return found.builder
    own = [name for name in others if not name.startswith("hf://")]
    sizes = [each.size_bytes or 0 for each in announced_hashes(own, files, access).values()]
    if sum(sizes) <= OTHERS_UP_TO_BYTES:
        return found.builder
    builder = open_builder(query, commit.dataset, access=access, revision=commit.sha, apart=by_split(query.split))
    builder.config.data_files = DataFilesDict({query.split: addresses[query.split]})
    builder.info.splits = None  # the card counted all of them
    return builder


def _library_builder(
    query: DatasetQuery, commit: DatasetCommit, own: ImageFolderFiles | None, *, access: Access
) -> DatasetBuilder:
    """The library's builder; of our files where its own search finds something else in a repository of images."""
    try:
        builder = open_builder(query, commit.dataset, access=access, revision=commit.sha)
    except (DatasetError, HubError) as error:
        if commit.sha is None:
            return _one_split(query, commit, error, access=access)
        if own is None or isinstance(error, HubError):
            raise
    else:
        if own is None or builder.name == "imagefolder" or not builder.config.data_files:
            return builder
    data_files = _addresses(commit, own)
    return open_builder(query, commit.dataset, access=access, revision=commit.sha, data_files=data_files)


def _one_split(query: DatasetQuery, commit: DatasetCommit, error: Exception, *, access: Access) -> DatasetBuilder:
    """Offline, the library's copy of the one split, where only that was prepared; else the error."""
    try:
        return open_builder(query, commit.dataset, access=access, apart=by_split(query.split))
    except (DatasetError, HubError):
        raise error from None


def _sorted(splits: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    return {split: sorted(names) for split, names in splits.items()}


def _addresses(commit: DatasetCommit, images: ImageFolderFiles) -> DataFilesDict:
    root = f"hf://datasets/{commit.dataset}@{commit.sha}"
    addresses = {split: [f"{root}/{name}" for name in names] for split, names in images.splits.items()}
    return data_files_of(addresses, origin=(commit.dataset, str(commit.sha)))


def _is_configured(commit: DatasetCommit, access: Access) -> bool:
    """Whether the dataset says which files make its splits; that is in the library's own cache then, and whole."""
    if commit.sha is None:
        return False
    settings = [name for name in HUB_SETTINGS if name in commit.files]
    files = DatasetFiles(commit.dataset, commit.sha, Path(constants.HF_HUB_CACHE))
    fetched = fetch_all_verified(settings, files, access=access) if settings else {}
    return SETTINGS in fetched or (CARD in fetched and is_configured_by(fetched[CARD]))


def _files_in_cache(dataset: str, sha: str, access: Access) -> OwnFiles:
    files = DatasetFiles(dataset, sha, downloads_folder(access))
    return OwnFiles(folder=files.snapshot, home=files.home, cache=files.cache)

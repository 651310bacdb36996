"""A folder on this machine -> the files of its splits, found by our own walk, and the library's builder of them."""

import glob
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from datasets import DatasetBuilder
from huggingface_hub import metadata_load

from lead_hub.access import Access
from lead_hub.errors import DatasetError
from lead_hub.labelled_images.builder import (
    by_content,
    config_names,
    data_files_of,
    default_config,
    files_by_split,
    open_builder,
)
from lead_hub.labelled_images.folder_listing import FolderListing, first_images, list_folder
from lead_hub.labelled_images.image_folder_files import (
    MOST_LOOKED_AT,
    ImageFolderFiles,
    configured_files,
    files_by_names_and_content,
    holds_images_only,
    is_hidden,
    is_image_name,
    refuse_archives_only,
    refuse_closed,
)
from lead_hub.labelled_images.own_files import NO_FILES, OwnFiles
from lead_hub.labelled_images.query import DatasetQuery
from lead_hub.labelled_images.sample_notes import listed

CARD = "README.md"
SETTINGS = ".huggingface.yaml"
HUB_SETTINGS = (CARD, SETTINGS, "dataset_infos.json")  # what the library reads of a dataset on the Hub before its data
_READ_BY_THE_LIBRARY = (*HUB_SETTINGS, "dataset_info.json", "dataset_dict.json", "state.json")


@dataclass(frozen=True, eq=False)
class LocalFolder:
    """What is read of a folder.

    Attributes:
        query: what was asked for, with the configuration that is read.
        listing: everything that lies there.
        splits: the names of each split's files.
        images: what is read of an image folder and what is not; None for a folder of tables.
        is_own_layout: whether directories alone say what is read, and no card.
        configs: names of all configurations.
        features: the columns as the card gives them where the library cannot read it itself, else None.
    """

    query: DatasetQuery
    listing: FolderListing
    splits: Mapping[str, Sequence[str]]
    images: ImageFolderFiles | None
    is_own_layout: bool
    configs: tuple[str, ...]
    features: Any = None

    def paths(self, split: str) -> list[Path]:
        """Where the files of a split lie."""
        return [self.listing.root / name for name in self.splits[split]]

    @property
    def own_files(self) -> OwnFiles:
        """What its rows may name."""
        if self.images is None:
            return NO_FILES
        return OwnFiles(frozenset(str(self.listing.root / name) for name in self.listing.names), self.listing.root)

    def builder(self, access: Access, *, content: str | None = None) -> DatasetBuilder:
        """The library's builder of exactly these files.

        Raises:
            DatasetError: it cannot open them.
        """
        root = str(self.listing.root)
        apart = None if content is None else by_content(content)
        if not self.is_own_layout and not glob.has_magic(root):
            return open_builder(self.query, root, access=access, apart=apart)
        data_files = data_files_of({split: list(map(str, self.paths(split))) for split in self.splits})
        builder = open_builder(self.query, root, access=access, data_files=data_files, apart=apart)
        if self.features is not None:
            builder.info.features = self.features
        return builder


def open_local_folder(
    query: DatasetQuery, path: Path, access: Access, *, is_default_taken: bool = False
) -> LocalFolder:
    """Find the files of every split.

    Args:
        query: what is asked for.
        path: the folder.
        access: whose caches; whether the walk may be told on standard error.
        is_default_taken: whether the default configuration is taken where none is named; else that is an error.

    Raises:
        DatasetError: there is no such configuration, nothing can be read, or the folder is larger than any dataset.
        RunCancelledError: cancelled.
    """
    listing = list_folder(path, access)
    _refuse_special(query, listing)
    is_configured = _is_configured(listing)
    if not is_configured and holds_images_only(listing.names):
        return _of_own_layout(query, listing)
    with _path_without_patterns(listing) as readable:
        names = config_names(query, str(readable), access=access, revision=None) if is_default_taken else []
        chosen = (
            default_config(query, str(readable), names=names, access=access, revision=None)
            if is_default_taken
            else query
        )
        try:
            builder = open_builder(chosen, str(readable), access=access)
        except DatasetError as error:
            refuse_archives_only(listing.names, dataset=query.dataset)
            _refuse_nameless_images(query, listing, error)
            raise
        splits = files_by_split(builder)
        features = None if readable == listing.root else builder.info.features
    is_image_folder = builder.name == "imagefolder"
    if is_image_folder:
        refuse_archives_only([name for names in splits.values() for name in names], dataset=query.dataset)
    if is_image_folder and not is_configured:
        return _of_own_layout(query, listing)
    if is_image_folder:
        refuse_closed(listing, dataset=query.dataset)
    if is_configured:
        chosen = replace(chosen, config=builder.config.name)
    images = configured_files(listing.names, splits, config=builder.config.name) if is_image_folder else None
    return LocalFolder(chosen, listing, splits, images, is_own_layout=False, configs=tuple(names), features=features)


def _of_own_layout(query: DatasetQuery, listing: FolderListing) -> LocalFolder:
    refuse_closed(listing, dataset=query.dataset)
    if query.config not in (None, "default"):
        raise DatasetError(f"config must be one of {query.dataset}'s (default), found {query.config!r}")
    images = files_by_names_and_content(listing)
    return LocalFolder(query, listing, images.splits, images, is_own_layout=True, configs=("default",))


def left_out_tables(folder: LocalFolder) -> tuple[str, ...]:
    """A note on the parquet files that no split reads, in a folder of tables without a card that chooses."""
    if folder.images is not None or folder.query.config is not None:
        return ()
    read = {name for names in folder.splits.values() for name in names}
    others = [
        name
        for name in folder.listing.names
        if PurePosixPath(name).suffix.lower() == ".parquet" and name not in read and not is_hidden(name)
    ]
    if not others:
        return ()
    return (f"parquet files in the folder that belong to no split, not read: {len(others)}{listed(others)}",)


def is_configured_by(card: Path) -> bool:
    """Whether a dataset's card says which files make its splits; also where it cannot be read, as the library says."""
    try:
        configs = (metadata_load(card) or {}).get("configs")
    except (OSError, ValueError, yaml.YAMLError):
        return True
    return bool(configs)


def _is_configured(listing: FolderListing) -> bool:
    if (listing.root / SETTINGS).is_file():
        return True
    return CARD in listing.names and is_configured_by(listing.root / CARD)


def _refuse_special(query: DatasetQuery, listing: FolderListing) -> None:
    special = [name for name in _READ_BY_THE_LIBRARY if name in listing.special]
    if special:
        raise DatasetError(f"{special[0]} of {query.dataset} must be a file, found something else: remove it")


def _refuse_nameless_images(query: DatasetQuery, listing: FolderListing, error: DatasetError) -> None:
    nameless = list(first_images(listing.names, listing.root, most=MOST_LOOKED_AT))
    if nameless and not any(map(is_image_name, listing.names)):
        raise DatasetError(
            f"images must be in files named like 1.png or 1.jpg, found {len(nameless)} in {query.dataset} that are"
            f" images by their content, without such an ending{listed(nameless)}: rename them"
        ) from error


@contextmanager
def _path_without_patterns(listing: FolderListing) -> Iterator[Path]:
    """The folder, or one of links to its files where the library would take its path for a search pattern."""
    if not glob.has_magic(str(listing.root)):
        yield listing.root
        return
    with tempfile.TemporaryDirectory(prefix="lead-hub-links-") as place:
        folder = Path(os.path.realpath(place)) / "folder"
        folder.mkdir()
        for name in listing.names:
            link = folder / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(listing.root / name)
        yield folder

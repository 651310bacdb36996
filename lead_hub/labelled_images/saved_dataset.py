"""A folder written by save_to_disk -> what it holds; its own list of files names nothing outside of it."""

import json
from pathlib import Path
from typing import Any

import datasets
from datasets import Dataset, DatasetDict

from lead_hub.access import Access
from lead_hub.errors import DatasetError
from lead_hub.labelled_images.builder import LOADING_ERRORS
from lead_hub.labelled_images.folder_listing import FolderListing, list_folder

_STATE, _INFO, _SPLITS = "state.json", "dataset_info.json", "dataset_dict.json"


def load_saved(path: Path, access: Access) -> tuple[Dataset | DatasetDict, FolderListing]:
    """Open what was saved, with the list of its files.

    Raises:
        DatasetError: it is damaged, or names files that do not lie in it.
    """
    listing = list_folder(path, access)
    try:
        _refuse_others(listing)
        return datasets.load_from_disk(str(path)), listing
    except LOADING_ERRORS as error:
        raise DatasetError(f"the saved dataset {path} cannot be read: {error}; save it again") from error


def _refuse_others(listing: FolderListing) -> None:
    folders = [""]
    if _SPLITS in listing.names:
        folders = [f"{split}/" for split in _read(listing, _SPLITS)["splits"]]
    for folder in folders:
        named = [folder + each["filename"] for each in _read(listing, folder + _STATE)["_data_files"]]
        for name in (folder + _INFO, *named):
            if name not in listing.names:
                raise ValueError(f"{name} must be a file in the folder, found none")


def _read(listing: FolderListing, name: str) -> Any:
    if name not in listing.names:
        raise ValueError(f"{name} must be a file in the folder, found none")
    return json.loads((listing.root / name).read_text(encoding="utf-8"))

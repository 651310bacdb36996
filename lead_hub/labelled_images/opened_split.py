"""A dataset id or path -> the rows of one split, pinned: a Hub commit, or the hash of local files.

Never runs a dataset's own code (the datasets library no longer can), and reads no split but the one asked for.
"""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import datasets
import numpy as np
import pyarrow.compute
from datasets import Dataset, DatasetBuilder
from jaxtyping import Int64

from lead_hub.access import Access
from lead_hub.errors import DatasetError
from lead_hub.hub import files_sha256, limited
from lead_hub.labelled_images.builder import (
    LOADING_ERRORS,
    by_content,
    cache_error,
    data_files_of,
    kind_of,
    local_path,
    open_builder,
    progress_bars,
    saved_splits,
)
from lead_hub.labelled_images.commit import DatasetCommit, hub_error, pin_dataset
from lead_hub.labelled_images.decoded_images import EncodedImage, encoded_images
from lead_hub.labelled_images.download import (
    FetchedFiles,
    downloads_folder,
    fetch_files,
    fetch_images,
    private_card_removed,
)
from lead_hub.labelled_images.hub_dataset import HubDataset, builder_of_split, open_hub_dataset
from lead_hub.labelled_images.image_folder_files import (
    ImageFolderFiles,
    left_out_notes,
    refuse_lost_classes,
    refuse_unlabelled,
    table_notes,
)
from lead_hub.labelled_images.image_folder_layout import WAY_OUT, refuse_merged_splits
from lead_hub.labelled_images.label_tables import check_label_tables
from lead_hub.labelled_images.local_folder import LocalFolder, left_out_tables, open_local_folder
from lead_hub.labelled_images.own_files import NO_FILES, OwnFiles
from lead_hub.labelled_images.query import DatasetQuery
from lead_hub.labelled_images.read_in_part import ReadInPart, open_in_part, reopen_in_part
from lead_hub.labelled_images.saved_dataset import load_saved
from lead_hub.labelled_images.verified_files import DatasetFiles


class SplitNotFoundError(DatasetError):
    """The dataset has no split of the name that was asked for."""


@dataclass(frozen=True, eq=False)
class OpenedSplit:
    """The rows of one split, nothing of them decoded.

    Attributes:
        rows: the split.
        sha: commit on the Hub (40 hex digits) or sha256 over the split's files (64).
        is_local: whether it was read from disk.
        config: configuration that was loaded, None where the notion does not apply.
        image_directories: for an image folder, the directories of the split's images relative to it; else None.
        is_private: False only for a repository that the Hub shows to everybody.
        own_files: the files that rows without an image may name; no other is opened.
        notes: what lies beside the split's files and is not read, as sentences for people.
        fetch: brings the files of the images that rows name by these paths, where they are not here yet; None where
            all that rows name is here.
        part: of a large split, the rows of which the class is known; None where all rows are here.
    """

    rows: Dataset
    sha: str
    is_local: bool
    config: str | None
    image_directories: tuple[str, ...] | None
    is_private: bool = True
    own_files: OwnFiles = NO_FILES
    notes: tuple[str, ...] = ()
    fetch: Callable[[Collection[str]], object] | None = None

    part: ReadInPart | None = None

    def bring(self, column: str, sample: Int64[np.ndarray, " image"]) -> tuple[str, ...]:
        """Fetch the images of these rows, where they are not here yet, and say what only that tells of them.

        Raises:
            DatasetError: they do not fit the disk, or cannot be read.
            HubError: the Hub refused or could not be reached, or gives another content than it lists.
            RunCancelledError: nobody waits for them any more.
        """
        if self.part is not None:
            return self.part.fetch(sample)
        if self.fetch is not None:
            self.fetch(_paths_in(self.rows.select_columns([column]).select(sample.tolist())))
        return ()

    def images(self, column: str, sample: Int64[np.ndarray, " image"]) -> Iterator[EncodedImage]:
        """The images of these rows, which were brought, as they are stored."""
        if self.part is not None:
            return self.part.images(sample)
        return encoded_images(self.rows, column, sample, self.own_files)

    def values(self, column: str, sample: Int64[np.ndarray, " image"]) -> list[Any]:
        """What another column holds in these rows, whose images were brought."""
        if self.part is not None:
            return list(self.part.values(column, sample))
        found = self.rows.select_columns([column]).with_format("arrow")[sample.tolist()][column]
        return list(found.to_pylist())

    def numbers(self, sample: Int64[np.ndarray, " image"]) -> Int64[np.ndarray, " image"]:
        """The numbers of these rows within the split."""
        return sample if self.part is None else self.part.numbers[sample]


def open_split(query: DatasetQuery, access: Access) -> OpenedSplit:
    """Open a local path if there is one of that name, else the Hub dataset of that id.

    Raises:
        DatasetError: there is no such dataset, config or split, or its files cannot be read.
        HubError: the Hub refused or could not be reached.
        RunCancelledError: nobody waits for them any more.
    """
    path = local_path(query)
    with progress_bars(shown=access.progress):
        if path is None:
            return _open_hub(query, pin_dataset(query.dataset, query.revision, access=access), access=access)
        kind = kind_of(query, path)
        if kind == "file":
            return _open_file(query, path, access=access)
        return _open_saved(query, path, access=access) if kind == "saved" else _open_folder(query, path, access=access)


def _open_hub(query: DatasetQuery, commit: DatasetCommit, *, access: Access) -> OpenedSplit:
    if commit.sha is None:
        part = reopen_in_part(query, downloads_folder(access), access)
        if part is not None:
            return _of_part(part)
    with private_card_removed(commit, access), limited(access.cancelled):
        found = open_hub_dataset(query, commit, access)
    if found.splits:  # there are none of the library's own copy, when offline
        _require_split_of_files(query, found.splits, found.images)
    if found.images is not None:
        refuse_lost_classes(found.images, dataset=query.dataset)
    builder = found.builder
    sha = commit.loaded(str(builder.hash))
    files = DatasetFiles(commit.dataset, sha, downloads_folder(access))
    if found.splits and found.images is None:
        with translated_errors(query, access):
            part = open_in_part(builder, query, files, access=access, is_private=commit.is_private)
        if part is not None:
            return _of_part(part)
        with translated_errors(query, access), private_card_removed(commit, access), limited(access.cancelled):
            builder = builder_of_split(found, query, commit, files, access)
    with translated_errors(query, access):
        fetched = fetch_files(builder, commit.dataset, sha=sha, access=access)
    rows = _prepared(builder, query, access=access, fetched=fetched)
    snapshot, names = found.own_files.folder, found.splits.get(query.split, ())
    listed_files = {str(snapshot / name): name for name in names} if snapshot else {}
    return OpenedSplit(
        rows,
        sha,
        is_local=False,
        config=builder.config.name,
        image_directories=None if found.images is None else _directories(found.splits[query.split]),
        is_private=commit.is_private,
        own_files=found.own_files,
        notes=_notes(found.images, rows, listed_files),
        fetch=_way_to_fetch(query, found, commit, files, access),
    )


def _of_part(part: ReadInPart) -> OpenedSplit:
    return OpenedSplit(
        part.rows,
        part.files.sha,
        is_local=False,
        config=part.config,
        image_directories=None,
        is_private=part.is_private,
        part=part,
    )


def _way_to_fetch(
    query: DatasetQuery, found: HubDataset, commit: DatasetCommit, files: DatasetFiles, access: Access
) -> Callable[[Collection[str]], object] | None:
    if commit.sha is None and found.own_files.folder is not None:
        return partial(_require_here, query, files)
    if found.images is None:
        return None
    return partial(fetch_images, files=files, names=found.splits[query.split], access=access)


def _require_here(query: DatasetQuery, files: DatasetFiles, paths: Collection[str]) -> None:
    """Offline, refuse a sample of which not all was downloaded before."""
    own = [path for path in paths if path.startswith(f"{files.snapshot}{os.sep}")]
    if missing := sum(not Path(path).is_file() for path in own):
        raise DatasetError(
            f"offline, all images of the sample must be in the cache, but {missing} of {len(own)} of {query.dataset}"
            f" were never downloaded: go online once with max_images={query.max_images} and seed={query.seed}, or ask"
            " for the same as then"
        )


def _open_file(query: DatasetQuery, path: Path, *, access: Access) -> OpenedSplit:
    sha = _content_sha([path], path.parent, access=access)
    data_files = data_files_of({query.split: [str(path)]})
    builder = open_builder(query, "parquet", access=access, data_files=data_files, apart=by_content(sha))
    rows = _prepared(builder, query, access=access)
    return OpenedSplit(rows, sha, is_local=True, config=None, image_directories=None)


def _open_folder(query: DatasetQuery, path: Path, *, access: Access) -> OpenedSplit:
    folder = open_local_folder(query, path, access)
    _require_split_of_files(query, folder.splits, folder.images)
    if folder.images is not None and folder.is_own_layout:
        refuse_lost_classes(folder.images, dataset=query.dataset)
        refuse_unlabelled(folder.images, query.split, dataset=query.dataset)
    root = folder.listing.root
    sha = _content_sha(folder.paths(query.split), root, access=access)
    builder = folder.builder(access, content=sha)
    rows = _prepared(builder, query, access=access)
    names = {str(root / name): name for name in folder.splits[query.split]}
    if folder.images is not None and folder.images.has_tables:
        sha = _with_unlisted(sha, folder, rows, names, access=access)
    return OpenedSplit(
        rows,
        sha,
        is_local=True,
        config=builder.config.name,
        image_directories=None if folder.images is None else _directories(folder.splits[query.split]),
        own_files=folder.own_files,
        notes=(*_notes(folder.images, rows, names), *left_out_tables(folder)),
    )


def _open_saved(query: DatasetQuery, path: Path, *, access: Access) -> OpenedSplit:
    if splits := saved_splits(path):
        _require_split(query, splits)
        path = path / query.split
    rows, listing = load_saved(path, access)
    if rows.split is not None:
        _require_split(query, [str(rows.split)])
    names = [name for name in listing.names if not PurePosixPath(name).name.startswith("cache-")]
    sha = _content_sha([listing.root / name for name in names], listing.root, access=access)
    return OpenedSplit(
        rows, sha, is_local=True, config=None, image_directories=None, own_files=OwnFiles(folder=path.resolve())
    )


def _content_sha(files: Iterable[Path], root: Path, *, access: Access) -> str:
    """64 hex digits over the names below `root` and the content of the files: two copies of a folder agree."""
    try:
        return files_sha256(
            ((path.relative_to(root).as_posix(), path) for path in files),
            heading=lambda name, size_bytes: f"{len(name.encode())} {size_bytes} {name}",
            check_wanted=access.check_wanted,
        )
    except OSError as error:
        raise DatasetError(f"every file of the dataset must be readable, but: {error}") from error


def _require_split_of_files(
    query: DatasetQuery, splits: Mapping[str, Sequence[str]], images: ImageFolderFiles | None
) -> None:
    """Refuse a split that is not there, or holds those of several; before anything is downloaded or read."""
    _require_split(query, list(splits), hint=f". {WAY_OUT}" if images is not None else "")
    if images is not None:
        refuse_merged_splits(splits[query.split], split=query.split, dataset=query.dataset)


def _directories(files: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted({os.path.dirname(file) or "." for file in files}))  # noqa: PTH120 - these may be hf:// paths


def _notes(images: ImageFolderFiles | None, rows: Dataset, names: Mapping[str, str]) -> tuple[str, ...]:
    """What an image folder holds and its split does not.

    Args:
        images: what is read of it; None for another kind of dataset.
        rows: of the split.
        names: of the split's files, by the paths that the rows name.
    """
    if images is None:
        return ()
    tables = table_notes(_paths_in(rows), names) if images.has_tables else ()
    return (*left_out_notes(images), *tables)


def _with_unlisted(sha: str, folder: LocalFolder, rows: Dataset, names: Mapping[str, str], *, access: Access) -> str:
    """The hash, over those files, too, that only a table of labels names, as they have no ending of an image format."""
    others = {path for path in _paths_in(rows) if path not in names and path in folder.own_files.paths}
    if not others:
        return sha
    return _content_sha([*map(Path, names), *map(Path, sorted(others))], folder.listing.root, access=access)


def _paths_in(rows: Dataset) -> list[str]:
    """The paths that rows name where they hold no image themselves."""
    columns = [name for name, feature in rows.features.items() if isinstance(feature, datasets.Image)]
    table = rows.select_columns(columns).with_format("arrow")[:]
    return [
        path
        for name in columns
        for path in pyarrow.compute.struct_field(table[name], "path").to_pylist()
        if path is not None
    ]


def _prepared(
    builder: DatasetBuilder, query: DatasetQuery, *, access: Access, fetched: FetchedFiles | None = None
) -> Dataset:
    with translated_errors(query, access):
        _make_stoppable(builder, access)
        check_label_tables(builder, access)
        builder.download_and_prepare(dl_manager=fetched)
        splits = builder.info.splits or {}
        _require_split(query, list(splits))
        if not splits[query.split].num_examples:
            raise DatasetError(f"split {query.split!r} of {query.dataset} must have images, found no rows")
        return builder.as_dataset(split=query.split)


def _make_stoppable(builder: DatasetBuilder, access: Access) -> None:
    """Let the library's preparation of gigabytes, which knows no stopping, end at its next row or table."""

    def until_cancelled(generate: Callable[..., Iterator[Any]], **arguments: object) -> Iterator[Any]:
        for item in generate(**arguments):
            access.check_wanted()
            yield item

    for name in ("_generate_examples", "_generate_tables"):  # builders of rows have the one, of tables the other
        if generate := getattr(builder, name, None):
            setattr(builder, name, partial(until_cancelled, generate))


@contextmanager
def translated_errors(query: DatasetQuery, access: Access) -> Iterator[None]:
    """What reading the files raises, in words that help."""
    try:
        yield
    except LOADING_ERRORS as error:
        access.check_wanted()  # the library wraps what ended it
        reason = error.__cause__ or error  # the library's own message only says that generating failed
        if isinstance(reason, DatasetError):
            raise reason from None
        raise (
            hub_error(query.dataset, error)
            or cache_error(query, error)
            or DatasetError(f"the files of {query.dataset} cannot be read: {type(reason).__name__}: {reason}")
        ) from error


def _require_split(query: DatasetQuery, splits: Sequence[str], *, hint: str = "") -> None:
    if query.split not in splits:
        raise SplitNotFoundError(
            f"split must be one of {query.dataset}'s ({', '.join(splits)}), found {query.split!r};"
            f" name the one that you will train on{hint}"
        )

"""A dataset id or path -> the rows of one split, pinned: a Hub commit, or the hash of local files.

Never runs a dataset's own code (the datasets library no longer can), and reads no split but the one asked for.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import datasets
from datasets import Dataset, DatasetBuilder

from lead_hub.access import Access
from lead_hub.errors import DatasetError
from lead_hub.hub import files_sha256, limited
from lead_hub.labelled_images.builder import (
    LOADING_ERRORS,
    files_by_split,
    kind_of,
    open_builder,
    progress_bars,
    saved_splits,
)
from lead_hub.labelled_images.commit import DatasetCommit, hub_error, pin_dataset
from lead_hub.labelled_images.download import FetchedFiles, fetch_files, private_card_removed
from lead_hub.labelled_images.image_folder_layout import WAY_OUT, refuse_merged_splits
from lead_hub.labelled_images.query import DatasetQuery


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
    """

    rows: Dataset
    sha: str
    is_local: bool
    config: str | None
    image_directories: tuple[str, ...] | None
    is_private: bool = True


def open_split(query: DatasetQuery, access: Access) -> OpenedSplit:
    """Open a local path if there is one of that name, else the Hub dataset of that id.

    Raises:
        DatasetError: there is no such dataset, config or split, or its files cannot be read.
        HubError: the Hub refused or could not be reached.
        RunCancelledError: nobody waits for them any more.
    """
    dataset = query.dataset
    path = Path(dataset).expanduser()
    with progress_bars(shown=access.progress):
        if not path.exists():
            return _open_hub(query, pin_dataset(dataset, query.revision, access=access), access=access)
        return _open_local(query, path.resolve(), access=access)


def _open_hub(query: DatasetQuery, commit: DatasetCommit, *, access: Access) -> OpenedSplit:
    with private_card_removed(commit, access), limited(access.cancelled):
        builder = open_builder(query, query.dataset, access=access, revision=commit.sha)
    files = _files_of_split(builder, query)
    sha = commit.loaded(str(builder.hash))
    with _translated_errors(query, access):
        fetched = fetch_files(builder, commit.dataset, sha=sha, access=access)
    rows = _prepared(builder, query, access=access, fetched=fetched)
    return OpenedSplit(
        rows,
        sha,
        is_local=False,
        config=builder.config.name,
        image_directories=_directories(builder, files),
        is_private=commit.is_private,
    )


def _open_local(query: DatasetQuery, path: Path, *, access: Access) -> OpenedSplit:
    kind = kind_of(query, path)
    if kind == "file":
        builder = open_builder(query, "parquet", access=access, data_files={query.split: str(path)})
        return OpenedSplit(
            _prepared(builder, query, access=access),
            _content_sha([path], path.parent, access=access),
            is_local=True,
            config=None,
            image_directories=None,
        )
    if kind == "saved":
        return _open_saved(query, path, access=access)
    builder = open_builder(query, str(path), access=access)
    files = _files_of_split(builder, query)
    split_files = [Path(file) for file in builder.config.data_files[query.split]]
    sha = _content_sha(split_files, path, access=access)
    return OpenedSplit(
        _prepared(builder, query, access=access),
        sha,
        is_local=True,
        config=builder.config.name,
        image_directories=_directories(builder, files),
    )


def _open_saved(query: DatasetQuery, path: Path, *, access: Access) -> OpenedSplit:
    if splits := saved_splits(path):
        _require_split(query, splits)
        path = path / query.split
    try:
        rows = datasets.load_from_disk(str(path))
    except LOADING_ERRORS as error:
        raise DatasetError(f"the saved dataset {path} cannot be read: {error}; save it again") from error
    if rows.split is not None:
        _require_split(query, [str(rows.split)])
    files = [file for file in path.rglob("*") if file.is_file() and not file.name.startswith("cache-")]
    sha = _content_sha(files, path, access=access)
    return OpenedSplit(rows, sha, is_local=True, config=None, image_directories=None)


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


def _files_of_split(builder: DatasetBuilder, query: DatasetQuery) -> list[str]:
    """Data files of the split relative to the dataset; checked before anything is downloaded."""
    by_split = files_by_split(builder)
    if not by_split:  # the library's own cache, when offline
        return []
    is_image_folder = builder.name == "imagefolder"
    _require_split(query, list(by_split), hint=f". {WAY_OUT}" if is_image_folder else "")
    files = by_split[query.split]
    if is_image_folder:
        refuse_merged_splits(files, split=query.split, dataset=query.dataset)
    return files


def _directories(builder: DatasetBuilder, files: Sequence[str]) -> tuple[str, ...] | None:
    if builder.name != "imagefolder":
        return None
    return tuple(sorted({os.path.dirname(file) or "." for file in files}))  # noqa: PTH120 - these may be hf:// paths


def _prepared(
    builder: DatasetBuilder, query: DatasetQuery, *, access: Access, fetched: FetchedFiles | None = None
) -> Dataset:
    with _translated_errors(query, access):
        _make_stoppable(builder, access)
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
def _translated_errors(query: DatasetQuery, access: Access) -> Iterator[None]:
    """What reading the files raises, in words that help."""
    try:
        yield
    except LOADING_ERRORS as error:
        access.check_wanted()  # the library wraps what ended it
        reason = error.__cause__ or error  # the library's own message only says that generating failed
        raise hub_error(query.dataset, error) or DatasetError(
            f"the files of {query.dataset} cannot be read: {type(reason).__name__}: {reason}"
        ) from error


def _require_split(query: DatasetQuery, splits: Sequence[str], *, hint: str = "") -> None:
    if query.split not in splits:
        raise SplitNotFoundError(
            f"split must be one of {query.dataset}'s ({', '.join(splits)}), found {query.split!r};"
            f" name the one that you will train on{hint}"
        )

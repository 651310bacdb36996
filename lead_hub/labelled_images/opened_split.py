"""A dataset id or path -> the rows of one split, pinned: a Hub commit, or a fingerprint of local files.

Never runs a dataset's own code (the datasets library no longer can), and reads no split but the one asked for.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import datasets
from datasets import Dataset, DatasetBuilder

from lead_hub.errors import DatasetError
from lead_hub.hub import limited
from lead_hub.labelled_images.builder import (
    LOADING_ERRORS,
    Source,
    files_by_split,
    open_builder,
    progress_bars,
    refuse_other_than_parquet,
    refuse_revision,
    refuse_saved_config,
    saved_splits,
)
from lead_hub.labelled_images.commit import DatasetCommit, hub_error, pin_dataset
from lead_hub.labelled_images.download import FetchedFiles, fetch_files, private_card_removed
from lead_hub.labelled_images.fingerprint import fingerprint
from lead_hub.labelled_images.image_folder_layout import WAY_OUT, refuse_merged_splits


class SplitNotFoundError(DatasetError):
    """The dataset has no split of the name that was asked for."""


@dataclass(frozen=True, eq=False)
class OpenedSplit:
    """The rows of one split, nothing of them decoded.

    Attributes:
        rows: the split.
        sha: commit on the Hub (40 hex digits) or fingerprint of the split's files (64).
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


def open_split(source: Source, *, progress: bool) -> OpenedSplit:
    """Open a local path if there is one of that name, else the Hub dataset of that id.

    Raises:
        DatasetError: there is no such dataset, config or split, or its files cannot be read.
        HubError: the Hub refused or could not be reached.
        RunCancelledError: the source's `cancelled` said so.
    """
    dataset = source.query.dataset
    path = Path(dataset).expanduser()
    with progress_bars(shown=progress):
        if not path.exists():
            commit = pin_dataset(dataset, source.query.revision, token=source.token, cancelled=source.cancelled)
            return _open_hub(source, commit, progress=progress)
        refuse_revision(source)
        return _open_local(source, path.resolve())


def _open_hub(source: Source, commit: DatasetCommit, *, progress: bool) -> OpenedSplit:
    with private_card_removed(source, commit), limited(source.cancelled):
        builder = open_builder(source, source.query.dataset, revision=commit.sha)
    files = _files_of_split(builder, source)
    sha = commit.loaded(str(builder.hash))
    with _translated_errors(source):
        fetched = fetch_files(builder, source, sha, progress=progress)
    rows = _prepared(builder, source, fetched)
    return OpenedSplit(
        rows,
        sha,
        is_local=False,
        config=builder.config.name,
        image_directories=_directories(builder, files),
        is_private=commit.is_private,
    )


def _open_local(source: Source, path: Path) -> OpenedSplit:
    if path.is_file():
        refuse_other_than_parquet(source, path)
        builder = open_builder(source, "parquet", data_files={source.query.split: str(path)})
        return OpenedSplit(
            _prepared(builder, source),
            fingerprint([path], path.parent, check_wanted=source.check_wanted),
            is_local=True,
            config=None,
            image_directories=None,
        )
    if saved_splits(path) is not None:
        return _open_saved(source, path)
    builder = open_builder(source, str(path))
    files = _files_of_split(builder, source)
    split_files = [Path(file) for file in builder.config.data_files[source.query.split]]
    sha = fingerprint(split_files, path, check_wanted=source.check_wanted)
    return OpenedSplit(
        _prepared(builder, source),
        sha,
        is_local=True,
        config=builder.config.name,
        image_directories=_directories(builder, files),
    )


def _open_saved(source: Source, path: Path) -> OpenedSplit:
    if splits := saved_splits(path):
        _require_split(source, splits)
        path = path / source.query.split
    refuse_saved_config(source)
    try:
        rows = datasets.load_from_disk(str(path))
    except LOADING_ERRORS as error:
        raise DatasetError(f"the saved dataset {path} cannot be read: {error}; save it again") from error
    if rows.split is not None:
        _require_split(source, [str(rows.split)])
    files = [file for file in path.rglob("*") if file.is_file() and not file.name.startswith("cache-")]
    sha = fingerprint(files, path, check_wanted=source.check_wanted)
    return OpenedSplit(rows, sha, is_local=True, config=None, image_directories=None)


def _files_of_split(builder: DatasetBuilder, source: Source) -> list[str]:
    """Data files of the split relative to the dataset; checked before anything is downloaded."""
    by_split = files_by_split(builder)
    if not by_split:  # the library's own cache, when offline
        return []
    is_image_folder = builder.name == "imagefolder"
    _require_split(source, list(by_split), hint=f". {WAY_OUT}" if is_image_folder else "")
    files = by_split[source.query.split]
    if is_image_folder:
        refuse_merged_splits(files, split=source.query.split, dataset=source.query.dataset)
    return files


def _directories(builder: DatasetBuilder, files: Sequence[str]) -> tuple[str, ...] | None:
    if builder.name != "imagefolder":
        return None
    return tuple(sorted({os.path.dirname(file) or "." for file in files}))  # noqa: PTH120 - these may be hf:// paths


def _prepared(builder: DatasetBuilder, source: Source, fetched: FetchedFiles | None = None) -> Dataset:
    with _translated_errors(source):
        _make_stoppable(builder, source)
        builder.download_and_prepare(dl_manager=fetched)
        splits = builder.info.splits or {}
        _require_split(source, list(splits))
        if not splits[source.query.split].num_examples:
            raise DatasetError(
                f"split {source.query.split!r} of {source.query.dataset} must have images, found no rows"
            )
        return builder.as_dataset(split=source.query.split)


def _make_stoppable(builder: DatasetBuilder, source: Source) -> None:
    """Let the library's preparation of gigabytes, which knows no stopping, end at its next row or table."""

    def until_cancelled(generate: Callable[..., Iterator[Any]], **arguments: object) -> Iterator[Any]:
        for item in generate(**arguments):
            source.check_wanted()
            yield item

    for name in ("_generate_examples", "_generate_tables"):  # builders of rows have the one, of tables the other
        if generate := getattr(builder, name, None):
            setattr(builder, name, partial(until_cancelled, generate))


@contextmanager
def _translated_errors(source: Source) -> Iterator[None]:
    """What reading the files raises, in words that help."""
    try:
        yield
    except LOADING_ERRORS as error:
        source.check_wanted()  # the library wraps what ended it
        reason = error.__cause__ or error  # the library's own message only says that generating failed
        raise hub_error(source.query.dataset, error) or DatasetError(
            f"the files of {source.query.dataset} cannot be read: {type(reason).__name__}: {reason}"
        ) from error


def _require_split(source: Source, splits: Sequence[str], *, hint: str = "") -> None:
    if source.query.split not in splits:
        raise SplitNotFoundError(
            f"split must be one of {source.query.dataset}'s ({', '.join(splits)}), found {source.query.split!r};"
            f" name the one that you will train on{hint}"
        )

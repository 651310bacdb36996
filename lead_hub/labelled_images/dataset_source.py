"""A dataset id or path -> the rows of one split, pinned: a Hub commit, or a fingerprint of local files.

Never runs a dataset's own code (the datasets library no longer can), and reads no split but the one asked for.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import datasets
import pyarrow
from datasets import Dataset, DatasetBuilder
from datasets.exceptions import DatasetsError
from huggingface_hub.errors import HfHubHTTPError

from lead_hub.errors import DatasetError
from lead_hub.labelled_images.dataset_fingerprint import fingerprint
from lead_hub.labelled_images.dataset_query import DatasetQuery
from lead_hub.labelled_images.hub_dataset import DatasetCommit, hub_error, pin_dataset
from lead_hub.labelled_images.image_folder_layout import WAY_OUT, refuse_merged_splits

# What the datasets library and pyarrow raise on files or repositories that they cannot read.
_LOADING_ERRORS = (
    DatasetsError,
    OSError,
    ValueError,
    TypeError,
    KeyError,
    RuntimeError,
    NotImplementedError,
    pyarrow.ArrowException,
)


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


@dataclass(frozen=True)
class Source:
    """A query and the edges that it is answered over.

    Attributes:
        query: which dataset and split.
        cache_dir: where the datasets library keeps its prepared copy; None means its own default.
        token: Hub token; None means the one that is logged in.
    """

    query: DatasetQuery
    cache_dir: Path | None
    token: str | None


def open_split(source: Source, *, progress: bool) -> OpenedSplit:
    """Open a local path if there is one of that name, else the Hub dataset of that id.

    Raises:
        DatasetError: there is no such dataset, config or split, or its files cannot be read.
        HubError: the Hub refused or could not be reached.
    """
    path = Path(source.query.dataset).expanduser()
    with _progress_bars(shown=progress):
        if not path.exists():
            return _open_hub(source, pin_dataset(source.query.dataset, source.query.revision, token=source.token))
        if source.query.revision is not None:
            raise DatasetError(
                f"only a Hub dataset has revisions, found revision={source.query.revision!r} for the local path"
                f" {source.query.dataset}; leave it out"
            )
        return _open_local(source, path.resolve())


def _open_hub(source: Source, commit: DatasetCommit) -> OpenedSplit:
    builder = _builder(source, source.query.dataset, revision=commit.sha)
    files = _files_of_split(builder, source)
    rows = _prepared(builder, source)
    sha = commit.loaded(str(builder.hash))
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
        if path.suffix != ".parquet":
            raise DatasetError(
                f"a dataset in one file must be .parquet, found {source.query.dataset}; images in a folder, a folder of"
                " parquet files or a folder written by save_to_disk can be read too, a csv or jsonl table cannot"
            )
        builder = _builder(source, "parquet", data_files={source.query.split: str(path)})
        return OpenedSplit(
            _prepared(builder, source),
            fingerprint([path], path.parent),
            is_local=True,
            config=None,
            image_directories=None,
        )
    if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        return _open_saved(source, path)
    builder = _builder(source, str(path))
    files = _files_of_split(builder, source)
    sha = fingerprint([Path(file) for file in builder.config.data_files[source.query.split]], path)
    return OpenedSplit(
        _prepared(builder, source),
        sha,
        is_local=True,
        config=builder.config.name,
        image_directories=_directories(builder, files),
    )


def _open_saved(source: Source, path: Path) -> OpenedSplit:
    if (path / "dataset_dict.json").is_file():
        splits = [entry.name for entry in sorted(path.iterdir()) if (entry / "state.json").is_file()]
        _require_split(source, splits)
        path = path / source.query.split
    if source.query.config is not None:
        raise DatasetError(
            f"a folder written by save_to_disk has no configurations, found config={source.query.config!r}"
        )
    try:
        rows = datasets.load_from_disk(str(path))
    except _LOADING_ERRORS as error:
        raise DatasetError(f"the saved dataset {path} cannot be read: {error}; save it again") from error
    if rows.split is not None:
        _require_split(source, [str(rows.split)])
    files = [file for file in path.rglob("*") if file.is_file() and not file.name.startswith("cache-")]
    return OpenedSplit(rows, fingerprint(files, path), is_local=True, config=None, image_directories=None)


def _builder(
    source: Source, path: str, *, revision: str | None = None, data_files: Mapping[str, str] | None = None
) -> DatasetBuilder:
    options = {"revision": revision, "token": source.token, "cache_dir": _text(source.cache_dir)}
    try:
        return datasets.load_dataset_builder(path, name=source.query.config, data_files=data_files, **options)
    except _LOADING_ERRORS as error:
        if isinstance(error, ValueError):
            _refuse_config(source, path, revision)
        raise hub_error(source.query.dataset, error) or DatasetError(
            f"{source.query.dataset} cannot be opened as a dataset: {error}"
        ) from error


def _refuse_config(source: Source, path: str, revision: str | None) -> None:
    """Raise if the configuration is what is wrong; the datasets library says so only in a plain ValueError."""
    names = datasets.get_dataset_config_names(path, revision=revision, token=source.token)
    if source.query.config is None and len(names) > 1:
        raise DatasetError(
            f"{source.query.dataset} has {len(names)} configurations; name one with config: {', '.join(names)}"
        )
    if source.query.config is not None and source.query.config not in names:
        raise DatasetError(
            f"config must be one of {source.query.dataset}'s ({', '.join(names)}), found {source.query.config!r}"
        )


def _files_of_split(builder: DatasetBuilder, source: Source) -> list[str]:
    """Data files of the split relative to the dataset; checked before anything is downloaded."""
    if builder.config.data_files is None:  # the library's own cache, when offline
        return []
    by_split: Mapping[str, Sequence[str]] = builder.config.data_files
    is_image_folder = builder.name == "imagefolder"
    _require_split(source, [str(split) for split in by_split], hint=f". {WAY_OUT}" if is_image_folder else "")
    base = str(builder.base_path).rstrip("/") + "/"
    files = [file.removeprefix(base) for file in by_split[source.query.split]]
    if is_image_folder:
        refuse_merged_splits(files, split=source.query.split, dataset=source.query.dataset)
    return files


def _directories(builder: DatasetBuilder, files: Sequence[str]) -> tuple[str, ...] | None:
    if builder.name != "imagefolder":
        return None
    return tuple(sorted({os.path.dirname(file) or "." for file in files}))  # noqa: PTH120 - these may be hf:// paths


def _prepared(builder: DatasetBuilder, source: Source) -> Dataset:
    try:
        builder.download_and_prepare()
        splits = builder.info.splits or {}
        _require_split(source, list(splits))
        if not splits[source.query.split].num_examples:
            raise DatasetError(
                f"split {source.query.split!r} of {source.query.dataset} must have images, found no rows"
            )
        return builder.as_dataset(split=source.query.split)
    except (*_LOADING_ERRORS, HfHubHTTPError) as error:
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


@contextmanager
def _progress_bars(*, shown: bool) -> Iterator[None]:
    if shown or datasets.are_progress_bars_disabled():
        yield
        return
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        datasets.enable_progress_bars()


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)

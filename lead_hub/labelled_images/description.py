"""What a dataset holds, for someone who is about to choose: its splits and columns, without downloading its images.

They are told by what is small: the card, the footers of parquet files, the names of an image folder's files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import datasets
import pyarrow.parquet
from datasets import DatasetBuilder, Features
from huggingface_hub import HfFileSystem

from lead_hub.access import Access, access_of
from lead_hub.errors import DatasetError
from lead_hub.hub import Token, limited
from lead_hub.labelled_images.builder import (
    LOADING_ERRORS,
    config_names,
    data_files_of,
    default_config,
    kind_of,
    local_path,
    open_builder,
    progress_bars,
)
from lead_hub.labelled_images.columns import Role, no_image_column, role_of, type_name
from lead_hub.labelled_images.commit import DatasetCommit, hub_error, pin_dataset
from lead_hub.labelled_images.download import downloads_folder, private_card_removed
from lead_hub.labelled_images.hub_dataset import OTHERS_UP_TO_BYTES, HubDataset, open_hub_dataset
from lead_hub.labelled_images.image_folder_files import is_image_name, refuse_lost_classes
from lead_hub.labelled_images.image_folder_layout import refuse_merged_splits
from lead_hub.labelled_images.label_tables import FIRST_BYTES, check_label_tables
from lead_hub.labelled_images.local_folder import open_local_folder
from lead_hub.labelled_images.query import DatasetQuery
from lead_hub.labelled_images.read_in_part import GROUPS_BYTES, WHOLE_UP_TO_BYTES
from lead_hub.labelled_images.saved_dataset import load_saved
from lead_hub.labelled_images.verified_files import DatasetFiles, announced_hashes

MOST_FOOTERS = 16  # each takes one or two requests
MOST_SIZES = 1000  # files whose sizes are asked for, in one request


@dataclass(frozen=True)
class SplitContents:
    """What splits hold.

    Attributes:
        n_rows: rows of each split, None where nothing small tells.
        features: the columns, which all splits share.
    """

    n_rows: Mapping[str, int | None]
    features: Features


def contents_of_builder(
    builder: DatasetBuilder, query: DatasetQuery, files: Mapping[str, Sequence[str]], *, access: Access
) -> SplitContents:
    """Columns and row counts of a builder's splits, whose files are given by name.

    Raises:
        DatasetError: its first file cannot be read.
        HubError: the Hub refused or could not be reached.
    """
    from_card = {str(name): split.num_examples for name, split in (builder.info.splits or {}).items()}
    n_rows: dict[str, int | None] = {name: from_card.get(name) for name in files or from_card}
    features: Features | None = builder.info.features
    try:
        if builder.name == "parquet" and (features is None or None in n_rows.values()):
            footers = _read_footers(builder, [name for name, count in n_rows.items() if count is None], access=access)
            n_rows |= footers.n_rows
            features = features or footers.features
        elif builder.name == "imagefolder":
            counted = _count_images(files, builder.EXTENSIONS)
            n_rows = {name: counted.get(name) if count is None else count for name, count in n_rows.items()}
        if features is None:
            check_label_tables(builder, access, most_bytes=FIRST_BYTES)
            features = _features_of_first_row(builder, next(iter(n_rows)))
    except LOADING_ERRORS as error:
        raise hub_error(query.dataset, error) or DatasetError(
            f"the columns of {query.dataset} cannot be read: {type(error).__name__}: {error}"
        ) from error
    return SplitContents(n_rows, features)


def _read_footers(builder: DatasetBuilder, splits: Sequence[str], *, access: Access) -> SplitContents:
    """Rows of the splits whose files are few enough, and the columns, from the ends of parquet files."""
    # Not through the datasets library's own opener: that one asks as whoever last opened a dataset in this process.
    hub = HfFileSystem(token=access.token, skip_instance_cache=True)
    features: Features | None = None
    n_rows: dict[str, int | None] = {}
    left = MOST_FOOTERS
    for split in splits or list(builder.config.data_files)[:1]:
        files = [str(file) for file in builder.config.data_files[split]]
        read = files if len(files) <= left else files[:1] if features is None else []
        left -= len(read)
        total = 0
        for file in read:
            with hub.open(file) if file.startswith("hf://") else open(file, "rb") as opened:  # noqa: PTH123
                footer = pyarrow.parquet.ParquetFile(opened)
                total += footer.metadata.num_rows
                features = features or Features.from_arrow_schema(footer.schema_arrow)
        if splits:
            n_rows[split] = total if read == files else None
    assert features is not None  # every split of a builder has a file
    return SplitContents(n_rows, features)


def _count_images(files: Mapping[str, Sequence[str]], endings: Sequence[str]) -> dict[str, int | None]:
    """Images of each split, where its images are files and no table says which of them count."""
    are_plain = all(PurePosixPath(file).suffix.lower() in endings for names in files.values() for file in names)
    return {split: len(names) if are_plain else None for split, names in files.items()}


def _features_of_first_row(builder: DatasetBuilder, split: str) -> Features:
    rows = builder.as_streaming_dataset(split=split)
    if rows.features is not None:
        return rows.features
    table = next(iter(rows.with_format("arrow").iter(batch_size=1)), None)
    if table is None:
        raise ValueError(f"split {split!r} has no rows")
    return Features.from_arrow_schema(table.schema)


DEFAULT_SPLIT = "train"


@dataclass(frozen=True)
class SplitDescription:
    """One split of a dataset, as somebody who chooses must know it.

    Attributes:
        name: as the dataset calls it.
        n_rows: None where nobody could tell without reading the data.
    """

    name: str
    n_rows: int | None = None


@dataclass(frozen=True)
class ColumnDescription:
    """One column of a dataset, as somebody who chooses must know it.

    Attributes:
        name: as the dataset calls it.
        type: in words, e.g. "ClassLabel of 10 classes".
        role: what `recommend` accepts it as: "image" for image_column, "label" for label_column, else "other".
    """

    name: str
    type: str
    role: Role


@dataclass(frozen=True)
class DatasetDescription:
    """A dataset before any of its images is read.

    Attributes:
        dataset: id or path as the user gave it.
        sha: commit on the Hub (40 hex digits); None for a local path, whose fingerprint takes reading all of it.
        is_local: whether it is on this machine's disk.
        is_private: False only for a repository that the Hub shows to everybody.
        configs: names of all configurations; empty where the notion does not apply.
        config: the one that is described: what was asked for, else the dataset's default, else its first.
        splits: of that configuration, in the dataset's order.
        columns: of that configuration, in the dataset's order; at least one holds images.
        download_bytes: about what reading the default split takes from the Hub; None where nothing has to come from
            there, and where the files are too many to ask for.
    """

    dataset: str
    sha: str | None
    is_local: bool
    is_private: bool
    configs: tuple[str, ...]
    config: str | None
    splits: tuple[SplitDescription, ...]
    columns: tuple[ColumnDescription, ...]
    download_bytes: int | None = None

    @property
    def image_columns(self) -> tuple[str, ...]:
        """Names of the columns that `recommend` accepts as image_column."""
        return tuple(column.name for column in self.columns if column.role == "image")

    @property
    def label_columns(self) -> tuple[str, ...]:
        """Names of the columns that `recommend` accepts as label_column, those with named classes first."""
        labels = [column for column in self.columns if column.role == "label"]
        return tuple(
            column.name for column in sorted(labels, key=lambda label: not label.type.startswith("ClassLabel"))
        )

    @property
    def default_split(self) -> str:
        """The split "train" where there is one, else the first."""
        return default_split([split.name for split in self.splits])


def default_split(names: Sequence[str]) -> str:
    """The split "train" where there is one, else the first."""
    return DEFAULT_SPLIT if DEFAULT_SPLIT in names else names[0]


def describe_dataset(
    dataset: str,
    *,
    config: str | None = None,
    revision: str | None = None,
    token: Token = None,
    cache_dir: str | Path | None = None,
) -> DatasetDescription:
    """Say which configurations, splits and columns a dataset has, in seconds and without downloading its images.

    Columns come from the dataset's card, else from the footer of a parquet file, else from a streamed first row; row
    counts from the card, the footers or the list of an image folder's files.

    Args:
        dataset: Hub id ("org/name"), or path of an image folder, a parquet file or folder, or a `save_to_disk` folder.
        config: the configuration to describe; None: the default one, or the first.
        revision: branch, tag or commit of a Hub dataset; None means its default branch.
        token: Hub token; None means the one that is logged in, False nobody's, even where one is.
        cache_dir: as of `recommend`: the datasets library keeps its prepared copy there, which is what is described
            offline. With one, nothing of a private dataset stays in the shared caches.

    Raises:
        DatasetError: there is no such dataset or configuration, nothing in it can be read, or no column holds images:
            the message lists the columns, or the kind of files.
        HubError: the dataset is gated, or the Hub refused or could not be reached.
    """
    query = DatasetQuery(dataset, config=config, revision=revision)
    access = access_of(cache_dir=cache_dir, token=token, progress=False)
    path = local_path(query)
    with progress_bars(shown=False):
        return _of_hub(query, access) if path is None else _of_local(query, path, access=access)


def _of_hub(query: DatasetQuery, access: Access) -> DatasetDescription:
    dataset = query.dataset
    commit = pin_dataset(dataset, query.revision, access=access)
    with private_card_removed(commit, access), limited():
        names = config_names(query, dataset, access=access, revision=commit.sha)
        chosen = default_config(query, dataset, names=names, access=access, revision=commit.sha)
        found = open_hub_dataset(chosen, commit, access)
        builder = found.builder
        is_cached_copy = not found.splits
        described = _described(
            query,
            _contents(chosen, builder, found.splits, access=access),
            sha=commit.loaded(str(builder.hash)),
            is_private=commit.is_private,
            configs=(builder.config.name,) if is_cached_copy else tuple(names),
            config=builder.config.name,
        )
        return replace(described, download_bytes=_download_bytes(found, commit, access))


def _download_bytes(found: HubDataset, commit: DatasetCommit, access: Access) -> int | None:
    """Size of what reading the split "train", or the first, takes."""
    names = sorted({name for of_split in found.splits.values() for name in of_split})
    if not names or len(names) > MOST_SIZES or commit.sha is None:
        return None
    own = [name for name in names if not name.startswith("hf://")]
    files = DatasetFiles(commit.dataset, commit.sha, downloads_folder(access))
    try:
        announced = announced_hashes(own, files, access)
    except LOADING_ERRORS:  # what a dataset holds is known all the same
        return None
    sizes = {name: each.size_bytes for name, each in announced.items() if each.size_bytes is not None}
    if len(sizes) < len(names):
        return None
    chosen = set(found.splits[default_split(list(found.splits))])
    if found.images is not None:  # of the other splits no images, beside their first
        return sum(size for name, size in sizes.items() if name in chosen or not is_image_name(name))
    of_split = sum(sizes[name] for name in chosen)
    if found.builder.name == "parquet" and of_split > WHOLE_UP_TO_BYTES:
        return GROUPS_BYTES
    others = sum(sizes.values()) - of_split
    return of_split + (others if others <= OTHERS_UP_TO_BYTES else 0)


def _of_local(query: DatasetQuery, path: Path, *, access: Access) -> DatasetDescription:
    kind = kind_of(query, path)
    if kind == "file":
        splits = {DEFAULT_SPLIT: [str(path)]}
        builder = open_builder(query, "parquet", access=access, data_files=data_files_of(splits))
        return _described(query, _contents(query, builder, splits, access=access))
    if kind == "saved":
        return _described(query, _saved_contents(path, access))
    folder = open_local_folder(query, path, access, is_default_taken=True)
    if folder.images is not None and folder.is_own_layout:
        refuse_lost_classes(folder.images, dataset=query.dataset)
    builder = folder.builder(access)
    contents = _contents(folder.query, builder, folder.splits, access=access)
    return _described(query, contents, configs=folder.configs, config=builder.config.name)


def _contents(
    query: DatasetQuery, builder: DatasetBuilder, splits: Mapping[str, Sequence[str]], *, access: Access
) -> SplitContents:
    contents = contents_of_builder(builder, query, splits, access=access)
    if builder.name == "imagefolder":
        split = default_split(list(contents.n_rows))
        refuse_merged_splits(splits.get(split, []), split=split, dataset=query.dataset)
    return contents


def _saved_contents(path: Path, access: Access) -> SplitContents:
    saved, _ = load_saved(path, access)
    splits = saved if isinstance(saved, datasets.DatasetDict) else {str(saved.split or DEFAULT_SPLIT): saved}
    features = next(iter(splits.values())).features
    return SplitContents({str(name): len(rows) for name, rows in splits.items()}, features)


def _described(
    query: DatasetQuery,
    contents: SplitContents,
    *,
    sha: str | None = None,
    is_private: bool = True,
    configs: tuple[str, ...] = (),
    config: str | None = None,
) -> DatasetDescription:
    columns = _columns(contents.features)
    if not contents.n_rows:
        raise DatasetError(f"{query.dataset} must have a split, found none")
    return DatasetDescription(
        dataset=query.dataset,
        sha=sha,
        is_local=sha is None,
        is_private=is_private,
        configs=configs,
        config=config,
        splits=tuple(SplitDescription(name, n_rows) for name, n_rows in contents.n_rows.items()),
        columns=columns,
    )


def _columns(features: Features) -> tuple[ColumnDescription, ...]:
    columns = tuple(ColumnDescription(name, type_name(feature), role_of(feature)) for name, feature in features.items())
    if not any(column.role == "image" for column in columns):
        raise no_image_column(features)
    return columns

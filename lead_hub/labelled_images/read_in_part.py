"""A large split of parquet files on the Hub -> the labels of its rows, and no more images than a sample needs.

`recommend` looks at some thousand images: of 150 GB, it would be in vain to fetch all. The labels of all rows are
read, or of so many groups of rows as may be asked for; then the groups are fetched that a sample of every class's share
needs. Which ones depends on the commit, the query and the seed alone: everybody who asks the same sees the same images.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
from datasets import Dataset, DatasetBuilder, DatasetInfo, Features, Value
from datasets.table import InMemoryTable
from jaxtyping import Int64

from lead_hub.access import Access
from lead_hub.errors import DatasetError
from lead_hub.hub import write_text_whole
from lead_hub.labelled_images.builder import is_prepared
from lead_hub.labelled_images.class_labels import FLOATS
from lead_hub.labelled_images.columns import choose_columns
from lead_hub.labelled_images.decoded_images import EncodedImage
from lead_hub.labelled_images.download import check_room
from lead_hub.labelled_images.query import DatasetQuery
from lead_hub.labelled_images.row_groups import RemoteTables, RowGroup, Wanted
from lead_hub.labelled_images.row_labels import RULE, KnownLabels, known_labels
from lead_hub.labelled_images.sampling import clustered_sample
from lead_hub.labelled_images.verified_files import DatasetFiles, announced_hashes

WHOLE_UP_TO_BYTES = 2_000_000_000  # smaller splits are fetched whole, and compared with the hashes that the Hub lists
GROUPS_BYTES = 1_000_000_000  # of groups that are fetched at random; more only where classes lack images otherwise
MOST_FILES = 5000
ABANDONED_S = 24 * 3600
_FOLDER = "lead-hub-row-groups"


@dataclass(frozen=True, eq=False)
class ReadInPart:
    """The rows of a split whose class is known, and how to get at the images of some.

    Attributes:
        config: name of the configuration.
        rows: the columns of images and groups, in which nothing is, and the labels.
        numbers: of each of these rows within the split, ascending.
        group_of_row: position in `groups` of each row's group.
        groups: those whose labels are known.
        n_groups: of the whole split.
        tables: where the rest is.
        files: of the dataset in the cache.
        wanted: the columns.
        is_private: whether only this machine's user may read what is fetched.
    """

    config: str
    rows: Dataset
    numbers: Int64[np.ndarray, " row"]
    group_of_row: Int64[np.ndarray, " row"]
    groups: tuple[RowGroup, ...]
    n_groups: int
    tables: RemoteTables
    files: DatasetFiles
    wanted: Wanted
    is_private: bool

    @property
    def is_known_whole(self) -> bool:
        """Whether the labels of all rows of the split are known."""
        return len(self.groups) == self.n_groups

    def sample(
        self, labels: Int64[np.ndarray, " labelled"], positions: Int64[np.ndarray, " labelled"], query: DatasetQuery
    ) -> Int64[np.ndarray, " image"]:
        """Which of the rows to look at, ascending.

        Args:
            labels: class of each row that has one.
            positions: of these rows.
            query: how many images, and the seed.
        """
        sizes = np.array([group.size_bytes for group in self.groups], dtype=np.int64)
        clusters = self.group_of_row[positions]
        chosen = clustered_sample(
            labels, query.max_images, seed=query.seed, clusters=clusters, sizes=sizes, at_most=GROUPS_BYTES
        )
        return np.asarray(positions[chosen], dtype=np.int64)

    def fetch(self, sample: Int64[np.ndarray, " image"]) -> tuple[str, ...]:
        """Fetch the groups of these rows that are not here yet, and say how much of the split that is.

        Raises:
            DatasetError: they do not fit the disk, or hold other rows than the ends of the files say.
            HubError: the Hub refused or could not be reached.
            RunCancelledError: nobody waits for them any more.
            OSError, pyarrow.ArrowException: what else reading raises.
        """
        chosen = [self.groups[position] for position in np.unique(self.group_of_row[sample])]
        places = {group: self._place(group) for group in chosen if _n_rows(self._place(group)) != group.n_rows}
        check_room(sum(group.disk_bytes for group in places), self.files)
        _remove_abandoned(kept_in(self.files))
        self.tables.fetch(places, self.wanted.fetched, private=self.is_private)
        for group, place in places.items():
            if (found := _n_rows(place)) != group.n_rows:
                raise DatasetError(
                    f"group {group.position} of {group.file} must hold {group.n_rows} rows, as the file's own end says,"
                    f" found {found}: the file is damaged"
                )
        size_bytes = sum(group.size_bytes for group in chosen)
        read = (
            f"read in part: {len(chosen)} of {self.n_groups} groups of neighbouring rows, {size_bytes / 1e9:.2f} of"
            f" {sum(self.tables.sizes.values()) / 1e9:.2f} GB; a part cannot be compared with the hash of its file"
        )
        looked = f"the classes of {self.n_groups - len(self.groups)} of these groups were not looked up"
        return (read,) if self.is_known_whole else (read, looked)

    def values(self, column: str, sample: Int64[np.ndarray, " image"]) -> Iterator[Any]:
        """What a column that was fetched holds in these rows, in ascending order.

        Raises:
            DatasetError: what was kept of it is damaged.
        """
        of_sample = self.group_of_row[sample]
        for position in np.unique(of_sample):
            within = sample[of_sample == position] - np.searchsorted(self.group_of_row, position)
            wanted, first, group = set(within.tolist()), 0, self.groups[position]
            try:
                for batch in pyarrow.parquet.ParquetFile(self._place(group)).iter_batches(
                    group.rows_per_batch, columns=[column]
                ):
                    for row in sorted(wanted.intersection(range(first, first + len(batch)))):
                        yield batch[column][row - first].as_py()
                    first += len(batch)
            except (OSError, pyarrow.ArrowException) as error:
                self._place(group).unlink(missing_ok=True)
                found = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
                raise DatasetError(
                    f"what is kept of {group.file} must be readable, found {found}; it was removed: try again, and it"
                    " is fetched again"
                ) from error

    def images(self, sample: Int64[np.ndarray, " image"]) -> Iterator[EncodedImage]:
        """The images of these rows, as they are stored."""
        for image in self.values(self.wanted.image, sample):
            content, path = (image.get("bytes"), image.get("path")) if isinstance(image, dict) else (image, None)
            yield EncodedImage(content, path, is_own=False)

    def _place(self, group: RowGroup) -> Path:
        name = json.dumps([RULE, group.file, group.position, *self.wanted.fetched])
        return kept_in(self.files) / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.parquet"


def kept_in(files: DatasetFiles) -> Path:
    """The folder of what was read of a commit in part; it goes with the dataset when that is removed from the cache."""
    return files.home / _FOLDER / files.sha


def _n_rows(kept: Path) -> int:
    """Rows of a file that was kept; -1 where there is none that can be read."""
    try:
        return int(pyarrow.parquet.read_metadata(kept).num_rows)
    except (OSError, pyarrow.ArrowException):
        return -1


def _remove_abandoned(folder: Path) -> None:
    """Remove what a process that was killed began to write."""
    for part in folder.glob(".*.part"):
        with suppress(OSError):  # another process was faster
            if time.time() - part.stat().st_mtime > ABANDONED_S:
                part.unlink()


def open_in_part(
    builder: DatasetBuilder, query: DatasetQuery, files: DatasetFiles, *, access: Access, is_private: bool
) -> ReadInPart | None:
    """What is known of a split without its images; None for one that is rather read whole.

    Args:
        builder: the library's, which found the files.
        query: which split, and how many images.
        files: of the dataset in the cache.
        access: as whom the Hub is asked.
        is_private: whether only this machine's user may read what is kept of it.

    Raises:
        DatasetError: it is not clear which columns are meant.
        HubError: the Hub refused or could not be reached.
        RunCancelledError: cancelled.
        OSError, pyarrow.ArrowException: a file cannot be read.
    """
    if _is_prepared_and_small(builder, query.split):
        return None
    place = _kept_split(query, kept_in(files))
    if (kept := _reopened(place, query, files, access)) is not None:
        _note_commit(query, files)
        return replace(kept, is_private=is_private)
    tables = _large_tables(builder, query, files, access=access)
    if tables is None:
        return None
    schema = tables.schema()
    features = builder.info.features or Features.from_arrow_schema(schema)
    wanted = _wanted_columns(query, features)
    if wanted is None or not _is_stored_plainly(wanted, schema):
        return None
    files.snapshot.mkdir(parents=True, exist_ok=True)  # the client takes a dataset without one for damaged
    split = _KnownSplit(str(builder.config.name), tables, features, wanted, is_private=is_private)
    opened = split.read(query, files)
    if opened is not None:
        write_text_whole(place, json.dumps(split.document()), private=is_private)
        _note_commit(query, files)
    return opened


def reopen_in_part(query: DatasetQuery, cache: Path, access: Access) -> ReadInPart | None:
    """The same without the Hub, as it was when it was last asked for; None where nothing is kept of it.

    Args:
        query: which split.
        cache: root of the Hub cache that the dataset's files are kept in.
        access: whether anybody still waits.
    """
    of_commits = DatasetFiles(query.dataset, "", cache).home / _FOLDER
    with suppress(OSError, UnicodeDecodeError):
        noted = _noted_commit(query, of_commits).read_text(encoding="utf-8")
        query = replace(query, revision=noted)
    folders = [each for each in of_commits.glob("*") if query.revision in (None, each.name)]
    kept = [place for folder in folders if (place := _kept_split(query, folder)).is_file()]
    for place in sorted(kept, key=lambda each: each.stat().st_mtime, reverse=True):
        files = DatasetFiles(query.dataset, place.parent.name, cache)
        with suppress(OSError):  # labels are gone, and the Hub is not asked
            if (opened := _reopened(place, query, files, access)) is not None:
                return opened
    return None


def _note_commit(query: DatasetQuery, files: DatasetFiles) -> None:
    """Keep which commit the asked revision was: offline the same is meant by it."""
    with suppress(OSError):  # the newest one that is there is taken for it then
        write_text_whole(_noted_commit(query, kept_in(files).parent), files.sha, private=True)


def _noted_commit(query: DatasetQuery, of_commits: Path) -> Path:
    return of_commits / f"commit-{_asked(query, query.revision or 'main')}"


def _reopened(place: Path, query: DatasetQuery, files: DatasetFiles, access: Access) -> ReadInPart | None:
    """What was kept of a split; None where nothing is, or it is not what this version keeps."""
    try:
        split = _KnownSplit.of(json.loads(place.read_text(encoding="utf-8")), access)
    except (ValueError, TypeError, LookupError, OSError):
        return None
    return split.read(query, files)


def _is_prepared_and_small(builder: DatasetBuilder, split: str) -> bool:
    """Whether the library's own copy, which images make as large as the files, is far below where parts begin."""
    of_split = (builder.info.splits or {}).get(split) if is_prepared(builder) else None
    return of_split is not None and 2 * (of_split.num_bytes or WHOLE_UP_TO_BYTES) < WHOLE_UP_TO_BYTES


@dataclass(frozen=True, eq=False)
class _KnownSplit:
    """What opening a split took the Hub for.

    Attributes:
        config: name of the configuration.
        tables: its files.
        features: its columns.
        wanted: those that are read.
        is_private: whether only this machine's user may read what is kept of it.
    """

    config: str
    tables: RemoteTables
    features: Features
    wanted: Wanted
    is_private: bool

    def document(self) -> dict[str, Any]:
        """All of it as JSON holds it."""
        return {
            "config": self.config,
            "addresses": dict(self.tables.addresses),
            "sizes": dict(self.tables.sizes),
            "features": self.features.to_dict(),
            "wanted": asdict(self.wanted),
            "is_private": self.is_private,
        }

    @staticmethod
    def of(document: Mapping[str, Any], access: Access) -> "_KnownSplit":
        wanted = Wanted(**{**document["wanted"], "others": tuple(document["wanted"]["others"])})
        tables = RemoteTables(document["addresses"], document["sizes"], access)
        features = Features.from_dict(document["features"])
        return _KnownSplit(document["config"], tables, features, wanted, is_private=document["is_private"])

    def read(self, query: DatasetQuery, files: DatasetFiles) -> ReadInPart | None:
        """With its labels; None where more than half of it is asked for, or the files do not fit together."""
        known = known_labels(
            self.tables,
            kept_in(files),
            self.wanted,
            seed=query.seed,
            fewest_rows=2 * query.max_images,
            is_private=self.is_private,
        )
        return None if known is None else self._with_labels(known, files)

    def _with_labels(self, known: KnownLabels, files: DatasetFiles) -> ReadInPart:
        groups = tuple(known.groups[position] for position in known.looked_at)
        first = np.cumsum([0, *(group.n_rows for group in known.groups)])
        spans = [np.arange(first[position], first[position + 1]) for position in known.looked_at]
        columns = Features({name: self.features[name] for name in self.wanted.names})
        counts = np.array([group.n_rows for group in groups], dtype=np.int64)
        return ReadInPart(
            config=self.config,
            rows=_rows(columns, self.wanted.label, known.labels),
            numbers=np.concatenate([np.zeros(0, dtype=np.int64), *spans]),
            group_of_row=np.repeat(np.arange(len(groups)), counts),
            groups=groups,
            n_groups=len(known.groups),
            tables=self.tables,
            files=files,
            wanted=self.wanted,
            is_private=self.is_private,
        )


def _kept_split(query: DatasetQuery, folder: Path) -> Path:
    """Where it is kept what a question of this kind found."""
    return folder / f"split-{_asked(query)}.json"


def _asked(query: DatasetQuery, *more: str) -> str:
    asked = [RULE, query.config, query.split, query.image_column, query.label_column, query.group_column, *more]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:32]


def _large_tables(
    builder: DatasetBuilder, query: DatasetQuery, files: DatasetFiles, *, access: Access
) -> RemoteTables | None:
    """The files of the split, where they are large parquet files of this commit, read as they are."""
    config = builder.config
    addresses = [str(file) for file in (config.data_files or {}).get(query.split, ())]
    root = f"hf://datasets/{files.dataset}@{files.sha}/"
    is_plain = builder.name == "parquet" and not config.columns and not config.filters
    if not is_plain or len(addresses) > MOST_FILES or not all(each.startswith(root) for each in addresses):
        return None
    by_name = {address.removeprefix(root): address for address in addresses}
    announced = announced_hashes(list(by_name), files, access)
    sizes = {name: each.size_bytes for name, each in announced.items() if each.size_bytes is not None}
    if len(by_name) < len(addresses) or len(sizes) < len(by_name) or sum(sizes.values()) <= WHOLE_UP_TO_BYTES:
        return None
    return RemoteTables(by_name, sizes, access)


def _wanted_columns(query: DatasetQuery, features: Features) -> Wanted | None:
    """Columns of images, labels and groups; None where all labels have to be read to know.

    Raises:
        DatasetError: it is not clear which they are.
    """
    group = query.group_column
    others = {name: kind for name, kind in features.items() if name != group or name == query.label_column}
    try:
        chosen = choose_columns(Features(others), image_column=query.image_column, label_column=query.label_column)
    except DatasetError:
        if any(isinstance(kind, Value) and kind.dtype in FLOATS for kind in others.values()):
            return None  # numbers of classes, perhaps, with gaps
        raise
    wanted = Wanted(chosen.image, chosen.label, () if group is None else (group,))
    return wanted if all(name in features and "." not in name for name in wanted.names) else None


def _is_stored_plainly(wanted: Wanted, schema: pyarrow.Schema) -> bool:
    """Whether images are the content of files, as nearly everywhere."""
    if not all(name in schema.names for name in wanted.names):
        return False
    kind = schema.field(wanted.image).type
    is_binary = pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind)
    parts = {kind.field(i).name for i in range(kind.num_fields)} if pyarrow.types.is_struct(kind) else set()
    return is_binary or parts == {"bytes", "path"}


def _rows(features: Features, label: str, labels: pyarrow.Array) -> Dataset:
    """A dataset of the labels alone, with the other columns empty."""
    schema, feature = features.arrow_schema, features[label]
    stored = feature.cast_storage(labels) if hasattr(feature, "cast_storage") else labels.cast(schema.field(label).type)
    columns: Mapping[str, pyarrow.Array] = {
        name: stored if name == label else pyarrow.nulls(len(stored), schema.field(name).type) for name in features
    }
    return Dataset(InMemoryTable(pyarrow.table(columns, schema=schema)), info=DatasetInfo(features=features))

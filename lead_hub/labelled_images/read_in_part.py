"""A large split of parquet files on the Hub -> the labels of its rows, and no more images than a sample needs.

`recommend` looks at some thousand images: of 150 GB, it would be in vain to fetch all. The labels of all rows are
read, or of so many groups of rows as may be asked for; then the groups are fetched that a sample of every class's share
needs. Which ones depends on the commit, the query and the seed alone: everybody who asks the same sees the same images.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
from datasets import Dataset, DatasetBuilder, DatasetInfo, Features
from datasets.table import InMemoryTable
from jaxtyping import Int64

from lead_hub.access import Access
from lead_hub.errors import DatasetError
from lead_hub.hub import written_whole
from lead_hub.labelled_images.columns import choose_columns
from lead_hub.labelled_images.decoded_images import EncodedImage
from lead_hub.labelled_images.download import check_room
from lead_hub.labelled_images.query import DatasetQuery
from lead_hub.labelled_images.row_groups import ROWS_PER_BATCH, Footer, RemoteTables, RowGroup
from lead_hub.labelled_images.sampling import clustered_sample
from lead_hub.labelled_images.verified_files import DatasetFiles, announced_hashes

WHOLE_UP_TO_BYTES = 2_000_000_000  # smaller splits are fetched whole, and compared with the hashes that the Hub lists
GROUPS_BYTES = 1_000_000_000  # of groups that are fetched at random; more only where classes lack images otherwise
MOST_LABEL_READS = 2000  # the Hub answers some thousand requests in five minutes
MOST_ROWS = 50_000_000
MOST_FILES = 5000
_FOLDER = "lead-hub-row-groups"
_RULE = 1  # of which groups are chosen


@dataclass(frozen=True, eq=False)
class ReadInPart:
    """The rows of a split whose class is known, and how to get at the images of some.

    Attributes:
        rows: the columns of images and groups, in which nothing is, and the labels.
        numbers: of each of these rows within the split, ascending.
        group_of_row: position in `groups` of each row's group.
        groups: those whose labels are known.
        n_groups: of the whole split.
        size_bytes: of the whole split's files.
        tables: where the rest is.
        files: of the dataset in the cache.
        columns: what is fetched of a group.
        is_private: whether only this machine's user may read what is fetched.
    """

    rows: Dataset
    numbers: Int64[np.ndarray, " row"]
    group_of_row: Int64[np.ndarray, " row"]
    groups: tuple[RowGroup, ...]
    n_groups: int
    size_bytes: int
    tables: RemoteTables
    files: DatasetFiles
    columns: tuple[str, ...]
    is_private: bool

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
        wanted = {group: self._place(group) for group in chosen if not self._place(group).is_file()}
        check_room(sum(group.size_bytes for group in wanted), self.files)
        self.tables.fetch(wanted, self.columns, private=self.is_private)
        for group in chosen:
            found = pyarrow.parquet.read_metadata(self._place(group)).num_rows
            if found != group.n_rows:
                raise DatasetError(
                    f"group {group.position} of {group.file} must hold {group.n_rows} rows, as the file's own end says,"
                    f" found {found}: the file is damaged"
                )
        size_bytes = sum(group.size_bytes for group in chosen)
        read = (
            f"read in part: {len(chosen)} of {self.n_groups} groups of neighbouring rows, {size_bytes / 1e9:.2f} of"
            f" {self.size_bytes / 1e9:.2f} GB; a part cannot be compared with the hash of its file"
        )
        unknown = self.n_groups - len(self.groups)
        looked = f"the classes of {unknown} of these groups were not looked up" if unknown else ""
        return (read, looked) if looked else (read,)

    def values(self, column: str, sample: Int64[np.ndarray, " image"]) -> Iterator[Any]:
        """What a column that was fetched holds in these rows, in ascending order."""
        of_sample = self.group_of_row[sample]
        for position in np.unique(of_sample):
            within = sample[of_sample == position] - np.searchsorted(self.group_of_row, position)
            wanted, first = set(within.tolist()), 0
            table = pyarrow.parquet.ParquetFile(self._place(self.groups[position]))
            for batch in table.iter_batches(ROWS_PER_BATCH, columns=[column]):
                for row in sorted(wanted.intersection(range(first, first + len(batch)))):
                    yield batch[column][row - first].as_py()
                first += len(batch)

    def images(self, column: str, sample: Int64[np.ndarray, " image"]) -> Iterator[EncodedImage]:
        """The images of these rows, as they are stored."""
        for image in self.values(column, sample):
            content, path = (image.get("bytes"), image.get("path")) if isinstance(image, dict) else (image, None)
            yield EncodedImage(content, path, is_own=False)

    def _place(self, group: RowGroup) -> Path:
        name = json.dumps([group.file, group.position, *self.columns])
        return kept_in(self.files) / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.parquet"


def kept_in(files: DatasetFiles) -> Path:
    """The folder of what was read of a commit in part; it goes with the dataset when that is removed from the cache."""
    return files.home / _FOLDER / files.sha


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
        HubError: the Hub refused or could not be reached.
        RunCancelledError: cancelled.
        OSError, pyarrow.ArrowException: a file cannot be read.
    """
    tables = _large_tables(builder, query, files, access=access)
    if tables is None:
        return None
    features = builder.info.features or Features.from_arrow_schema(tables.schema())
    columns = _columns(query, features)
    if columns is None:
        return None
    image, label, *others = columns
    known = _known_labels(tables, query, files, columns=columns, is_private=is_private)
    if known is None or 2 * query.max_images > known.n_rows:
        return None
    kept = Features({name: features[name] for name in dict.fromkeys(columns)})
    in_group = np.array([known.groups[position].n_rows for position in known.looked_at], dtype=np.int64)
    first = np.cumsum([0, *(group.n_rows for group in known.groups)])
    spans = [np.arange(first[position], first[position + 1]) for position in known.looked_at]
    return ReadInPart(
        rows=_rows(kept, label, known.labels),
        numbers=np.concatenate(spans).astype(np.int64),
        group_of_row=np.repeat(np.arange(len(in_group)), in_group),
        groups=tuple(known.groups[position] for position in known.looked_at),
        n_groups=len(known.groups),
        size_bytes=sum(tables.sizes.values()),
        tables=tables,
        files=files,
        columns=tuple(dict.fromkeys((image, *others))),
        is_private=is_private,
    )


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
    if len(sizes) < len(by_name) or sum(sizes.values()) <= WHOLE_UP_TO_BYTES:
        return None
    return RemoteTables(by_name, sizes, access)


def _columns(query: DatasetQuery, features: Features) -> tuple[str, ...] | None:
    """Columns of images, labels and groups; None where that is not clear, which reading all of it explains."""
    group = query.group_column
    others = {name: kind for name, kind in features.items() if name != group or name == query.label_column}
    try:
        chosen = choose_columns(Features(others), image_column=query.image_column, label_column=query.label_column)
    except DatasetError:
        return None
    columns = (chosen.image, chosen.label) if group is None else (chosen.image, chosen.label, group)
    return columns if all(name in features and "." not in name for name in columns) else None


@dataclass(frozen=True, eq=False)
class _KnownLabels:
    """Labels of the rows of some groups.

    Attributes:
        groups: all of the split, in order.
        looked_at: positions of those whose labels are known, ascending.
        labels: of their rows, in order.
    """

    groups: tuple[RowGroup, ...]
    looked_at: tuple[int, ...]
    labels: pyarrow.ChunkedArray

    @property
    def n_rows(self) -> int:
        return sum(group.n_rows for group in self.groups)


def _known_labels(
    tables: RemoteTables, query: DatasetQuery, files: DatasetFiles, *, columns: Sequence[str], is_private: bool
) -> _KnownLabels | None:
    """Read once, then kept; None where the files do not fit together."""
    of_all = _kept_labels(files, tables, columns)
    of_seed = _kept_labels(files, tables, columns, query.seed, MOST_LABEL_READS)
    for place in (of_all, of_seed):
        if place.is_file():
            table = pyarrow.parquet.read_table(place)
            told = json.loads(table.schema.metadata[b"lead-hub"])
            groups = tuple(RowGroup(**each) for each in told["groups"])
            return _KnownLabels(groups, tuple(told["looked_at"]), table["label"])
    image, label, *others = columns
    found = _looked_up(tables.footers(label=label, others=[image, *others]), tables, columns=columns, seed=query.seed)
    if found is None:
        return None
    told = {"groups": [asdict(group) for group in found.groups], "looked_at": found.looked_at}
    table = pyarrow.table({"label": found.labels}).replace_schema_metadata({"lead-hub": json.dumps(told)})
    is_all = len(found.looked_at) == len(found.groups)
    with written_whole(of_all if is_all else of_seed, private=is_private) as part:
        pyarrow.parquet.write_table(table, part)
    return found


def _kept_labels(files: DatasetFiles, tables: RemoteTables, columns: Sequence[str], *seed: int) -> Path:
    """Where labels are kept; of some of the groups, under the seed that chose them."""
    question = json.dumps([_RULE, sorted(tables.addresses), columns, *seed])
    return kept_in(files) / f"labels-{hashlib.sha256(question.encode()).hexdigest()[:32]}.parquet"


def _looked_up(
    footers: Sequence[Footer], tables: RemoteTables, *, columns: Sequence[str], seed: int
) -> _KnownLabels | None:
    types = {
        tuple(footer.schema.field(name).type for name in columns if name in footer.schema.names) for footer in footers
    }
    groups = tuple(group for footer in footers for group in footer.groups if group.n_rows)
    if len(types) != 1 or len(next(iter(types))) != len(columns) or sum(each.n_rows for each in groups) > MOST_ROWS:
        return None
    label = columns[1]
    mixed = [position for position, group in enumerate(groups) if not group.is_pure]
    keys = np.random.PCG64(np.random.SeedSequence([seed, 2])).random_raw(len(mixed))
    asked = sorted(mixed[place] for place in np.argsort(keys, kind="stable")[:MOST_LABEL_READS])
    read = dict(zip(asked, tables.values([groups[position] for position in asked], label), strict=True))
    kind = footers[0].schema.field(label).type
    looked_at = tuple(position for position, group in enumerate(groups) if group.is_pure or position in read)
    values = [
        read[position]
        if position in read
        else pyarrow.repeat(pyarrow.scalar(groups[position].label).cast(kind), groups[position].n_rows)
        for position in looked_at
    ]
    return _KnownLabels(groups, looked_at, pyarrow.chunked_array(values, type=kind))


def _rows(features: Features, label: str, labels: pyarrow.ChunkedArray) -> Dataset:
    """A dataset of the labels alone, with the other columns empty."""
    schema = features.arrow_schema
    feature = features[label]
    labels = labels.combine_chunks() if isinstance(labels, pyarrow.ChunkedArray) else labels
    if isinstance(labels, pyarrow.ChunkedArray):
        labels = labels.chunk(0)
    stored = feature.cast_storage(labels) if hasattr(feature, "cast_storage") else labels.cast(schema.field(label).type)
    columns: Mapping[str, pyarrow.Array] = {
        name: stored if name == label else pyarrow.nulls(len(stored), schema.field(name).type) for name in features
    }
    table = pyarrow.table(columns, schema=schema)
    return Dataset(InMemoryTable(table), info=DatasetInfo(features=features))

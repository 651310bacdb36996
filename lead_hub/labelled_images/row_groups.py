"""Parquet files on the Hub -> their row groups, the values of small columns, and single groups of a large one.

A parquet file holds its rows in groups, and in a group each column lies by itself; its end says where. So the labels of
a terabyte of images are some megabytes, and a few images cost little more than themselves.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pyarrow
import pyarrow.parquet
from huggingface_hub import HfFileSystem

from lead_hub.access import Access
from lead_hub.errors import RunCancelledError
from lead_hub.hub import limited, written_whole
from lead_hub.labelled_images.threads import in_threads

THREADS = 8
BLOCK_BYTES = 1 << 22
GROUPS_PER_JOB = 8
ROWS_PER_BATCH = 32
BATCH_BYTES = 1 << 24

Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True)
class RowGroup:
    """One group of rows of one file.

    Attributes:
        file: its name in the dataset.
        position: of the group in the file.
        n_rows: how many rows it holds.
        size_bytes: of its images, as they are stored.
        disk_bytes: of all that is fetched of it, unpacked.
        label: of all its rows, as its own statistics say; None where they are of several classes, or it is not told.
    """

    file: str
    position: int
    n_rows: int
    size_bytes: int
    disk_bytes: int
    label: int | str | bool | None = None

    @property
    def rows_per_batch(self) -> int:
        """How many rows are in memory at a time."""
        return max(1, min(ROWS_PER_BATCH, BATCH_BYTES * self.n_rows // max(1, self.disk_bytes)))


@dataclass(frozen=True)
class Wanted:
    """The columns that are read.

    Attributes:
        image: of the images.
        label: of the classes.
        others: fetched beside the images.
    """

    image: str
    label: str
    others: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, once."""
        return tuple(dict.fromkeys((self.image, self.label, *self.others)))

    @property
    def fetched(self) -> tuple[str, ...]:
        """Those that are fetched with the images."""
        return tuple(dict.fromkeys((self.image, *self.others)))


@dataclass(frozen=True)
class RemoteTables:
    """Parquet files on the Hub, of which parts can be read.

    Attributes:
        addresses: of the files by their names, each "hf://...", in their order.
        sizes: in bytes by the same names.
        access: as whom they are read, and whether anybody still waits.
    """

    addresses: Mapping[str, str]
    sizes: Mapping[str, int]
    access: Access

    @cached_property
    def _hub(self) -> HfFileSystem:
        # Not through the datasets library's own opener: that one asks as whoever last opened a dataset in this process.
        return HfFileSystem(token=self.access.token, skip_instance_cache=True)

    @cached_property
    def _ends(self) -> dict[str, pyarrow.parquet.FileMetaData]:
        """Of the files whose end was read."""
        return {}

    def schema(self) -> pyarrow.Schema:
        """The columns of the first file.

        Raises:
            HubError: the Hub refused or could not be reached.
            RunCancelledError: cancelled.
            OSError, pyarrow.ArrowException: what else reading raises.
        """
        return self.schemas(list(self.addresses)[:1])[0]

    def schemas(self, names: Sequence[str] | None = None) -> list[pyarrow.Schema]:
        """The columns of some of the files, of all by default.

        Raises:
            HubError, RunCancelledError, OSError, pyarrow.ArrowException: as `schema`.
        """

        def read(name: str, _check: Callable[[], None]) -> pyarrow.Schema:
            with self._opened(name) as file:
                return self._table(name, file).schema_arrow

        return self._in_threads(read, list(self.addresses if names is None else names), title="Reading columns")

    def groups(self, wanted: Wanted) -> list[RowGroup]:
        """All groups that hold rows, of files whose columns were read before, in their order."""
        return [group for name in self.addresses for group in _groups(name, self._ends[name], wanted) if group.n_rows]

    def values(self, groups: Sequence[RowGroup], column: str) -> list[pyarrow.Array]:
        """One small column of each of the groups, which are in the files' order.

        Raises:
            HubError, RunCancelledError, OSError, pyarrow.ArrowException: as `schema`.
        """

        def read(job: Sequence[RowGroup], check: Callable[[], None]) -> list[pyarrow.Array]:
            found = []
            with self._opened(job[0].file) as file:
                table = self._table(job[0].file, file)
                for group in job:
                    check()
                    # In this thread, which is the one that is patient with the Hub.
                    rows = table.read_row_group(group.position, [column], use_threads=False)
                    found.append(one_array(rows[column]))
            return found

        of_files = (list(group) for _, group in itertools.groupby(groups, key=lambda each: each.file))
        jobs = [
            of_file[first : first + GROUPS_PER_JOB]
            for of_file in of_files
            for first in range(0, len(of_file), GROUPS_PER_JOB)
        ]
        return [values for found in self._in_threads(read, jobs, title="Reading labels") for values in found]

    def fetch(self, places: Mapping[RowGroup, Path], columns: Sequence[str], *, private: bool) -> None:
        """Copy columns of row groups into files of their own, which appear whole or not at all.

        Args:
            places: the groups, and where each one goes.
            columns: which of their columns.
            private: whether only this machine's user may read them.

        Raises:
            HubError, RunCancelledError, OSError, pyarrow.ArrowException: as `schema`.
        """

        def copy(group: RowGroup, check: Callable[[], None]) -> None:
            with self._opened(group.file) as file:
                table = self._table(group.file, file)
                kept = pyarrow.schema([table.schema_arrow.field(name) for name in columns])
                of_group = {"row_groups": [group.position], "columns": list(columns), "use_threads": False}
                with written_whole(places[group], private=private) as part:
                    _write(table.iter_batches(group.rows_per_batch, **of_group), kept, part, check=check)

        self._in_threads(copy, list(places), title="Downloading images")

    def _opened(self, name: str) -> Any:
        # Each read is one request, for what is read alone: pyarrow knows what it needs.
        return self._hub.open(self.addresses[name], size=self.sizes[name], cache_type="none")

    def _table(self, name: str, file: Any) -> pyarrow.parquet.ParquetFile:
        """A file whose end is read once only."""
        table = pyarrow.parquet.ParquetFile(file, metadata=self._ends.get(name), buffer_size=BLOCK_BYTES)
        self._ends.setdefault(name, table.metadata)
        return table

    def _in_threads(
        self, work: Callable[[Job, Callable[[], None]], Result], jobs: Sequence[Job], *, title: str
    ) -> list[Result]:
        """What the work gives for each job, in their order.

        Args:
            work: is given a job, and a function that raises when nobody waits any more.
            jobs: for it.
            title: of the progress bar, which one job does without.
        """

        def patiently_read(job: Job, cancelled: Callable[[], bool]) -> Result:
            def check() -> None:
                if cancelled():
                    raise RunCancelledError("the run is over")

            with limited(cancelled):
                return work(job, check)

        shown = title if len(jobs) > 1 else None
        return in_threads(patiently_read, jobs, access=self.access, n_threads=THREADS, title=shown)


def _groups(name: str, metadata: pyarrow.parquet.FileMetaData, wanted: Wanted) -> Iterator[RowGroup]:
    """The row groups of a file; the statistics of its writer tell which are of one class."""
    for position in range(metadata.num_row_groups):
        group = metadata.row_group(position)
        chunks = [group.column(index) for index in range(group.num_columns)]
        size_bytes = sum(each.total_compressed_size for each in chunks if _of(each) == wanted.image)
        disk_bytes = sum(each.total_uncompressed_size for each in chunks if _of(each) in wanted.fetched)
        told = next((each.statistics for each in chunks if each.path_in_schema == wanted.label), None)
        label = told.min if told is not None and _tells_one_label(told) else None
        yield RowGroup(name, position, group.num_rows, size_bytes, disk_bytes, label)


def _tells_one_label(told: pyarrow.parquet.Statistics) -> bool:
    has_all = told.has_min_max and told.has_null_count and told.null_count == 0
    return bool(has_all and isinstance(told.min, (int, str)) and told.min == told.max)


def _of(chunk: pyarrow.parquet.ColumnChunkMetaData) -> str:
    """The column that it is a part of."""
    return str(chunk.path_in_schema.split(".")[0])


def one_array(column: pyarrow.ChunkedArray) -> pyarrow.Array:
    """A column in one piece, and of plain values where it is a dictionary of them."""
    if pyarrow.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    found = column.combine_chunks()
    return pyarrow.concat_arrays(found.chunks) if isinstance(found, pyarrow.ChunkedArray) else found


def _write(
    batches: Iterable[pyarrow.RecordBatch], columns: pyarrow.Schema, path: Path, *, check: Callable[[], None]
) -> None:
    # Images are compressed already.
    with pyarrow.parquet.ParquetWriter(path, columns, compression="none", use_dictionary=False) as writer:
        for batch in batches:
            check()
            writer.write_batch(batch.select(columns.names).cast(columns))

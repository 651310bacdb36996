"""Parquet files on the Hub -> their row groups, the values of small columns, and single groups of a large one.

A parquet file holds its rows in groups, and in a group each column lies by itself; its end says where. So the labels of
a terabyte of images are some megabytes, and a few images cost little more than themselves.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pyarrow
import pyarrow.parquet
from huggingface_hub import HfFileSystem
from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]  # public, exported lazily

from lead_hub.access import Access
from lead_hub.errors import RunCancelledError
from lead_hub.hub import limited, written_whole

THREADS = 8
BLOCK_BYTES = 1 << 22
ROWS_PER_BATCH = 32

Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True)
class RowGroup:
    """One group of rows of one file.

    Attributes:
        file: its name in the dataset.
        position: of the group in the file.
        n_rows: how many rows it holds.
        size_bytes: of the columns that are asked for, as they are stored.
        is_pure: whether all its rows are of one class, as its own statistics say.
        label: which one, if so.
    """

    file: str
    position: int
    n_rows: int
    size_bytes: int
    is_pure: bool = False
    label: int | str | bool | None = None


@dataclass(frozen=True)
class Footer:
    """What the end of one file says.

    Attributes:
        schema: the columns.
        groups: its row groups, in order.
    """

    schema: pyarrow.Schema
    groups: tuple[RowGroup, ...]


@dataclass(frozen=True)
class RemoteTables:
    """Parquet files on the Hub, of which parts can be read.

    Attributes:
        addresses: of the files by their names, each "hf://...".
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

    def schema(self) -> pyarrow.Schema:
        """The columns of the first file.

        Raises:
            HubError, RunCancelledError, OSError, pyarrow.ArrowException: as `footers`.
        """

        def read(name: str) -> pyarrow.Schema:
            with self._opened(name) as file:
                return pyarrow.parquet.ParquetFile(file).schema_arrow

        return self._in_threads(read, list(self.addresses)[:1], title="Reading the columns")[0]

    def footers(self, *, label: str, others: Sequence[str]) -> list[Footer]:
        """Read the end of every file.

        Args:
            label: column whose statistics tell which groups are of one class.
            others: columns that count for the size of a group, too.

        Raises:
            HubError: the Hub refused or could not be reached.
            RunCancelledError: cancelled.
            OSError, pyarrow.ArrowException: what else reading raises.
        """

        def read(name: str) -> Footer:
            with self._opened(name) as file:
                table = pyarrow.parquet.ParquetFile(file)
                return Footer(table.schema_arrow, tuple(_groups(name, table.metadata, label, {label, *others})))

        return self._in_threads(read, list(self.addresses), title="Reading the ends of files")

    def values(self, groups: Sequence[RowGroup], column: str) -> list[pyarrow.Array]:
        """One small column of each of the groups, in their order.

        Raises:
            HubError, RunCancelledError, OSError, pyarrow.ArrowException: as `footers`.
        """
        by_file: dict[str, list[RowGroup]] = {}
        for group in groups:
            by_file.setdefault(group.file, []).append(group)

        def read(name: str) -> dict[RowGroup, pyarrow.Array]:
            with self._opened(name) as file:
                table = pyarrow.parquet.ParquetFile(file, pre_buffer=True)
                return {each: _column(table.read_row_group(each.position, [column]), column) for each in by_file[name]}

        found = self._in_threads(read, list(by_file), title="Reading labels")
        of_group = {group: values for of_file in found for group, values in of_file.items()}
        return [of_group[group] for group in groups]

    def fetch(self, wanted: Mapping[RowGroup, Path], columns: Sequence[str], *, private: bool) -> None:
        """Copy columns of row groups into files of their own, which appear whole or not at all.

        Args:
            wanted: the groups, and where each one goes.
            columns: which of their columns.
            private: whether only this machine's user may read them.

        Raises:
            HubError, RunCancelledError, OSError, pyarrow.ArrowException: as `footers`.
        """

        def copy(group: RowGroup) -> None:
            with self._opened(group.file) as file:
                table = pyarrow.parquet.ParquetFile(file, buffer_size=BLOCK_BYTES)
                batches = table.iter_batches(ROWS_PER_BATCH, row_groups=[group.position], columns=list(columns))
                kept = pyarrow.schema([table.schema_arrow.field(name) for name in columns])
                with written_whole(wanted[group], private=private) as part:
                    _write(batches, kept, part, access=self.access)

        self._in_threads(copy, list(wanted), title="Downloading images")

    def _opened(self, name: str) -> Any:
        # Each read is one request, for what is read alone: pyarrow knows what it needs.
        return self._hub.open(self.addresses[name], size=self.sizes[name], cache_type="none")

    def _in_threads(self, work: Callable[[Job], Result], jobs: Sequence[Job], *, title: str) -> list[Result]:
        """What the work gives for each job, in their order; ends with the first that fails."""
        is_over = threading.Event()

        def cancelled() -> bool:
            return is_over.is_set() or self.access.cancelled()

        def one(job: Job) -> Result:
            if cancelled():
                raise RunCancelledError("the run is over")
            with limited(cancelled):
                return work(job)

        with ThreadPoolExecutor(min(THREADS, max(1, len(jobs))), "lead-hub-dataset") as threads:
            futures = [threads.submit(one, job) for job in jobs]
            try:
                done = as_completed(futures)
                shown = self.access.progress and len(jobs) > 1
                for future in tqdm(done, total=len(jobs), desc=title, disable=not shown):  # type: ignore[no-untyped-call]
                    future.result()
            except BaseException:
                is_over.set()  # those that are under way end with their next request
                threads.shutdown(wait=False, cancel_futures=True)
                raise
        return [future.result() for future in futures]


def _groups(name: str, metadata: pyarrow.parquet.FileMetaData, label: str, columns: set[str]) -> Iterable[RowGroup]:
    """The row groups of a file; the statistics of its writer tell which are of one class."""
    for position in range(metadata.num_row_groups):
        group = metadata.row_group(position)
        chunks = [group.column(index) for index in range(group.num_columns)]
        size_bytes = sum(
            chunk.total_compressed_size for chunk in chunks if chunk.path_in_schema.split(".")[0] in columns
        )
        told = next((chunk.statistics for chunk in chunks if chunk.path_in_schema == label), None)
        is_pure = (
            told is not None
            and told.has_min_max
            and told.has_null_count
            and told.null_count == 0
            and isinstance(told.min, (int, str))
            and told.min == told.max
        )
        yield RowGroup(name, position, group.num_rows, size_bytes, is_pure, told.min if is_pure and told else None)


def _column(table: pyarrow.Table, name: str) -> pyarrow.Array:
    found = table[name].combine_chunks()
    return found.chunk(0) if isinstance(found, pyarrow.ChunkedArray) else found


def _write(batches: Iterable[pyarrow.RecordBatch], columns: pyarrow.Schema, path: Path, *, access: Access) -> None:
    # Images are compressed already.
    with pyarrow.parquet.ParquetWriter(path, columns, compression="none", use_dictionary=False) as writer:
        for batch in batches:
            access.check_wanted()
            writer.write_batch(batch.select(columns.names).cast(columns))

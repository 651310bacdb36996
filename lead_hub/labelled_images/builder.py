"""A dataset id or path -> the datasets library's builder of one configuration: which files there are, none read yet.

Never runs a dataset's own code: the datasets library no longer can.
"""

import errno
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias

import datasets
import pyarrow
from datasets import DatasetBuilder
from datasets.data_files import DataFilesDict, DataFilesList
from datasets.exceptions import DatasetsError

from lead_hub.access import Access
from lead_hub.errors import DatasetError
from lead_hub.hub import TRANSPORT_ERROR, make_folder
from lead_hub.labelled_images.commit import hub_error
from lead_hub.labelled_images.query import DatasetQuery

# What the datasets library, its HTTP client and pyarrow raise on files or repositories that they cannot read.
LOADING_ERRORS = (
    DatasetsError,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    RuntimeError,
    pyarrow.ArrowException,
    TRANSPORT_ERROR,
)

# The library's readers of files that hold no images: nothing of such a dataset is downloaded or read, least of all
# JSON, of which some files end the whole process (see `label_tables`).
WITHOUT_IMAGES = frozenset(
    {"csv", "json", "text", "conll", "xml", "eval", "harbor", "tsfile", "pandas", "fasta", "fastq", "genbank", "pdb"}
    | {"mmcif", "audiofolder", "videofolder", "meshfolder", "pdffolder", "niftifolder"}
)


def open_builder(
    query: DatasetQuery,
    path: str,
    *,
    access: Access,
    revision: str | None = None,
    data_files: DataFilesDict | None = None,
    apart: str | None = None,
) -> DatasetBuilder:
    """The builder of the configuration that is asked for.

    Args:
        query: what is asked for.
        path: Hub id, local folder, or the name of one of the library's own builders.
        access: whose token, which caches.
        revision: commit on the Hub.
        data_files: the files of each split; None where the library finds them.
        apart: folder of what the library prepares, where that is not all of one commit (`by_content`, `by_split`).

    Raises:
        DatasetError: there is no such configuration, or several and none is named, or it is no dataset.
        HubError: the Hub refused or could not be reached.
    """
    # Beside what the library prepares for others, which is not compared with the hashes that the Hub lists.
    kept = _kept_in(access) if apart is None else str(prepared_folder(access) / apart)
    options = {"revision": revision, "token": access.token, "cache_dir": kept}
    try:
        # What is made here holds copies of private data. The library's own shared cache stays as the umask says.
        make_folder(prepared_folder(access), private=access.datasets_folder is not None)
        make_folder(Path(kept), private=True)
        builder = datasets.load_dataset_builder(path, name=query.config, data_files=data_files, **options)
    except LOADING_ERRORS as error:
        if isinstance(error, ValueError):
            _refuse_config(query, path, access=access, revision=revision)
        raise cannot_be_opened(query, error) from error
    if builder.name in WITHOUT_IMAGES:
        raise DatasetError(
            f"a column of type Image is needed, found in {query.dataset} only files that the datasets library reads as"
            f" {builder.name!r}. A csv or jsonl table that only names image files is not an image dataset: put it"
            " beside the images as metadata.csv or metadata.jsonl with a column file_name"
        )
    return builder


def is_prepared(builder: DatasetBuilder) -> bool:
    """Whether the library has made its own copy of the builder's tables already."""
    return (Path(builder.cache_dir) / "dataset_info.json").is_file()


def by_content(sha: str) -> str:
    """Where a local dataset is prepared, by the hash of its files' content.

    The library goes by names and times of change, by which another file may be taken for this one.
    """
    return f"by-content/{sha[:32]}"


def by_split(split: str) -> str:
    """Where one split is prepared without the others, which the library prepares all together."""
    return f"by-split/{hashlib.sha256(split.encode()).hexdigest()[:16]}"


def prepared_folder(access: Access) -> Path:
    """Where the datasets library keeps what it prepares."""
    return access.datasets_folder or Path(datasets.config.HF_DATASETS_CACHE)


def _kept_in(access: Access) -> str:
    return str(prepared_folder(access) / "verified")


def data_files_of(splits: Mapping[str, Sequence[str]], *, origin: tuple[str, ...] = ()) -> DataFilesDict:
    """The files of each split as the library keeps them, so that it searches for none.

    Brackets, stars and question marks in a path that it searches itself are patterns to it.
    """
    return DataFilesDict({split: DataFilesList(list(files), [origin] * len(files)) for split, files in splits.items()})


def config_names(query: DatasetQuery, path: str, *, access: Access, revision: str | None) -> list[str]:
    """Names of all configurations, in the dataset's order.

    Raises:
        DatasetError: it is no dataset.
        HubError: the Hub refused or could not be reached.
    """
    try:
        return list(
            datasets.get_dataset_config_names(path, revision=revision, token=access.token, cache_dir=_kept_in(access))
        )
    except LOADING_ERRORS as error:
        raise cannot_be_opened(query, error) from error


def default_config(
    query: DatasetQuery, path: str, *, names: Sequence[str], access: Access, revision: str | None
) -> DatasetQuery:
    """The same query with a configuration wherever one has to be named: the dataset's default, else its first.

    Raises:
        DatasetError: it is no dataset.
        HubError: the Hub refused or could not be reached.
    """
    if query.config is not None or len(names) < 2:
        return query
    try:
        name = datasets.get_dataset_default_config_name(
            path, revision=revision, token=access.token, cache_dir=_kept_in(access)
        )
    except LOADING_ERRORS as error:
        raise cannot_be_opened(query, error) from error
    return replace(query, config=name or names[0])


def cannot_be_opened(query: DatasetQuery, error: BaseException) -> Exception:
    """The error to raise for what the datasets library says of a whole dataset."""
    return (
        hub_error(query.dataset, error)
        or cache_error(query, error)
        or DatasetError(f"{query.dataset} cannot be opened as a dataset: {error}")
    )


_DISK_ERRORS = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM),
        *(errno.ENOTDIR, errno.EEXIST, errno.EFBIG, errno.ENAMETOOLONG),
    }
)


def cache_error(query: DatasetQuery, error: BaseException) -> DatasetError | None:
    """The error to raise where not the dataset but a cache is at fault, anywhere in the chain of causes."""
    own = os.path.realpath(Path(query.dataset).expanduser())
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _DISK_ERRORS:
            named = "" if cause.filename is None else os.path.realpath(os.fsdecode(cause.filename))
            if named != own and not named.startswith(own + os.sep):
                return DatasetError(
                    f"the folders that {query.dataset} is kept in while it is read must be writable and have room,"
                    f" found {type(cause).__name__}: {cause}; free some of the disk, or name other folders with"
                    " cache_dir, or with HF_HOME and TMPDIR"
                )
        cause = cause.__cause__ or cause.__context__
    return None


def _refuse_config(query: DatasetQuery, path: str, *, access: Access, revision: str | None) -> None:
    """Raise if the configuration is what is wrong; the datasets library says so only in a plain ValueError."""
    names = config_names(query, path, access=access, revision=revision)
    if query.config is None and len(names) > 1:
        raise DatasetError(f"{query.dataset} has {len(names)} configurations; name one with config: {', '.join(names)}")
    if query.config is not None and query.config not in names:
        raise DatasetError(f"config must be one of {query.dataset}'s ({', '.join(names)}), found {query.config!r}")


def files_by_split(builder: DatasetBuilder) -> dict[str, list[str]]:
    """Data files of each split relative to the dataset; none for the library's own cached copy, when offline."""
    by_split: Mapping[str, Sequence[str]] = builder.config.data_files or {}
    # Not always the builder's base path, which early versions of the library give as a web address.
    on_hub = f"hf://datasets/{builder.repo_id}@{builder.hash}"
    base = (on_hub if builder.repo_id else str(builder.base_path)).rstrip("/") + "/"
    return {str(split): [file.removeprefix(base) for file in files] for split, files in by_split.items()}


def saved_splits(path: Path) -> list[str] | None:
    """Splits of a folder written by save_to_disk: empty if it holds one split, None for any other folder."""
    if (path / "dataset_dict.json").is_file():
        return [entry.name for entry in sorted(path.iterdir()) if (entry / "state.json").is_file()]
    return [] if (path / "state.json").is_file() else None


def local_path(query: DatasetQuery) -> Path | None:
    """The path that is meant, its links resolved; None for what can only be an id on the Hub.

    Raises:
        DatasetError: it is no path that the operating system or the datasets library can work with.
    """
    try:
        path = Path(query.dataset).expanduser()
        if not path.exists():
            return None
        resolved = path.resolve()
        str(resolved).encode()
    except (OSError, RuntimeError, ValueError) as error:
        raise DatasetError(
            f"dataset must be a Hub id or a path that can be read, found {query.dataset!r}: {error}; name another"
            " path, or rename the folder"
        ) from error
    return resolved


LocalKind: TypeAlias = Literal["file", "saved", "folder"]


def kind_of(query: DatasetQuery, path: Path) -> LocalKind:
    """What a local path holds: one parquet file, what save_to_disk wrote, or a folder of files.

    Raises:
        DatasetError: another kind of file, or the query asks for what there is not here.
    """
    if query.revision is not None:
        raise DatasetError(
            f"only a Hub dataset has revisions, found revision={query.revision!r} for the local path"
            f" {query.dataset}; leave it out"
        )
    if path.is_file():
        if path.suffix != ".parquet":
            raise DatasetError(
                f"a dataset in one file must be .parquet, found {query.dataset}; images in a folder, a folder of"
                " parquet files or a folder written by save_to_disk can be read too, a csv or jsonl table cannot"
            )
        return "file"
    if not path.is_dir():
        raise DatasetError(f"a dataset must be a folder or a file, found {query.dataset}, which is neither")
    if saved_splits(path) is None:
        return "folder"
    if query.config is not None:
        raise DatasetError(f"a folder written by save_to_disk has no configurations, found config={query.config!r}")
    return "saved"


@contextmanager
def progress_bars(*, shown: bool) -> Iterator[None]:
    """The datasets library's own bars within the block."""
    if shown or datasets.are_progress_bars_disabled():
        yield
        return
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        datasets.enable_progress_bars()

"""Names of the files of an image folder -> which of them each split reads, and what is there and not read.

The datasets library finds an image folder's files with search patterns: a directory "train station" or a file
"my train trip.png" then makes a split and hides everything else, and a class "__background__" or one behind a link is
left out without a word. Here a split is a directory whose whole name is its word, and what is not read is told.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from datasets.packaged_modules.imagefolder.imagefolder import ImageFolder

from lead_hub.errors import DatasetError
from lead_hub.labelled_images.folder_listing import FolderListing, first_images, grouped_by_directory
from lead_hub.labelled_images.image_folder_layout import SPLIT_OF_WORD, WAY_OUT, explain_missing_labels
from lead_hub.labelled_images.sample_notes import listed
from lead_hub.labelled_images.sampling import MINIMUM_PER_CLASS

_ENDINGS = frozenset(ImageFolder.EXTENSIONS)
TABLES = frozenset(ImageFolder.METADATA_FILENAMES)
# Formats of images that the datasets library does not know by name.
_FOREIGN_ENDINGS = frozenset(
    {".avif", ".avifs", ".heic", ".heif", ".hif", ".jxl", ".svg", ".dng", ".cr2", ".nef", ".arw"}
)
# What other programs leave in folders of images.
_LEFTOVERS = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})
# Which kinds of data a file may be beside images; where there are any the datasets library decides what is read.
_DATA_ENDINGS = frozenset({".parquet", ".arrow", ".tar"})
_TABLE_ENDINGS = frozenset({".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".txt", ".xml", ".h5", ".hdf5", ".zip"})
MOST_LOOKED_AT = 100_000  # files of other names, of which the first bytes are read

HIDDEN = "hidden"
OUTSIDE = "outside the directories of the splits"
ODD_NAME = "images by their content, without the ending of an image format that is read"
FOREIGN = "in a format that the datasets library does not read"
SPECIAL = "neither files nor links to files"
GARBLED = "with names that are no UTF-8"
ARCHIVED = "in zip archives, which are not unpacked"
WITHOUT = "directories without an image"
LOOPED = "links to a directory above them"


@dataclass(frozen=True)
class ImageFolderFiles:
    """What is read of an image folder, and what is not.

    Attributes:
        splits: names of the files of each split, images and tables of labels, sorted.
        left_out: by reason, the names of what is there, is an image or holds some, and is not read.
    """

    splits: Mapping[str, Sequence[str]]
    left_out: Mapping[str, Sequence[str]]

    @property
    def has_tables(self) -> bool:
        """Whether a table, not the directories, says what class an image is of."""
        return any(PurePosixPath(name).name in TABLES for names in self.splits.values() for name in names)


def is_image_name(name: str) -> bool:
    """Whether the datasets library takes a file of this name for an image: by its last ending or the one before."""
    return any(suffix.lower() in _ENDINGS for suffix in PurePosixPath(name).suffixes[-2:])


def is_hidden(name: str) -> bool:
    """Whether it, or a directory around it, is meant for programs."""
    return any(part.startswith(".") or part in _LEFTOVERS for part in PurePosixPath(name).parts)


def holds_images_only(names: Iterable[str]) -> bool:
    """Whether these are the files of an image folder, and of no dataset of tables that hold images."""
    seen = [name for name in names if not is_hidden(name)]
    endings = [PurePosixPath(name).suffix.lower() for name in seen if PurePosixPath(name).name not in TABLES]
    n_images = sum(is_image_name(name) for name in seen)
    n_tables = sum(ending in _TABLE_ENDINGS for ending in endings)  # as many as images, if each has its own
    return not _DATA_ENDINGS.intersection(endings) and n_images >= max(n_tables, 1)


def files_by_names(names: Iterable[str]) -> ImageFolderFiles:
    """Say what each split of an image folder reads, told by the names of its files alone."""
    left_out: dict[str, list[str]] = {}
    read: list[str] = []
    for name in sorted(names):
        if is_image_name(name) or PurePosixPath(name).name in TABLES:
            left_out.setdefault(HIDDEN, []).append(name) if is_hidden(name) else read.append(name)
        elif PurePosixPath(name).suffix.lower() in _FOREIGN_ENDINGS and not is_hidden(name):
            left_out.setdefault(FOREIGN, []).append(name)
        elif name.lower().endswith(".zip") and not is_hidden(name):
            left_out.setdefault(ARCHIVED, []).append(name)
    splits: dict[str, list[str]] = {}
    for name in read:
        splits.setdefault(split_of(name) or "", []).append(name)
    loose = splits.pop("", [])
    if not splits:
        return ImageFolderFiles({"train": loose}, left_out)
    if loose:
        left_out[OUTSIDE] = loose
    ordered = {split: splits[split] for split in dict.fromkeys(SPLIT_OF_WORD.values()) if split in splits}
    return ImageFolderFiles(ordered, left_out)


def configured_files(names: Iterable[str], splits: Mapping[str, Sequence[str]], *, config: str) -> ImageFolderFiles:
    """Say the same where a dataset's card chooses the files of its splits."""
    read = {name for of_split in splits.values() for name in of_split}
    others = sorted(name for name in names if is_image_name(name) and name not in read and not is_hidden(name))
    return ImageFolderFiles(splits, {f"as the configuration {config!r} does not name them": others} if others else {})


def refuse_archives_only(names: Iterable[str], *, dataset: str) -> None:
    """Raise where all that there is, beside the card, is packed.

    Raises:
        DatasetError: there are only zip archives.
    """
    seen = [name for name in names if not is_hidden(name) and not name.lower().endswith(".md")]
    if seen and all(name.lower().endswith(".zip") for name in seen):
        raise DatasetError(
            f"images must lie in directories, found only zip archives in {dataset}{listed(seen)}: unpack them, one"
            " directory a class, and name the folder"
        )


def split_of(name: str) -> str | None:
    """The split of the outermost directory whose whole name is a split's word, None without one."""
    return next((SPLIT_OF_WORD[part] for part in PurePosixPath(name).parts[:-1] if part in SPLIT_OF_WORD), None)


def files_by_names_and_content(listing: FolderListing) -> ImageFolderFiles:
    """The same for a folder on this machine, where the content of files tells more than their names."""
    files = files_by_names(listing.names)
    left_out = {reason: list(names) for reason, names in files.left_out.items()}
    hidden = [name for name in listing.names if is_hidden(name)]
    left_out[HIDDEN] = list(first_images(hidden, listing.root, most=MOST_LOOKED_AT))
    told = {name for names in (*files.splits.values(), *left_out.values()) for name in names}
    odd = [name for name in listing.names if name not in told and not is_hidden(name)]
    left_out[ODD_NAME] = list(first_images(odd, listing.root, most=MOST_LOOKED_AT))
    left_out[SPECIAL] = [name for name in listing.special if is_image_name(name) and not is_hidden(name)]
    left_out[LOOPED] = list(listing.loops)
    left_out[WITHOUT] = _without_images(listing, files, left_out)
    left_out[GARBLED] = [name for name in listing.garbled if name.endswith("/") or is_image_name(name)]
    return ImageFolderFiles(files.splits, {reason: names for reason, names in left_out.items() if names})


def _without_images(
    listing: FolderListing, files: ImageFolderFiles, left_out: Mapping[str, Sequence[str]]
) -> list[str]:
    """The outermost directories of which nothing is read and nothing told; hidden ones aside."""
    told = {
        str(above)
        for names in (*files.splits.values(), *left_out.values())
        for name in names
        for above in PurePosixPath(name).parents
    }
    return [
        name
        for name in listing.directories
        if name not in told and not is_hidden(name) and (str(PurePosixPath(name).parent) in told or "/" not in name)
    ]


def refuse_closed(listing: FolderListing, *, dataset: str) -> None:
    """Raise where nobody can tell what a folder holds.

    Raises:
        DatasetError: there are directories that may not be opened.
    """
    if listing.closed:
        raise DatasetError(
            f"every directory of {dataset} must be readable, found {len(listing.closed)} that may not be opened"
            f"{listed(listing.closed)}: give yourself the right to read them, or move them out of the folder"
        )


def refuse_lost_classes(files: ImageFolderFiles, *, dataset: str) -> None:
    """Raise where a directory that holds a class's images would not be read at all.

    Raises:
        DatasetError: a class would be missing.
    """
    if files.has_tables:
        return  # which name the images of each class
    read = {PurePosixPath(name).parent.name for names in files.splits.values() for name in names}
    for reason in (OUTSIDE, ODD_NAME, FOREIGN, SPECIAL, GARBLED):
        groups = grouped_by_directory(files.left_out.get(reason, ()))
        lost = [
            directory
            for directory, names in groups.items()
            if PurePosixPath(directory).name not in read and len(names) >= MINIMUM_PER_CLASS and directory != "."
        ]
        lost += [name for name in files.left_out.get(reason, ()) if name.endswith("/")]  # itself a directory
        if lost:
            raise DatasetError(
                f"every class of {dataset} must be read, found {len(lost)} directories{listed(lost)} of which no image"
                f" is: their images are {reason}. {_ADVICE[reason]}"
            )


_RENAME = "Rename them, or move the directory out of the folder"
_ADVICE = {
    OUTSIDE: f"{WAY_OUT}; or name one directory as the dataset",
    ODD_NAME: _RENAME + ": a name must end like 1.png or 1.jpg",
    FOREIGN: "Convert them to PNG or JPEG, or move the directory out of the folder",
    SPECIAL: "Put files there, or move the directory out of the folder",
    GARBLED: _RENAME,
}


def refuse_unlabelled(files: ImageFolderFiles, split: str, *, dataset: str) -> None:
    """Raise where the directories make no classes, before a byte of the images is read.

    Raises:
        DatasetError: all images lie in one directory, or in directories of different depths.
    """
    images = [name for names in files.splits.values() for name in names if is_image_name(name)]
    directories = {name.rpartition("/")[0] or "." for name in images}
    depths = {name.count("/") for name in images}
    if files.has_tables or (len({PurePosixPath(name).name for name in directories}) > 1 and len(depths) == 1):
        return
    own = sorted({name.rpartition("/")[0] or "." for name in files.splits.get(split, ()) if is_image_name(name)})
    if own:
        raise DatasetError(explain_missing_labels(own, dataset=dataset))


def left_out_notes(files: ImageFolderFiles) -> tuple[str, ...]:
    """One sentence for each reason why something is not read."""
    n_read = sum(is_image_name(name) for names in files.splits.values() for name in names)
    return tuple(
        f"found beside the {n_read} images of the splits and not read: {len(names)}, {reason}{listed(list(names))}"
        for reason, names in files.left_out.items()
    )


def table_notes(paths: Sequence[str], names: Mapping[str, str]) -> tuple[str, ...]:
    """Sentences on tables of labels that name files which are not there, or leave out some that are.

    Args:
        paths: of the images that the tables name.
        names: of the split's files, by such paths.
    """
    missing = sorted({path for path in paths if path not in names and not Path(path).is_file()})
    wanted = set(paths)
    unlisted = [name for path, name in names.items() if is_image_name(name) and path not in wanted]
    shown = [PurePosixPath(path).name for path in missing]
    sentences = {
        f"images that a table of labels names and that are not there: {len(missing)}{listed(shown)}": missing,
        f"images that no table of labels names, not read: {len(unlisted)}{listed(unlisted)}": unlisted,
    }
    return tuple(sentence for sentence, applies in sentences.items() if applies)

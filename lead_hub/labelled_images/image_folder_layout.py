"""Image folders whose directories the datasets library misreads: refused, with the way out.

A split is a directory called train, test, validation, ... in lower case (`image_folder_files.py`), and a class is
named after the directory that holds the image. What becomes of other layouts (datasets 4 and 5):

| layout                                   | what happens                                              |
|------------------------------------------|-----------------------------------------------------------|
| train/1.png, test/2.png                  | classes "train" and "test"                                |
| cat/train/1.png, cat/test/2.png          | classes "train" and "test"                                |
| Train/cat/1.png, Test/cat/2.png          | both become the split "train": test images are ranked on  |
| train/cat/1.png, test/2.png              | no labels at all, because the depths differ               |
| car/1.png, train/2.png                   | the split "train" is the class train, car/ is not read    |
"""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from lead_hub.errors import DatasetError

SPLIT_OF_WORD = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
}
# "Train", "test_set", "trainA", "valid-2": a split's word with little after it.
_SPLIT_NAME = re.compile(
    rf"({'|'.join(sorted(SPLIT_OF_WORD, key=len, reverse=True))})(?:[-_. ]?(?:set|data|images|[a-d]|\d*))?"
)

WAY_OUT = (
    "An image folder must look like FOLDER/train/CLASS/image.jpg and FOLDER/test/CLASS/image.jpg, with the split"
    " directories in lower case, or like FOLDER/CLASS/image.jpg without splits; a class that is itself named like a"
    " split goes one level down, FOLDER/train/train/image.jpg"
)


def split_meant_by(name: str) -> str | None:
    """The split ("train", "validation" or "test") that a directory or class of this name most likely is."""
    match = _SPLIT_NAME.fullmatch(name.strip().lower())
    return SPLIT_OF_WORD[match.group(1)] if match else None


def refuse_split_names_as_classes(class_names: Sequence[str], *, dataset: str) -> None:
    """Raise where the classes are the names of splits.

    Raises:
        DatasetError: all classes, or classes of two different splits, are named like splits.
    """
    meant = [split_meant_by(name) for name in class_names]
    splits = {split for split in meant if split is not None}
    if len(splits) >= 2 or (splits and None not in meant):
        raise DatasetError(
            f"classes must be what the images show, found classes named {', '.join(class_names)} in {dataset}: they"
            f" were made from the directories of the splits. {WAY_OUT}"
        )


def refuse_merged_splits(files: Sequence[str], *, split: str, dataset: str) -> None:
    """Raise where one split holds the directories of several, as with Train/ and Test/.

    Args:
        files: paths of the split's images, relative to the folder, with forward slashes.
        split: the split that the datasets library put them into.
        dataset: what the user asked for.

    Raises:
        DatasetError: directories of at least two splits, in any case, were read as one.
    """
    by_split: dict[str, str] = {}
    for directory in sorted({str(PurePosixPath(file).parent) for file in files}):
        parents = PurePosixPath(directory).parts[:-1]  # the last part is the class
        for depth, part in enumerate(parents, start=1):
            meant = split_meant_by(part)
            if meant is not None:
                by_split.setdefault(meant, "/".join(parents[:depth]))
    if len(by_split) >= 2:
        raise DatasetError(
            f"split {split!r} of {dataset} must hold the images of one split, found the directories"
            f" {', '.join(sorted(by_split.values()))} read as one. {WAY_OUT}. Or name one directory as the dataset,"
            f" {dataset}/{by_split.get('train', next(iter(by_split.values())))}"
        )


def joined_directories(directories: Sequence[str]) -> tuple[str, ...]:
    """Names of classes that lie in several places, like plants/other and animals/other, and are read as one."""
    places = Counter(PurePosixPath(directory).name for directory in directories)
    return tuple(sorted(name for name, count in places.items() if count > 1))


def explain_missing_labels(directories: Sequence[str], *, dataset: str) -> str:
    """Why an image folder has no label column, told by the directories that hold the split's images."""
    depths = {len(PurePosixPath(directory).parts) for directory in directories}
    shown = ", ".join(sorted(directories)[:6]) + (", ..." if len(directories) > 6 else "")
    if len(depths) > 1:
        cause = f"the images lie at {len(depths)} different depths below {dataset} ({shown})"
    elif len(directories) == 1:
        cause = f"all images lie in one directory ({shown})"
    else:
        cause = f"the images of another split lie at another depth than these ({shown})"
        parent = PurePosixPath(directories[0]).parent
        return f"there are no classes because {cause}. Name {dataset}/{parent} as the dataset. {WAY_OUT}"
    return f"there are no classes because {cause}. {WAY_OUT}"

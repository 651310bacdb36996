"""What a sample does not hold, told to people; too much of it is an error."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lead_hub.errors import DatasetError
from lead_hub.labelled_images.query import DatasetQuery

UNREADABLE_LIMIT = 0.05
_NAMES_SHOWN = 5
_REASONS_SHOWN = 3


@dataclass(frozen=True)
class SampleNotes:
    """What was left out of the images of a query.

    Attributes:
        query: what was asked for.
        classes: names of the classes that have fewer than two readable images.
        absent_classes: names that the dataset declares without any image in the split.
        unlabelled: rows without a label.
        unreadable: why images could not be decoded, by row.
        sampled: images that were sampled, unreadable ones included.
        usable: images that could have been sampled.
        in_split: rows of the split.
        joined_directories: names of classes that were read from several directories.
        is_whole: whether the labels of all rows of the split were read.
    """

    query: DatasetQuery
    classes: tuple[str, ...]
    absent_classes: tuple[str, ...]
    unlabelled: int
    unreadable: Mapping[int, str]
    sampled: int
    usable: int
    in_split: int
    joined_directories: tuple[str, ...]
    is_whole: bool = True

    def notes(self) -> tuple[str, ...]:
        """One sentence for each thing that is not as the user might expect."""
        of_part = "" if self.is_whole else " in the rows that were looked up"
        split = f"{'' if self.is_whole else 'the rows that were looked up of '}split {self.query.split!r}"
        sentences = {
            f"rows without a label, left out: {self.unlabelled} of {self.in_split}": self.unlabelled,
            f"classes with fewer than 2 images{of_part}, left out: {len(self.classes)}{listed(self.classes)}": (
                self.classes
            ),
            f"classes without an image in {split}: {len(self.absent_classes)}{listed(self.absent_classes)}": (
                self.absent_classes
            ),
            f"directories of the same name in different places were read as one class: {self._joined()}": (
                self.joined_directories
            ),
            f"sampled {self.sampled} of {self.usable} images, each class in proportion, seed {self.query.seed}": (
                self.sampled < self.usable
            ),
            f"unreadable images, dropped: {len(self.unreadable)} of {self.sampled}; {first_reasons(self.unreadable)}": (
                self.unreadable
            ),
        }
        return tuple(sentence for sentence, applies in sentences.items() if applies)

    def _joined(self) -> str:
        return f"{len(self.joined_directories)}{listed(self.joined_directories)}"


def refuse_many_unreadable(query: DatasetQuery, unreadable: Mapping[int, str], *, sampled: int) -> None:
    """Raise when so many images are damaged that the rest may not stand for the dataset.

    Raises:
        DatasetError: more than UNREADABLE_LIMIT of the sampled images could not be decoded.
    """
    if len(unreadable) > UNREADABLE_LIMIT * sampled:
        raise DatasetError(
            f"at most {UNREADABLE_LIMIT:.0%} of the images may be unreadable, found {len(unreadable)} of {sampled}"
            f" sampled from {query.dataset}: {first_reasons(unreadable)}; repair or remove them"
        )


def first_reasons(unreadable: Mapping[int, str]) -> str:
    """Why the first unreadable images could not be decoded."""
    shown = [f"row {row}: {reason}" for row, reason in list(unreadable.items())[:_REASONS_SHOWN]]
    return "; ".join(shown) + ("; ..." if len(unreadable) > len(shown) else "")


def listed(names: Sequence[str]) -> str:
    """The first names in brackets, with a space before; nothing for no names."""
    if not names:
        return ""
    return f" ({', '.join(names[:_NAMES_SHOWN])}{', ...' if len(names) > _NAMES_SHOWN else ''})"

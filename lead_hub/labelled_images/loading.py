"""Dataset id or folder -> LabelledImages: a seeded, stratified sample of one split, decoded once.

    open_split -> choose_columns -> read_labels -> stratified_sample -> decode_images -> LabelledImages

Every checkpoint of a run then reads the same pixels from disk.
"""

import hashlib
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Features
from jaxtyping import Int64

from lead_hub.access import Access
from lead_hub.errors import DatasetError
from lead_hub.labelled_images.abandoned_folders import mark_as_used
from lead_hub.labelled_images.class_labels import (
    UNLABELLED,
    ClassLabels,
    UsableClasses,
    classes_with_gaps,
    read_labels,
)
from lead_hub.labelled_images.columns import Columns, check_group_column, choose_columns
from lead_hub.labelled_images.decoded_folder import is_complete, publish, read_record, scratch_folder, write_record
from lead_hub.labelled_images.decoded_images import DecodedImages, Decoding, decode_images
from lead_hub.labelled_images.image_folder_layout import (
    explain_missing_labels,
    joined_directories,
    refuse_split_names_as_classes,
)
from lead_hub.labelled_images.opened_split import OpenedSplit, open_split, translated_errors
from lead_hub.labelled_images.query import DatasetQuery
from lead_hub.labelled_images.read_in_part import ReadInPart
from lead_hub.labelled_images.sample_notes import SampleNotes, listed, refuse_many_unreadable
from lead_hub.labelled_images.sampling import MINIMUM_PER_CLASS, stratified_sample

_NOT_FACTS = ("labels", "rows", "pixels", "groups")


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images of one split with one class each, in ascending row order.

    Attributes:
        dataset: id or path as the user gave it.
        sha: commit on the Hub (40 hex digits), or SHA-256 of the split's file names and content (64) when local.
        is_local: whether the dataset was read from disk.
        config: configuration that was loaded, None where the notion does not apply.
        split: the split that was read.
        image_column: where the images came from.
        label_column: where the labels came from.
        class_names: the usable classes; labels index into it.
        labels: class of each image, 0..K-1.
        rows: row number of each image within the split.
        pixels: `pixels[i]` is uint8 [height, width, 3], RGB, short side at most STORED_SHORT_SIDE_PX.
        notes: what was left out or changed, as sentences for people.
        is_private: False only for a repository that the Hub shows to everybody.
        groups: number of each image's group, 0..G-1, two or more of them; None where no column of groups is named.
    """

    dataset: str
    sha: str
    is_local: bool
    config: str | None
    split: str
    image_column: str
    label_column: str
    class_names: tuple[str, ...]
    labels: Int64[np.ndarray, " image"]
    rows: Int64[np.ndarray, " image"]
    pixels: DecodedImages
    notes: tuple[str, ...]
    is_private: bool = True
    groups: Int64[np.ndarray, " image"] | None = None

    def __post_init__(self) -> None:
        if not len(self.labels) == len(self.rows) == len(self.pixels):
            raise DatasetError(
                f"labels, rows and pixels must have one entry per image, found {len(self.labels)}, {len(self.rows)}"
                f" and {len(self.pixels)}"
            )
        counts = np.bincount(self.labels, minlength=len(self.class_names))
        if len(counts) != len(self.class_names) or len(counts) < 2 or counts.min() < MINIMUM_PER_CLASS:
            raise DatasetError(
                f"at least 2 classes, each with a name and {MINIMUM_PER_CLASS} images, are needed, found"
                f" {len(self.class_names)} names and {counts.tolist()} images"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, positions: Int64[np.ndarray, " chosen"]) -> "LabelledImages":
        """Some of the images, at these positions in ascending order, with two or more of every class.

        Groups are those of the images that are among them; there are none where each image is alone.
        """
        groups = None if self.groups is None else np.unique(self.groups[positions], return_inverse=True)[1]
        if groups is not None and int(groups.max()) + 1 == len(positions):
            groups = None
        return replace(
            self,
            labels=self.labels[positions],
            rows=self.rows[positions],
            pixels=self.pixels.part(positions),
            groups=groups,
        )

    def close(self) -> None:
        """Remove the decoded images if they are in a temporary folder; `pixels` cannot be read afterwards."""
        self.pixels.close()


def rows_sha256(images: LabelledImages) -> str:
    """sha256 over the numbers of the sampled rows, in order."""
    return hashlib.sha256(",".join(map(str, images.rows.tolist())).encode()).hexdigest()


def groups_sha256(images: LabelledImages) -> str | None:
    """sha256 over the number of every image's group, in order; None where every image is alone."""
    if images.groups is None:
        return None
    return hashlib.sha256(",".join(map(str, images.groups.tolist())).encode()).hexdigest()


def load_labelled_images(
    query: DatasetQuery, access: Access | None = None, *, decoded_folder: Path | None = None
) -> LabelledImages:
    """Load, sample and decode the images that the query asks for.

    Args:
        query: which images.
        access: whose token, which caches; cancelling is asked for with each part of a file that is downloaded or
            prepared, and with each image that is decoded. None means the user's own.
        decoded_folder: where to keep the decoded images. One that already holds the same query's images is opened
            instead of decoding again, so that the processes of a machine can share the first one's work; whether
            the dataset changed since is not checked. None: a temporary folder that disappears with the record,
            in the `cache_dir` or, without one, where Python keeps temporary files (TMPDIR).

    Raises:
        DatasetError: there is no such dataset, config, split or column, it is not single-label classification,
            or too many of its images cannot be read.
        HubError: the Hub refused or could not be reached.
        RunCancelledError: cancelled. What was downloaded until then stays in the caches, nothing else does.
    """
    access = access or Access()
    access.check_wanted()
    if decoded_folder is not None and is_complete(decoded_folder):
        return _reopened(decoded_folder, query)
    opened = open_split(query, access)
    columns = _columns(query, opened)
    classes = _usable_classes(query, columns, read_labels(opened.rows, columns))
    sample = _sample(query, classes.kept, opened.part)
    with translated_errors(query, access):
        opened = replace(opened, notes=(*opened.notes, *opened.bring(columns.image, sample)))
    with scratch_folder(access.datasets_folder if decoded_folder is None else decoded_folder.parent) as folder:
        decoding = decode_images(opened.images(columns.image, sample), folder, total=len(sample), access=access)
        images = _assembled(query, opened, columns, classes=classes, sample=sample, decoding=decoding)
        if decoded_folder is None:
            return replace(images, pixels=DecodedImages(folder, images.pixels.places, temporary=True))
        _write(images, query, folder)
        publish(folder, decoded_folder)
    return _reopened(decoded_folder, query)


def _columns(query: DatasetQuery, opened: OpenedSplit) -> Columns:
    if not len(opened.rows):
        raise DatasetError(f"split {query.split!r} of {query.dataset} must have images, found no rows")
    if opened.image_directories is not None and len(opened.rows.features) == 1:
        raise DatasetError(explain_missing_labels(opened.image_directories, dataset=query.dataset))
    features = classes_with_gaps(opened.rows, query.label_column)
    if query.group_column is not None:
        check_group_column(features, query.group_column)
        # What tells groups apart is not taken for the label, unless it is named as that too.
        if query.label_column != query.group_column:
            features = Features({name: kind for name, kind in features.items() if name != query.group_column})
    return choose_columns(features, image_column=query.image_column, label_column=query.label_column)


def _usable_classes(query: DatasetQuery, columns: Columns, labels: ClassLabels) -> UsableClasses:
    refuse_split_names_as_classes(labels.names, dataset=query.dataset)
    classes = labels.usable()
    if len(classes.kept.names) < 2:
        n_labelled = int((labels.labels != UNLABELLED).sum())
        raise DatasetError(
            f"at least 2 classes with {MINIMUM_PER_CLASS} images each are needed, found"
            f" {len(classes.kept.names)}{listed(classes.kept.names)} in column {columns.label!r} of split"
            f" {query.split!r} of {query.dataset}: {n_labelled} of {len(labels.labels)} rows have a label,"
            f" {len(classes.too_small)} classes have one image{listed(classes.too_small)}; name another column"
            " with label_column or another split"
        )
    return classes


def _sample(query: DatasetQuery, labels: ClassLabels, part: ReadInPart | None) -> Int64[np.ndarray, " image"]:
    smallest = MINIMUM_PER_CLASS * len(labels.names)
    if query.max_images < smallest:
        raise DatasetError(
            f"max_images must be at least {smallest}, {MINIMUM_PER_CLASS} for each of {len(labels.names)} classes,"
            f" found {query.max_images}"
        )
    labelled = np.flatnonzero(labels.labels != UNLABELLED)
    if part is not None:
        return part.sample(labels.labels[labelled], labelled, query)
    chosen = stratified_sample(labels.labels[labelled], query.max_images, seed=query.seed)
    return np.asarray(labelled[chosen], dtype=np.int64)


def _assembled(
    query: DatasetQuery,
    opened: OpenedSplit,
    columns: Columns,
    *,
    classes: UsableClasses,
    sample: Int64[np.ndarray, " image"],
    decoding: Decoding,
) -> LabelledImages:
    """The record of what was decoded; a class that lost all but one of its images is left out as well."""
    numbers = opened.numbers(sample)
    unreadable = {int(numbers[position]): reason for position, reason in decoding.reasons.items()}
    refuse_many_unreadable(query, unreadable, sampled=len(sample))
    rows = sample[decoding.readable]
    remaining = _usable_classes(query, columns, ClassLabels(classes.kept.names, classes.kept.labels[rows]))
    kept = remaining.kept.labels != UNLABELLED
    left_out = SampleNotes(
        query,
        classes=classes.too_small + remaining.too_small + remaining.absent,
        absent_classes=classes.absent,
        unlabelled=classes.unlabelled,
        unreadable=unreadable,
        sampled=len(sample),
        usable=int((classes.kept.labels != UNLABELLED).sum()),
        in_split=len(opened.rows),
        joined_directories=joined_directories((columns.class_names and opened.image_directories) or ()),
        is_whole=opened.part is None or opened.part.is_known_whole,
    )
    return LabelledImages(
        dataset=query.dataset,
        sha=opened.sha,
        is_local=opened.is_local,
        config=opened.config,
        split=query.split,
        image_column=columns.image,
        label_column=columns.label,
        class_names=remaining.kept.names,
        labels=remaining.kept.labels[kept],
        rows=opened.numbers(rows[kept]),
        pixels=DecodedImages(Path(), decoding.places[kept]),
        notes=(*opened.notes, *left_out.notes()),
        is_private=opened.is_private,
        groups=_groups(query, opened, rows[kept]),
    )


def _groups(
    query: DatasetQuery, opened: OpenedSplit, rows: Int64[np.ndarray, " image"]
) -> Int64[np.ndarray, " image"] | None:
    """Numbers of the groups of the images in order of appearance; an image without a group is one of its own."""
    name = query.group_column
    if name is None:
        return None
    values = opened.values(name, rows)
    numbers: dict[object, int] = {}
    groups = [
        numbers.setdefault(("image", image) if value is None or value == "" else ("group", value), len(numbers))
        for image, value in enumerate(values)
    ]
    if len(numbers) < 2:
        raise DatasetError(
            f"column {name!r} must hold at least 2 groups, so that others are left when one is left out, found"
            f" {values[0]!r} for all {len(values)} images; name another group_column, or none"
        )
    return np.array(groups, dtype=np.int64)


def _write(images: LabelledImages, query: DatasetQuery, folder: Path) -> None:
    facts = {field.name: getattr(images, field.name) for field in fields(images) if field.name not in _NOT_FACTS}
    arrays = {"labels": images.labels, "rows": images.rows, "places": images.pixels.places}
    arrays |= {} if images.groups is None else {"groups": images.groups}
    write_record(folder, {"query": asdict(query), "images": facts}, arrays)


def _reopened(folder: Path, query: DatasetQuery) -> LabelledImages:
    mark_as_used(folder)
    record, arrays = read_record(folder)
    if record["query"] != asdict(query):
        raise DatasetError(f"{folder} holds the images of another query, {record['query']}; name an unused folder")
    facts: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in record["images"].items()
    }
    pixels = DecodedImages(folder, arrays["places"])
    return LabelledImages(
        labels=arrays["labels"], rows=arrays["rows"], pixels=pixels, groups=arrays.get("groups"), **facts
    )

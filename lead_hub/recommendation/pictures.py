"""What people may look at: pictures of the images that are ranked on, and of those that a checkpoint gets wrong.

A run tells them to whoever asks (`on_pictures`), and keeps none: no board, no file and no card holds one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from jaxtyping import Int

from lead_hub.access import Access
from lead_hub.confidence import ScoredImages, compare_predictions, telling_mistakes
from lead_hub.labelled_images import DatasetQuery, LabelledImages, jpeg_thumbnail, load_labelled_images
from lead_hub.recommendation.grouping import image_groups

MOST_CLASSES, MOST_OF_A_CLASS = 24, 4
MOST_COPIED, MOST_COPIES = 3, 3
MOST_MISTAKES = 16


@dataclass(frozen=True)
class ClassPictures:
    """Some images of one class.

    Attributes:
        name: of the class.
        n_images: how many it has among those that are ranked on.
        jpegs: at most MOST_OF_A_CLASS of them, small.
    """

    name: str
    n_images: int
    jpegs: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True)
class SamplePictures:
    """What a run ranks on.

    Attributes:
        n_images: images of all classes together.
        n_classes: how many classes there are.
        classes: those with the most images, most first; at most MOST_CLASSES.
        fewest: name of the class with the fewest images, and how many these are.
        copies: pictures that are there more than once, exact or nearly so, of each some copies.
        notes: what was left out, and what is there more than once, as sentences for people.
    """

    n_images: int
    n_classes: int
    classes: tuple[ClassPictures, ...]
    fewest: tuple[str, int]
    copies: tuple[tuple[bytes, ...], ...] = field(default=(), repr=False)
    notes: tuple[str, ...] = ()

    @property
    def imbalance(self) -> float:
        """How many times more images the largest class has than the smallest; 1 where all have as many."""
        return self.classes[0].n_images / self.fewest[1]


@dataclass(frozen=True)
class MistakenPicture:
    """An image that a checkpoint gets wrong when it is left out: its class, and the class that it is taken for."""

    jpeg: bytes = field(repr=False)
    true: str
    taken_for: str


@dataclass(frozen=True, eq=False)
class PredictedClasses:
    """What one checkpoint takes each image for, left out of what its classifier learns from.

    Attributes:
        sha: of the checkpoint, as in its row.
        class_names: labels and predictions are positions in it.
        rows: row number of each image within the split.
        labels: class of each image.
        predicted: the class that it is taken for.
        jpegs: some of those that are wrong, small, by position.
    """

    sha: str
    class_names: tuple[str, ...]
    rows: Int[np.ndarray, " image"]
    labels: Int[np.ndarray, " image"]
    predicted: Int[np.ndarray, " image"]
    jpegs: Mapping[int, bytes] = field(repr=False)

    @property
    def n_wrong(self) -> int:
        """How many images it gets wrong."""
        return int((self.labels != self.predicted).sum())

    def mistakes(self) -> tuple[MistakenPicture, ...]:
        """Some of them, those of the most confused classes first."""
        return tuple(map(self.mistake, self.jpegs))

    def mistake(self, position: int) -> MistakenPicture:
        """One of those that there is a picture of."""
        true, taken_for = self.labels[position], self.predicted[position]
        return MistakenPicture(self.jpegs[position], self.class_names[true], self.class_names[taken_for])


PicturesOfRun: TypeAlias = SamplePictures | PredictedClasses
OnPictures: TypeAlias = Callable[[PicturesOfRun], object]


@dataclass(frozen=True)
class RunPictures:
    """All that a run has told so far.

    Attributes:
        sample: what it ranks on; None before it has been read.
        left_out: by the sha of the checkpoint.
    """

    sample: SamplePictures | None = None
    left_out: Mapping[str, PredictedClasses] = field(default_factory=dict)

    def told(self, one: PicturesOfRun) -> "RunPictures":
        """The same with one thing more; of a checkpoint that was there the later one counts."""
        if isinstance(one, SamplePictures):
            return replace(self, sample=one)
        return replace(self, left_out={**self.left_out, one.sha: one})


@dataclass(frozen=True)
class Disagreement:
    """Where two checkpoints disagree, on the images that both were judged on.

    Attributes:
        n_both_right: images that both get right.
        n_only_first: images that only the first gets right.
        n_only_second: images that only the second gets right.
        n_both_wrong: images that neither gets right.
        second_wrong: pictures that only the first gets right, with what the second takes them for.
        first_wrong: pictures that only the second gets right, with what the first takes them for.
    """

    n_both_right: int
    n_only_first: int
    n_only_second: int
    n_both_wrong: int
    second_wrong: tuple[MistakenPicture, ...]
    first_wrong: tuple[MistakenPicture, ...]


def disagreement_of(first: PredictedClasses, second: PredictedClasses) -> Disagreement:
    """Where two checkpoints of one run disagree; in a race, on the images that both have seen."""
    common, of_first, of_second = np.intersect1d(first.rows, second.rows, assume_unique=True, return_indices=True)
    pair = compare_predictions(first.labels[of_first], first.predicted[of_first], second.predicted[of_second])
    only_first = {int(of_second[place]) for place in pair.only_first}
    only_second = {int(of_first[place]) for place in pair.only_second}
    return Disagreement(
        n_both_right=pair.n_both_right,
        n_only_first=len(pair.only_first),
        n_only_second=len(pair.only_second),
        n_both_wrong=len(common) - pair.n_both_right - len(pair.only_first) - len(pair.only_second),
        second_wrong=tuple(second.mistake(position) for position in second.jpegs if position in only_first),
        first_wrong=tuple(first.mistake(position) for position in first.jpegs if position in only_second),
    )


def sample_pictures(images: LabelledImages) -> SamplePictures:
    """Some images of every class, the largest classes first, and of what is there more than once."""
    counts = np.bincount(images.labels, minlength=len(images.class_names))
    largest_first = np.argsort(-counts, kind="stable").tolist()
    smallest = largest_first[-1]
    return SamplePictures(
        n_images=len(images),
        n_classes=len(images.class_names),
        classes=tuple(_class_pictures(images, number) for number in largest_first[:MOST_CLASSES]),
        fewest=(images.class_names[smallest], int(counts[smallest])),
        copies=_copies(images),
        notes=images.notes,
    )


def _class_pictures(images: LabelledImages, number: int) -> ClassPictures:
    """Spread over its images, which often come in the order in which they were taken."""
    own = np.flatnonzero(images.labels == number)
    chosen = own[np.linspace(0, len(own) - 1, min(MOST_OF_A_CLASS, len(own))).round().astype(np.int64)]
    return ClassPictures(images.class_names[number], len(own), _jpegs(images, chosen))


def _copies(images: LabelledImages) -> tuple[tuple[bytes, ...], ...]:
    if images.groups is None:
        return ()
    groups, sizes = np.unique(images.groups, return_counts=True)
    copied = groups[sizes > 1][:MOST_COPIED]
    return tuple(_jpegs(images, np.flatnonzero(images.groups == group)[:MOST_COPIES]) for group in copied)


def _jpegs(images: LabelledImages, positions: Int[np.ndarray, " chosen"]) -> tuple[bytes, ...]:
    return tuple(jpeg_thumbnail(images.pixels[position]) for position in positions.tolist())


def predicted_classes(sha: str, images: LabelledImages, scored: ScoredImages | None) -> PredictedClasses | None:
    """What a checkpoint takes images for, with pictures of some mistakes; None where its score predicts no classes."""
    if scored is None or scored.predicted is None:
        return None
    n_classes = len(images.class_names)
    shown = telling_mistakes(images.labels, scored.predicted, n_classes=n_classes, at_most=MOST_MISTAKES)
    jpegs = dict(zip(shown, _jpegs(images, np.array(shown, dtype=np.int64)), strict=True))
    return PredictedClasses(sha, images.class_names, images.rows, images.labels, scored.predicted, jpegs)


def look_at_images(query: DatasetQuery, access: Access) -> SamplePictures:
    """What a run of this query would rank on, before any checkpoint is asked. Nothing of it is kept beyond the caches.

    Args:
        query: which images.
        access: as of a run: whose token, which caches, and whether anybody still waits.

    Raises:
        DatasetError, HubError: as `load_labelled_images`.
        RunCancelledError: nobody waits any more.
    """
    images = load_labelled_images(query, access)
    try:
        return sample_pictures(image_groups(images, (), group_column=query.group_column, access=access).of(images))
    finally:
        images.close()

"""Which images train, which choose learning rate and epoch, and which measure: three parts that share no image."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from lead_hub.access import Access
from lead_hub.errors import DatasetError
from lead_hub.labelled_images import DatasetQuery, LabelledImages, SplitNotFoundError, load_labelled_images

VALIDATION_SHARE = 0.2  # of the images that are not for the test
HELD_OUT_SHARE = 0.2  # of the train split, where the dataset has no split for the test
HELD_OUT_SEED = 0  # the same for every checkpoint, rate and seed: accuracies are of the same images
TEST_SPLIT = "test"
FEWEST_TEST_IMAGES_READ = 10_000  # a larger ranking sample raises it; below it the whole split is read


@dataclass(frozen=True, eq=False)
class FineTuningImages:
    """The images of a fine-tuning, with the classes of `train`.

    Attributes:
        train: images of the split that is trained on.
        test: images of the split that measures; None where a part of `train` is held out for that.
        notes: how the test images were chosen, as sentences for people.
    """

    train: LabelledImages
    test: LabelledImages | None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.test is not None and not set(self.test.class_names) & set(self.train.class_names):
            raise DatasetError(
                f"the test split must share classes with the split that is trained on, found"
                f" {', '.join(self.test.class_names[:5])} in {self.test.split!r} and"
                f" {', '.join(self.train.class_names[:5])} in {self.train.split!r}: name another one with test_split"
            )

    @property
    def test_source(self) -> str:
        """Where the measured images come from, in words."""
        return f"held-out part of {self.train.split!r}" if self.test is None else f"split {self.test.split!r}"

    def close(self) -> None:
        """Remove the decoded images if they are temporary."""
        for images in (self.train, self.test):
            if images is not None:
                images.close()


@dataclass(frozen=True, eq=False)
class ImageParts:
    """Positions of images: `fit` and `validation` within the train images, `test` within the test images.

    Without a test split, `test` too are positions within the train images. Labels are numbers of train's classes.
    """

    fit: Int64[np.ndarray, " fit"]
    validation: Int64[np.ndarray, " validation"]
    test: Int64[np.ndarray, " test"]
    test_labels: Int64[np.ndarray, " test"]


def image_parts(images: FineTuningImages, *, seed: int) -> ImageParts:
    """The parts of one training: the test part is the same for every seed, the validation part is drawn by it.

    Train images of one group (one patient, copies of one picture) are all in one part.
    """
    labels, groups = images.train.labels, images.train.groups
    if images.test is None:
        test = drawn_share(labels, groups, HELD_OUT_SHARE, seed=HELD_OUT_SEED)
        test_labels, others = labels[test], np.setdiff1d(np.arange(len(labels)), test)
    else:
        test, test_labels = known_classes(images.test, images.train.class_names)
        others = np.arange(len(labels))
    left = None if groups is None else groups[others]
    validation = others[drawn_share(labels[others], left, VALIDATION_SHARE, seed=seed)]
    return ImageParts(np.setdiff1d(others, validation), validation, test, test_labels)


def drawn_share(
    labels: Int64[np.ndarray, " image"], groups: Int64[np.ndarray, " image"] | None, share: float, *, seed: int
) -> Int64[np.ndarray, " part"]:
    """Positions of about `share` of the images, by classes, and where there are groups, by whole ones.

    Raises:
        DatasetError: there is no such part.
    """
    if groups is None:
        return stratified_share(labels, share, seed=seed)
    return grouped_share(labels, groups, share, seed=seed)


def stratified_share(labels: Int64[np.ndarray, " image"], share: float, *, seed: int) -> Int64[np.ndarray, " part"]:
    """Positions of about `share` of the images, ascending, at least one; each class gives its share, up to rounding.

    Images are put in order by class and, within a class, by a random key; from that line every (1/share)-th is
    taken. As the steps are two or more wide, no class gives all of its images away; a class of one gives none.

    Raises:
        DatasetError: every class has a single image.
    """
    choosable = np.flatnonzero(np.bincount(labels)[labels] > 1)
    if not len(choosable):
        raise DatasetError(
            f"fine-tuning needs classes of several images, found {len(labels)} images of as many classes: use more"
            " images a class"
        )
    # Raw output of a bit generator: numpy promises that it never changes, which it does not for shuffles.
    keys = np.random.PCG64(seed).random_raw(len(labels) + 1)
    line = choosable[np.lexsort((keys[choosable], labels[choosable]))]
    count = min(max(1, round(share * len(line))), len(line) // 2)
    return np.sort(_spread_over(line, count, key=keys[-1]))


def _spread_over(line: Int64[np.ndarray, " item"], count: int, *, key: np.uint64) -> Int64[np.ndarray, " part"]:
    """So many items at equal steps, the first one within a step as a random key says."""
    start = float(key >> np.uint64(11)) / 2**53
    steps = np.floor((np.arange(count) + start) * (len(line) / count)).astype(np.int64)
    return np.asarray(line[steps], dtype=np.int64)


def grouped_share(
    labels: Int64[np.ndarray, " image"], groups: Int64[np.ndarray, " image"], share: float, *, seed: int
) -> Int64[np.ndarray, " part"]:
    """Positions of the images of about `share` of the groups, ascending: one at the least, at most half of the images.

    Groups are put in order by the class of most of their images, by size, and by a random key; from that line every
    (1/share)-th is taken. One without which a class would have no image left is not taken; another one is for it.

    Raises:
        DatasetError: no group can be taken.
    """
    numbers = np.unique(groups, return_inverse=True)[1]
    counts = np.zeros((int(numbers.max()) + 1, int(labels.max()) + 1), dtype=np.int64)
    np.add.at(counts, (numbers, labels), 1)
    sizes, left = counts.sum(axis=1), counts.sum(axis=0)
    keys = np.random.PCG64(seed).random_raw(len(counts) + 1)
    choosable = np.flatnonzero(((left - counts > 0) | (counts == 0)).all(axis=1) & (2 * sizes <= len(labels)))
    if not len(choosable):
        raise DatasetError(
            f"fine-tuning needs classes of several groups of images, found {len(counts)} groups of which a class needs"
            " each, or of which one has most of the images: use more groups a class, or rank without group_column"
        )
    line = choosable[np.lexsort((keys[choosable], sizes[choosable], counts[choosable].argmax(axis=1)))]
    count = max(1, min(round(share * len(line)), len(line) // 2))
    taken: list[int] = []
    n_left_to_take = len(labels) // 2
    for group in dict.fromkeys([*_spread_over(line, count, key=keys[-1]).tolist(), *line.tolist()]):
        if len(taken) == count:
            break
        if sizes[group] <= n_left_to_take and (left - counts[group])[counts[group] > 0].all():
            taken.append(group)
            left = left - counts[group]
            n_left_to_take -= sizes[group]
    return np.flatnonzero(np.isin(numbers, taken)).astype(np.int64)


def known_classes(
    images: LabelledImages, class_names: tuple[str, ...]
) -> tuple[Int64[np.ndarray, " image"], Int64[np.ndarray, " image"]]:
    """Positions of the images whose class is among `class_names`, and its number there."""
    number = {name: index for index, name in enumerate(class_names)}
    numbers = np.array([number.get(name, -1) for name in images.class_names], dtype=np.int64)[images.labels]
    positions = np.flatnonzero(numbers >= 0)
    return positions, numbers[positions]


def load_finetuning_images(
    query: DatasetQuery,
    access: Access | None = None,
    *,
    test_split: str | None = None,
    decoded_folder: Path | None = None,
) -> FineTuningImages:
    """Load the images to train on, and those of the test split where there is one.

    Args:
        query: the split to train on.
        access: as of `load_labelled_images`.
        test_split: the split that measures; None means "test" where the dataset has one, else a held-out part of
            the split to train on.
        decoded_folder: as of `load_labelled_images`, for both splits in subfolders.

    Raises:
        DatasetError: a split cannot be used, or `test_split` is the one that is trained on.
        HubError: the Hub refused or could not be reached.
    """
    load = partial(load_labelled_images, access=access)
    with ExitStack() as opened:  # closed where there are no images to give
        train = load(query, decoded_folder=decoded_folder / "train" if decoded_folder else None)
        opened.callback(train.close)
        if (test_split or TEST_SPLIT) == train.split or (
            test_split is None and Path(query.dataset).expanduser().is_file()
        ):
            _refuse_same(train, asked_for=test_split)
            images = FineTuningImages(train, None)
        else:
            wanted = _test_query(query, train, split=test_split or TEST_SPLIT)
            folder = decoded_folder / "test" if decoded_folder else None
            images = _with_test_images(train, partial(load, wanted, decoded_folder=folder), asked_for=test_split)
        opened.pop_all()
    return images


def _test_query(query: DatasetQuery, train: LabelledImages, *, split: str) -> DatasetQuery:
    return replace(
        query,
        split=split,
        revision=None if train.is_local else train.sha,
        image_column=train.image_column,
        label_column=train.label_column,
        group_column=None,  # all of it measures, and no part of it learns
        max_images=max(query.max_images, FEWEST_TEST_IMAGES_READ),
    )


def _with_test_images(
    train: LabelledImages, load_test: Callable[[], LabelledImages], *, asked_for: str | None
) -> FineTuningImages:
    """The train images with those of the test split; one that nobody asked for may turn out to be of no use."""
    with ExitStack() as opened:  # closed unless it measures
        try:
            test = load_test()
            opened.callback(test.close)
            # A file, or a saved dataset without splits, goes by any split's name.
            if test.is_local and test.sha == train.sha:
                _refuse_same(train, asked_for=asked_for)
                return FineTuningImages(train, None)
            images = FineTuningImages(train, test, notes=_class_notes(train, test))
        except DatasetError as error:
            if asked_for is not None:
                raise
            is_there = not isinstance(error, SplitNotFoundError)
            return FineTuningImages(train, None, notes=(f"the split {TEST_SPLIT!r} is not used: {error}",) * is_there)
        opened.pop_all()
    return images


def _refuse_same(train: LabelledImages, *, asked_for: str | None) -> None:
    if asked_for is not None:
        raise DatasetError(
            f"test images must be others than those that are trained on, found test_split={asked_for!r}, which is what"
            f" split {train.split!r} of {train.dataset} is read from: name another split, or none to hold a part out"
        )


def _class_notes(train: LabelledImages, test: LabelledImages) -> tuple[str, ...]:
    unknown = [name for name in test.class_names if name not in train.class_names]
    untested = [name for name in train.class_names if name not in test.class_names]
    notes = [f"test images of classes that are not trained are left out: {', '.join(unknown)}"] if unknown else []
    return (*notes, *([f"no test images of the classes: {', '.join(untested)}"] if untested else []))

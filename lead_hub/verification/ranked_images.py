"""The images that a board was made on, read again: the same rows, classes and groups, or an error."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from lead_hub.access import Access
from lead_hub.errors import DatasetError
from lead_hub.finetuning import FineTuningImages, load_finetuning_images
from lead_hub.labelled_images import DatasetQuery, groups_sha256, rows_sha256
from lead_hub.leaderboard import Leaderboard, RankedDataset
from lead_hub.processes import Processes, on_main_process
from lead_hub.recommendation import image_groups


def same_images(
    board: Leaderboard, access: Access, *, test_split: str | None, decoded_folder: Path | None
) -> FineTuningImages:
    """The images that a board was made on, and test images.

    Args:
        board: that was made on them.
        access: as whom they are read.
        test_split: the split that measures; None means "test" where there is one.
        decoded_folder: as of `load_finetuning_images`.

    Raises:
        DatasetError: they cannot be read, or are others now.
        RunCancelledError: nobody waits any more.
    """
    with ExitStack() as opened:  # closed where they are others
        images = load_finetuning_images(query_of(board), access, test_split=test_split, decoded_folder=decoded_folder)
        opened.callback(images.close)
        refuse_other(
            board.dataset,
            {
                "sha": (board.dataset.sha, images.train.sha),
                "classes": (board.dataset.class_names, images.train.class_names),
                "sampled rows (sha256)": (board.dataset.rows_sha256, rows_sha256(images.train)),
            },
        )
        opened.pop_all()
    return images


def grouped_as_ranked(
    images: FineTuningImages, board: Leaderboard, access: Access, processes: Processes
) -> FineTuningImages:
    """The images with the groups that the ranking left out together, so that no part of a training shares one.

    Raises:
        DatasetError: they are others now.
        RunCancelledError: nobody waits any more.
    """
    if board.dataset.groups_sha256 is None:  # every image was left out alone
        return replace(images, train=replace(images.train, groups=None))
    find = partial(image_groups, images.train, (board.method,), group_column=group_column_of(board), access=access)
    found = on_main_process(find, processes)
    train = found.of(images.train)
    refuse_other(board.dataset, {"groups of images (sha256)": (board.dataset.groups_sha256, groups_sha256(train))})
    return replace(images, train=train)


def group_column_of(board: Leaderboard) -> str | None:
    """The column of groups that a run was given, as its settings tell."""
    column = board.settings.get("group_column")
    return column if isinstance(column, str) else None


def query_of(board: Leaderboard) -> DatasetQuery:
    """The query that gave the board's images.

    Raises:
        DatasetError: a local dataset is not here, or the board does not say how it was sampled.
    """
    dataset, settings = board.dataset, board.settings
    if dataset.is_local and not Path(dataset.dataset).expanduser().exists():
        raise DatasetError(
            f"the images that were ranked on must be here, found nothing at {dataset.dataset!r}: call this where the"
            " path leads to them, or rank again"
        )
    max_images, seed = settings.get("max_images"), settings.get("seed")
    if not isinstance(max_images, int) or not isinstance(seed, int):
        raise DatasetError(
            f"a leaderboard must say how its images were sampled, found max_images {max_images!r} and seed {seed!r} in"
            " its settings: rank again"
        )
    return DatasetQuery(
        dataset=dataset.dataset,
        config=dataset.config,
        split=dataset.split,
        image_column=dataset.image_column,
        label_column=dataset.label_column,
        revision=None if dataset.is_local else dataset.sha,
        max_images=max_images,
        seed=seed,
        group_column=group_column_of(board),
    )


def refuse_other(dataset: RankedDataset, pairs: Mapping[str, tuple[object, object]]) -> None:
    """Raise where something of the images was otherwise when they were ranked on.

    Args:
        dataset: that was ranked on.
        pairs: what it was then, and what it is now, by name.
    """
    for what, (before, now) in pairs.items():
        if before != now:
            raise DatasetError(
                f"{dataset.dataset} must be as it was when it was ranked: its {what} was {before}, found {now}; rank"
                " again, or bring the old data back"
            )

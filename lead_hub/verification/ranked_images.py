"""The images that a leaderboard was made on, read once more and checked to be the same."""

from pathlib import Path

from lead_hub.errors import DatasetError
from lead_hub.finetuning import FineTuningImages, load_finetuning_images
from lead_hub.labelled_images import DatasetQuery, LabelledImages
from lead_hub.leaderboard import Leaderboard, RankedDataset
from lead_hub.provenance import rows_sha256
from lead_hub.verification.request import Verification


def same_images(verification: Verification, decoded_folder: Path | None) -> FineTuningImages:
    """The images that the board was made on, and test images.

    Raises:
        DatasetError: they cannot be read, or are others now.
    """
    images = load_finetuning_images(
        query_of(verification.board),
        test_split=verification.test_split,
        decoded_folder=decoded_folder,
        cache_dir=verification.cache_dir / "datasets" if verification.cache_dir else None,
        token=verification.token,
        progress=verification.progress,
    )
    refuse_changed(images.train, verification.board.dataset)
    return images


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
    )


def refuse_changed(images: LabelledImages, dataset: RankedDataset) -> None:
    """Raise if the images are not those that were ranked on."""
    pairs = {
        "sha": (dataset.sha, images.sha),
        "classes": (dataset.class_names, images.class_names),
        "sampled rows (sha256)": (dataset.rows_sha256, rows_sha256(images)),
    }
    for what, (before, now) in pairs.items():
        if before != now:
            raise DatasetError(
                f"{dataset.dataset} must be as it was when it was ranked: its {what} was {before}, found {now}; rank"
                " again, or bring the old data back"
            )

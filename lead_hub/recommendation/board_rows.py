"""Images, outputs and scores -> what a leaderboard keeps of them."""

import dataclasses
import warnings
from collections.abc import Iterable, Mapping, Sequence

from lead_hub.access import Access
from lead_hub.candidates import Candidate, same_dataset
from lead_hub.checkpoint_files import CheckpointFiles
from lead_hub.checkpoint_outputs import CheckpointOutputs, processor_settings, versions, wanted_side_px
from lead_hub.labelled_images import STORED_SHORT_SIDE_PX, LabelledImages, groups_sha256, rows_sha256
from lead_hub.leaderboard import Leaderboard, RankedCheckpoint, RankedDataset
from lead_hub.score_cards import ScoreCards, load_cards
from lead_hub.transferability import SCORES, TransferabilityScore

FROM_CACHE = "from cache"


def empty_board(
    images: LabelledImages, method: str, *, settings: Mapping[str, str | int | None], n_candidates: int
) -> Leaderboard:
    """The board before the first candidate."""
    return Leaderboard(
        dataset=ranked_dataset(images),
        method=method,
        rows=(),
        skipped=(),
        settings=settings,
        versions=versions(),
        n_candidates=n_candidates,
        method_version=SCORES[method].version,
    )


def find_cards(
    repository: str | None, board: Leaderboard, methods: Sequence[str], *, access: Access
) -> ScoreCards | None:
    """The score cards that may stand in for computing, if the run asks for any; a card holds one score.

    Raises:
        HubError: the Hub refused them or cannot be reached.
    """
    if repository is not None and len(methods) > 1:
        warnings.warn(
            f"a score card holds one score, and {len(methods)} are asked for: those of {repository} are not looked at",
            stacklevel=2,
        )
    if repository is None or len(methods) > 1:
        return None
    return load_cards(
        repository,
        api=access.api,
        dataset=dataclasses.asdict(board.dataset),
        method=board.method,
        method_version=board.method_version,
    )


def ranked_dataset(images: LabelledImages) -> RankedDataset:
    """What a leaderboard keeps of the images."""
    return RankedDataset(
        dataset=images.dataset,
        sha=images.sha,
        is_local=images.is_local,
        config=images.config,
        split=images.split,
        image_column=images.image_column,
        label_column=images.label_column,
        class_names=images.class_names,
        n_images=len(images.labels),
        rows_sha256=rows_sha256(images),
        notes=images.notes,
        is_private=images.is_private,
        groups_sha256=groups_sha256(images),
    )


def ranked_checkpoint(
    candidate: Candidate,
    files: CheckpointFiles,
    outputs: CheckpointOutputs,
    *,
    score: TransferabilityScore,
    images_per_s: float | None,
    images: LabelledImages,
) -> RankedCheckpoint:
    """The row of one scored candidate, before it has a rank."""
    notes = (FROM_CACHE if images_per_s is None else "", outputs.dtype_reason, enlarging_note(files, images))
    return RankedCheckpoint(
        checkpoint=candidate.checkpoint,
        score=score.value,
        revision=candidate.revision,
        sha=files.sha,
        companions=dict(score.companions),
        family=outputs.family,
        parameters=outputs.parameters,
        licence=files.licence,
        downloads=candidate.downloads,
        n_features=outputs.features.shape[1],
        n_source_classes=None if outputs.logits is None else outputs.logits.shape[1],
        pooling=outputs.pooling,
        processor=outputs.processor,
        dtype=outputs.dtype,
        device=outputs.device,
        images_per_s=images_per_s,
        trained_on_dataset=was_trained_on(images, (*candidate.datasets, *candidate.base_datasets, *files.datasets)),
        note="; ".join(filter(None, notes)),
        is_private=files.is_private,
    )


def enlarging_note(files: CheckpointFiles, images: LabelledImages) -> str:
    """That a checkpoint wants more of the images than is kept of them; "" where it does not."""
    if images.pixels.largest_short_side_px < STORED_SHORT_SIDE_PX:
        return ""
    settings = processor_settings(files.folder)
    wanted_px = wanted_side_px(settings)
    if wanted_px <= STORED_SHORT_SIDE_PX or settings.get("do_resize") is False:
        return ""
    return f"wants images of {wanted_px:,.0f} px, which are kept at {STORED_SHORT_SIDE_PX} px and enlarged again"


def was_trained_on(images: LabelledImages, datasets: Iterable[str]) -> bool:
    """Whether the images' dataset is among those that a checkpoint was trained on; a local one has no public name."""
    return not images.is_local and any(same_dataset(name, images.dataset) for name in datasets)

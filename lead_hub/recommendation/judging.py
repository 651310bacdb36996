"""Scored candidates -> the board, every row of which says how sure it is."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lead_hub.access import Access
from lead_hub.confidence import (
    Calibration,
    ImageLabels,
    ScoredImages,
    find_calibration,
    ranking_confidence,
    without_ranks,
)
from lead_hub.errors import ScoreError
from lead_hub.labelled_images import LabelledImages
from lead_hub.leaderboard import Leaderboard, RankedCheckpoint
from lead_hub.leaderboard import rank as ranked
from lead_hub.transferability import TransferabilityScore


@dataclass(frozen=True, eq=False)
class ScoredCandidate:
    """A row before it knows of the others, and what its score says of every image.

    Attributes:
        row: without a rank; from a score card, with what the card says of its confidence.
        images: None for a score without terms per image, and for a row of a score card.
    """

    row: RankedCheckpoint
    images: ScoredImages | None = None


def scored_images(score: TransferabilityScore) -> ScoredImages | None:
    """What is kept of a score until the run ends; None where it has no terms per image."""
    if score.per_image is None:
        return None
    predicted = None if score.predicted is None else score.predicted.cpu().numpy()
    return ScoredImages(score.per_image.double().cpu().numpy(), predicted)


def calibration_of(board: Leaderboard, access: Access) -> Calibration | None:
    """The calibration of a board's score: what this machine fitted again, else what the package has."""
    file = access.calibration_file(board.method)
    try:
        kept = file.read_text(encoding="utf-8") if file.is_file() else None
        return find_calibration(board.method, board.method_version, kept=kept)
    except (OSError, ValueError, ScoreError) as error:
        warnings.warn(f"{file} is not used: {error}; `lead-hub calibrate` writes it again", stacklevel=2)
        return find_calibration(board.method, board.method_version)


def judged_board(
    board: Leaderboard,
    scored: Sequence[ScoredCandidate],
    images: LabelledImages,
    *,
    calibration: Calibration | None,
    seed: int,
) -> Leaderboard:
    """The board with these rows. Where some have no terms at hand, ranks are nobody's to judge.

    Args:
        board: what does not depend on the rows.
        scored: the candidates that have a score.
        images: that they were scored on.
        calibration: of the board's score; None without one.
        seed: of the resamples.
    """
    at_hand = [one.images for one in scored if one.images]
    resampled = ImageLabels(images.labels, images.class_names, seed=seed, groups=images.groups)
    records = iter(ranking_confidence(at_hand, resampled, calibration))
    rows = [replace(one.row, confidence=next(records)) if one.images else one.row for one in scored]
    if len(at_hand) < len(scored):
        rows = [replace(row, confidence=without_ranks(row.confidence)) if row.confidence else row for row in rows]
    return replace(board, rows=ranked(rows))

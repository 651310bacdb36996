"""Scored candidates -> the board, every row of which says how sure it is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lead_hub.confidence import ImageLabels, ScoredImages, find_calibration, ranking_confidence, without_ranks
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


def judged_board(
    board: Leaderboard, scored: Sequence[ScoredCandidate], images: LabelledImages, *, seed: int
) -> Leaderboard:
    """The board with these rows. Where some have no terms at hand, ranks are nobody's to judge.

    Args:
        board: what does not depend on the rows.
        scored: the candidates that have a score.
        images: that they were scored on.
        seed: of the resamples.
    """
    at_hand = [one.images for one in scored if one.images]
    calibration = find_calibration(board.method, board.method_version)
    resampled = ImageLabels(images.labels, images.class_names, seed=seed, groups=images.groups)
    records = iter(ranking_confidence(at_hand, resampled, calibration))
    rows = [replace(one.row, confidence=next(records)) if one.images else one.row for one in scored]
    if len(at_hand) < len(scored):
        rows = [replace(row, confidence=without_ranks(row.confidence)) if row.confidence else row for row in rows]
    return replace(board, rows=ranked(rows))

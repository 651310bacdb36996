"""Score cards of many datasets -> by how much each checkpoint stands above others on each of them.

A dataset's scores are put in standard deviations from their mean, over the checkpoints that one repository ranked there
on the same images. What is said of a checkpoint on a dataset several times is averaged, so that it counts once.
"""

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean, pstdev
from typing import TypeAlias

from lead_hub.errors import ScoreError
from lead_hub.score_cards.card import UNREADABLE, ScoreResult

FEWEST_CHECKPOINTS = 5  # among fewer, standing above others says little
MOST_STANDING = 3.0

Standings: TypeAlias = Mapping[str, Mapping[str, float]]  # checkpoint -> dataset -> standard deviations


def standings_of(results: Sequence[ScoreResult]) -> Standings:
    """Where each checkpoint stands on each dataset that five or more were ranked on.

    Args:
        results: on any datasets, of one score in one version.
    """
    rankings: dict[str, dict[str, ScoreResult]] = defaultdict(dict)
    for result in results:
        rankings[result.ranking_id][str(result.row["checkpoint"])] = result
    told: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for ranking in rankings.values():
        scores = {checkpoint: float(result.row["score"]) for checkpoint, result in ranking.items()}
        for checkpoint, standing in standings_among(scores).items():
            told[checkpoint][str(ranking[checkpoint].dataset["dataset"])].append(standing)
    return {
        checkpoint: {dataset: fmean(values) for dataset, values in by_dataset.items()}
        for checkpoint, by_dataset in told.items()
    }


def standings_among(scores: Mapping[str, float]) -> dict[str, float]:
    """Where each checkpoint stands among these; nothing where they are fewer than five, or all the same.

    Args:
        scores: by checkpoint, on the same images.
    """
    spread = pstdev(scores.values()) if len(scores) >= FEWEST_CHECKPOINTS else 0.0
    if not spread > 0:
        return {}
    mean = fmean(scores.values())
    return {
        checkpoint: min(max((score - mean) / spread, -MOST_STANDING), MOST_STANDING)
        for checkpoint, score in scores.items()
    }


def standings_text(standings: Standings, *, method: str, method_version: int) -> str:
    """What a file of them holds."""
    document = {"method": method, "method_version": method_version, "standings": standings}
    return json.dumps(document, sort_keys=True) + "\n"


def parse_standings(text: str, *, method: str, method_version: int) -> Standings:
    """What `standings_text` wrote; nothing where it is of another score, or of another version.

    Raises:
        ScoreError: it is no such text.
    """
    try:
        document = json.loads(text)
        if (document["method"], document["method_version"]) != (method, method_version):
            return {}
        standings = {
            str(checkpoint): {str(dataset): float(value) for dataset, value in by_dataset.items()}
            for checkpoint, by_dataset in document["standings"].items()
        }
    except UNREADABLE as error:
        raise ScoreError(f"what is kept of standings must be as it was written, found {error!r}") from error
    if not all(math.isfinite(value) for by_dataset in standings.values() for value in by_dataset.values()):
        raise ScoreError("what is kept of standings must be finite numbers, found others")
    return standings

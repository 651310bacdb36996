"""Terms of a few images -> which checkpoints are worth more images: the plan of a race, which computes nothing itself.

All see few images first. Those that are outside the smallest set that holds the best with a high probability drop out,
the others see twice as many, and so on until all images. It is successive halving (Karnin, Koren, Somekh, "Almost
optimal exploration in multi-armed bandits", ICML 2013) with a say for the chances: more than a part go on where the
images cannot tell them apart.

The constants were chosen on the study half of the ground-truth matrix; `lead-hub bench --race` says what came of them
on the others.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Float

from lead_hub.confidence.calibration import Calibration
from lead_hub.confidence.chance_of_best import chances_of_best, could_be_best
from lead_hub.confidence.image_bootstrap import resampled_scores, widened
from lead_hub.confidence.judgement import ImageLabels
from lead_hub.errors import ScoreError

Racer = TypeVar("Racer", bound=Hashable)


@dataclass(frozen=True)
class RaceRules:
    """When a checkpoint drops out.

    Attributes:
        first_images: what all see at first,
        first_per_class: or so many images a class, where that is more,
        largest_first_share: but at most this share of all images.
        level: those go on that are in the smallest set which holds the best with this probability,
        least_share: and those among this share of the best scores, rounded up.
    """

    first_images: int = 200
    first_per_class: int = 8
    largest_first_share: float = 0.25
    level: float = 0.985
    least_share: float = 0.25


RULES = RaceRules()
# A sample has at least two images of every class (`labelled_images.sampling`).
FEWEST_PER_CLASS = 2
# A stage of more images than this share of all would spare next to nothing.
LARGEST_STAGE_SHARE = 0.75


def stage_sizes(n_images: int, n_classes: int, rules: RaceRules = RULES) -> tuple[int, ...]:
    """How many images each stage rests on: from few, twice as many each time, to all, which come last.

    Args:
        n_images: all of them.
        n_classes: of which there are at least two images each.
        rules: of the race.
    """
    wanted = max(rules.first_images, rules.first_per_class * n_classes)
    first = max(min(wanted, math.floor(rules.largest_first_share * n_images)), FEWEST_PER_CLASS * n_classes)
    sizes = []
    while first < LARGEST_STAGE_SHARE * n_images:
        sizes.append(first)
        first *= 2
    return (*sizes, n_images)


def race_chances(
    terms: Float[np.ndarray, "checkpoint image"], images: ImageLabels, calibration: Calibration
) -> Float[np.ndarray, " checkpoint"]:
    """Probability of each to be the best of these after full fine-tuning, as a board's rows have it.

    Raises:
        ScoreError: fewer than two images or groups.
    """
    resampled = resampled_scores(terms, seed=images.seed, groups=images.groups)
    moved = widened(resampled, terms.mean(axis=1), variance_ratio=calibration.image_variance_ratio)
    return chances_of_best(moved, spread=calibration.score_spread(len(images.class_names)))


def going_on(
    scores: Float[np.ndarray, " checkpoint"], chances: Float[np.ndarray, " checkpoint"], rules: RaceRules = RULES
) -> Bool[np.ndarray, " checkpoint"]:
    """Which of the checkpoints of a stage see more images; equal ones share their fate, and never none.

    Args:
        scores: on the images of the stage, higher is better.
        chances: to be the best of these, which add up to 1.
        rules: of the race.
    """
    if not len(scores):
        return np.zeros(0, dtype=bool)
    n_best = math.ceil(rules.least_share * len(scores))
    among_best: Bool[np.ndarray, " checkpoint"] = scores >= np.sort(scores)[-n_best]
    following: Bool[np.ndarray, " checkpoint"] = among_best | could_be_best(chances, level=rules.level)
    return following


def staged_chances(stages: Sequence[Mapping[Racer, float]]) -> dict[Racer, float]:
    """One probability a checkpoint to be the best of all, from what each stage says of those that were in it.

    Whoever is in the next stage shares what it has with the others there as that stage, on more images, says; whoever
    is not keeps what its last stage gave it. All add up to 1.

    Args:
        stages: from few images to many: chances by checkpoint, which add up to 1; each holds some of those before it.

    Raises:
        ScoreError: a stage with a checkpoint that was not in the one before.
    """
    combined: dict[Racer, float] = {}
    for number, stage in enumerate(stages):
        if number and not set(stage) <= set(stages[number - 1]):
            raise ScoreError("each stage must hold checkpoints of the stage before it alone")
        shared = sum(combined[one] for one in stage) if number else 1.0
        combined.update({one: shared * chance for one, chance in stage.items()})
    return combined

"""Stage 6: how sure a ranking is: intervals, ties, who could be best, and which accuracy to expect.

    terms of every image  ->  image_bootstrap  ->  intervals: one of every score and rank, tie groups
    calibration.json      ->  chance_of_best, accuracies: who could be best, and the accuracy after fine-tuning
    left-out predictions  ->  accuracies, class_errors: how a linear probe does, and on which classes
    those of two          ->  disagreement: which images only one of them gets right
    all of them           ->  judgement: one record a row; race: which checkpoints are worth more images
    outcomes              ->  expected_line -> refitting: the calibration again, on what fine-tuning gave elsewhere

Pure numerics over arrays; nothing is refitted, and no draw depends on the order of the checkpoints.
"""

from lead_hub.confidence.accuracies import PredictedAccuracy, predicted_accuracy
from lead_hub.confidence.calibration import (
    Calibration,
    Confirmation,
    Part,
    PromiseOutcomes,
    calibrations_text,
    find_calibration,
    shipped_calibration,
)
from lead_hub.confidence.chance_of_best import chances_of_best, could_be_best
from lead_hub.confidence.checked_types import with_checked_types
from lead_hub.confidence.class_errors import MOST_CLASSES, ClassAccuracy, Confusion, listed_accuracies
from lead_hub.confidence.disagreement import PairOfPredictions, compare_predictions, telling_mistakes
from lead_hub.confidence.image_bootstrap import resampled_scores, widened
from lead_hub.confidence.judgement import ImageLabels, ScoredImages, ranking_confidence
from lead_hub.confidence.known_outcomes import THIS_MACHINE, Outcome, parse_outcome
from lead_hub.confidence.race import RULES, RaceRules, going_on, race_chances, stage_sizes, staged_chances
from lead_hub.confidence.record import RANK_DEPENDENT, Confidence, as_columns, parse_confidence, without_ranks
from lead_hub.confidence.refitting import Refit, SourceOfOutcomes, refit, without_dataset

__all__ = [
    "MOST_CLASSES",
    "RANK_DEPENDENT",
    "RULES",
    "THIS_MACHINE",
    "Calibration",
    "ClassAccuracy",
    "Confidence",
    "Confirmation",
    "Confusion",
    "ImageLabels",
    "Outcome",
    "PairOfPredictions",
    "Part",
    "PredictedAccuracy",
    "PromiseOutcomes",
    "RaceRules",
    "Refit",
    "ScoredImages",
    "SourceOfOutcomes",
    "as_columns",
    "calibrations_text",
    "chances_of_best",
    "compare_predictions",
    "could_be_best",
    "find_calibration",
    "going_on",
    "listed_accuracies",
    "parse_confidence",
    "parse_outcome",
    "predicted_accuracy",
    "race_chances",
    "ranking_confidence",
    "refit",
    "resampled_scores",
    "shipped_calibration",
    "stage_sizes",
    "staged_chances",
    "telling_mistakes",
    "widened",
    "with_checked_types",
    "without_dataset",
    "without_ranks",
]

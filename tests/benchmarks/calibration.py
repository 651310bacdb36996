"""Fits lead_hub/confidence/calibration.json on the ground-truth matrix.

    python -m tests.benchmarks.calibration [--matrix FOLDER] [--output FILE]
    python -m tests.benchmarks.calibration --confirm tests/benchmarks/ground_truth/confirmation [--output FILE]

Once on the study half alone; `lead-hub bench` judges that on the held-out half, which nothing was chosen on. And once
on all datasets of both matrices, drawings under small networks and photographs under real ones, for `recommend`. Both
are judged leave-one-dataset-out here: the constants for a dataset's figures come from the other datasets.

1. Expected accuracy: a line from the logits of left-out accuracies, and the number of classes, to the logits of
   fine-tuned ones (`lead_hub/confidence/expected_line.py`). The pairs are written down too: `lead-hub calibrate` fits
   it again with others.
2. Its error: that of lines through the other datasets. The variance that the choice of images causes is taken off, for
   every interval adds that of its own images; the 90% quantile is the empirical one.
3. Variance from images to images, as a multiple of that of resampled terms: see `image_variance.py`.
4. Spread: the likeliest one, given which checkpoint of random pools was truly the best (the likelihood of McFadden's
   conditional logit); then widened until the set of checkpoints that could be best holds the truly best in 90% of the
   pools of a dataset that the spread was not fitted on.

With --confirm nothing is fitted: the constants of all datasets are judged on targets that were made afterwards, and
what is found is written beside them. A new fit drops it.
"""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from statistics import NormalDist
from typing import TypeVar

import numpy as np

import lead_hub.confidence
from lead_hub.bench import MATRIX_FOLDER, REAL_MATRIX_FOLDER
from lead_hub.bench.coverage import (
    FineTunedTarget,
    confidence_figures,
    finetuned_targets,
    pool_figures,
    random_pools,
)
from lead_hub.bench.matrix import GroundTruthMatrix, read_matrix
from lead_hub.confidence import Calibration, Confirmation, Part, chances_of_best, resampled_scores, widened
from lead_hub.confidence.calibration import (
    CALIBRATION_FILE,
    CalibrationData,
    MatrixFigures,
    calibrations_text,
    parse_calibrations,
)
from lead_hub.confidence.chance_of_best import LEVEL
from lead_hub.confidence.expected_line import fitted_line, line_outcomes
from lead_hub.confidence.known_outcomes import OUTCOMES_FILE, SHIPPED, Outcome, outcomes_text, parse_outcomes
from lead_hub.confidence.refitting import with_line
from lead_hub.transferability import SCORES
from tests.benchmarks.image_variance import halves_apart

Item = TypeVar("Item")
METHOD = "lead"
CONFIRMATION = "confirmation"
OUTPUT = Path(lead_hub.confidence.__path__[0]) / CALIBRATION_FILE
FINE_TUNING = "all weights, AdamW, the best of some learning rates by validation accuracy, mean of the seeds"
SMALL = "pictures of 32 px (digits, letters, drawings, textures), networks of at most a million weights"
REAL = "photographs of 160 px, networks of two to six million weights, most of them ImageNet's"
# From one to the next by 5%.
SPREADS = 0.005 * 1.05 ** np.arange(110)


def without(each: Sequence[Item], number: int) -> list[Item]:
    return [one for place, one in enumerate(each) if place != number]


def outcomes_of(matrix: GroundTruthMatrix, half: str) -> list[Outcome]:
    """Every pair of a half, as the package ships them."""
    outcomes = []
    for column, target in zip(matrix.positions(half), finetuned_targets(matrix, half, method=METHOD), strict=True):
        rows = np.flatnonzero(~np.isnan(matrix.accuracy[:, column]))
        n_images = target.correct.shape[1]
        for row, left_out, accuracy in zip(rows, target.correct.mean(axis=1), target.accuracy, strict=True):
            pair = (SHIPPED, target.name, matrix.checkpoints[row].name, n_images, target.n_classes)
            outcomes.append(Outcome(*pair, float(left_out), float(accuracy), n_test=matrix.targets[column].n_test))
    return parse_outcomes(outcomes_text(outcomes))  # rounded as they are written down, so that a refit starts from here


def spread_figures(target: FineTunedTarget, variance_ratio: float) -> tuple[np.ndarray, np.ndarray]:
    """[spread] each: mean log-likelihood of the truly best of random pools, share of pools whose set holds it."""
    terms = target.terms / np.log(target.n_classes)
    resampled = widened(resampled_scores(terms), terms.mean(axis=1), variance_ratio=variance_ratio)
    pools = random_pools(len(target.accuracy))
    likelihoods, hits = np.empty(len(SPREADS)), np.empty(len(SPREADS))
    for place, spread in enumerate(SPREADS):
        hits[place] = pool_figures(target.accuracy, resampled, pools, spread=spread)[:, 0].mean()
        chances = [best_chance(target.accuracy[pool], resampled[:, pool], spread=spread) for pool in pools]
        likelihoods[place] = np.log(chances).mean()
    return likelihoods, hits


def best_chance(accuracy: np.ndarray, resampled: np.ndarray, *, spread: float) -> float:
    """The chance that is given to the truly best; of several equally best ones together."""
    return float(chances_of_best(resampled, spread=spread)[accuracy == accuracy.max()].sum())


def chosen_spread(likelihoods: np.ndarray, hits: np.ndarray) -> tuple[int, int, np.ndarray]:
    """Of [dataset, spread]: place of the likeliest spread, steps that widen it, hit rates on left-out datasets."""
    others = [int(np.delete(likelihoods, number, axis=0).mean(axis=0).argmax()) for number in range(len(likelihoods))]
    likeliest = int(likelihoods.mean(axis=0).argmax())
    for steps in range(len(SPREADS) - max(*others, likeliest)):
        left_out = np.array([hits[number, place + steps] for number, place in enumerate(others)])
        if left_out.mean() >= LEVEL:
            break
    return likeliest, steps, left_out


def image_variance_ratio(parts: Sequence[tuple[GroundTruthMatrix, str]]) -> float:
    """The mean of the datasets' ratios."""
    columns = [(matrix, column) for matrix, half in parts for column in matrix.positions(half)]
    apart = [halves_apart(matrix, column, method=METHOD) for matrix, column in columns]
    ratios = [one.ratio for one in apart]
    print("variance from images to images, as a multiple of that of resampled terms; left out: 90% interval holds")
    for number, (matrix, column) in enumerate(columns):
        others = float(np.mean(ratios[:number] + ratios[number + 1 :]))
        print(f"{matrix.targets[column].name:18} {ratios[number]:.2f} {apart[number].covered(others):20.0%}")
    return float(np.mean(ratios))


def fit(
    targets: Sequence[FineTunedTarget], outcomes: Sequence[Outcome], variance_ratio: float, *, images: str
) -> Calibration:
    line = fitted_line(outcomes)
    likelihoods, hits = map(np.array, zip(*(spread_figures(target, variance_ratio) for target in targets), strict=True))
    likeliest, steps, left_out_hits = chosen_spread(likelihoods, hits)
    print(f"spread: likeliest {SPREADS[likeliest]:.4f}, widened by {1.05**steps:.2f}")
    print("left out           error in logits, mean and deviation   set holds the best")
    for target, hit in zip(targets, left_out_hits, strict=True):
        own = [one for one in outcomes if one.dataset == target.name]
        others = fitted_line([one for one in outcomes if one.dataset != target.name])
        error = line_outcomes(own) - others.expected(own)
        print(f"{target.name:18} {error.mean():+.2f} {error.std():.2f} {hit:40.0%}")
    constants = (line.intercept, line.slope, line.classes_slope, line.error_sd, line.error_quantile)
    rounded = (float(f"{one:.4g}") for one in (*constants, variance_ratio, float(SPREADS[likeliest + steps])))
    fitted_on = what_it_was_fitted_on(targets, images, coverage=line.coverage, hit_rate=left_out_hits.mean())
    return Calibration(METHOD, SCORES[METHOD].version, *rounded, fitted_on=fitted_on)


def least_width(matrix: GroundTruthMatrix) -> float:
    """Mean width in points of 90% intervals that only held the chance of test images and seeds."""
    n_test = np.array([target.n_test for target in matrix.targets])
    of_images = matrix.accuracy * (100 - matrix.accuracy) / n_test
    n_seeds = np.sum(~np.isnan(matrix.seed_accuracy), axis=0)
    several = n_seeds > 1
    of_a_seed = np.var(
        matrix.seed_accuracy[:, several], axis=0, ddof=1, where=~np.isnan(matrix.seed_accuracy[:, several])
    )
    of_seeds = of_a_seed.mean() / np.maximum(n_seeds, 1)
    return float(2 * NormalDist().inv_cdf((1 + LEVEL) / 2) * np.nanmean(np.sqrt(of_images + of_seeds)))


def figures_of_kind(
    name: str, targets: Sequence[FineTunedTarget], calibration: Calibration, outcomes: Sequence[Outcome]
) -> MatrixFigures:
    """Of some of the datasets, each predicted by the line through all others."""
    used = [
        with_line(calibration, fitted_line([one for one in outcomes if one.dataset != target.name]))
        for target in targets
    ]
    found = confidence_figures(targets, used)
    return MatrixFigures(name, len(targets), found.n_pairs, round(found.coverage, 3), round(found.mean_width, 3))


def what_it_was_fitted_on(
    targets: Sequence[FineTunedTarget], images: str, *, coverage: float, hit_rate: float
) -> CalibrationData:
    n_images = [target.terms.shape[1] for target in targets]
    n_classes = [target.n_classes for target in targets]
    return CalibrationData(
        fine_tuning=FINE_TUNING,
        images=images,
        targets=tuple(target.name for target in targets),
        n_checkpoints=max(len(target.accuracy) for target in targets),
        n_pairs=sum(len(target.accuracy) for target in targets),
        n_images=(min(n_images), max(n_images)),
        n_classes=(min(n_classes), max(n_classes)),
        left_out_coverage=round(float(coverage), 3),
        left_out_hit_rate=round(float(hit_rate), 3),
    )


def fitted(matrix: GroundTruthMatrix, real: GroundTruthMatrix) -> dict[Part, Calibration]:
    """Both parts; never on a target that is there to judge them."""
    judges = [target.name for target in matrix.targets if target.half == CONFIRMATION]
    if judges:
        raise ValueError(f"nothing may be fitted on confirmation targets, found {', '.join(judges)}")
    calibrations: dict[Part, Calibration] = {}
    for part in ("all", "study"):
        print(f"\n{part}")
        kinds = {SMALL: (matrix, part)} | ({REAL: (real, "all")} if part == "all" else {})
        of_kind = {name: finetuned_targets(*which, method=METHOD) for name, which in kinds.items()}
        outcomes = [one for which in kinds.values() for one in outcomes_of(*which)]
        ratio = image_variance_ratio([*kinds.values()])
        everything = [target for targets in of_kind.values() for target in targets]
        found = fit(everything, outcomes, ratio, images="; ".join(kinds))
        if len(kinds) > 1:
            figures = tuple(figures_of_kind(name, targets, found, outcomes) for name, targets in of_kind.items())
            found = dataclasses.replace(found, fitted_on=dataclasses.replace(found.fitted_on, by_matrix=figures))
            for name, (of_kind_matrix, _) in kinds.items():
                width = least_width(of_kind_matrix)
                print(f"{name}: chance of test images and seeds alone makes intervals {width:.1f} points wide")
        calibrations[part], data = found, found.fitted_on
        print(f"mean over left-out datasets: {data.left_out_coverage:.1%} inside, {data.left_out_hit_rate:.1%} hold")
        print(*(one.in_words() for one in data.by_matrix), sep="\n")
    return calibrations


def confirmation(matrix: GroundTruthMatrix, calibration: Calibration) -> Confirmation:
    """How constants did on the confirmation targets of a matrix, all of which are new to them."""
    if calibration.method_version != SCORES[METHOD].version:
        raise ValueError(f"the calibration must be of {METHOD} as it is today: fit it again first")
    targets = finetuned_targets(matrix, CONFIRMATION, method=METHOD)
    names = tuple(target.name for target in targets)
    if set(names) & set(calibration.fitted_on.targets):
        raise ValueError(f"confirmation targets must be new to the calibration, found {', '.join(names)}")
    print("target             inside   held the best of all, of random pools   size of the set")
    for target in targets:
        one = confidence_figures([target], calibration)
        print(f"{target.name:18} {one.coverage:6.0%} {one.n_held:24} {one.pool_hit_rate:16.0%} {one.median_size:17g}")
    found = confidence_figures(targets, calibration)
    return Confirmation(
        targets=names,
        n_pairs=found.n_pairs,
        coverage=round(found.coverage, 3),
        mean_width=round(found.mean_width, 3),
        n_held=found.n_held,
        median_size=found.median_size,
        pool_hit_rate=round(found.pool_hit_rate, 3),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--matrix", type=Path, default=MATRIX_FOLDER)
    parser.add_argument("--real", type=Path, default=REAL_MATRIX_FOLDER)
    parser.add_argument("--confirm", type=Path, help="matrix of the confirmation targets: judge, fit nothing")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    matrix = read_matrix(arguments.confirm or arguments.matrix)
    print(*matrix.left_out, sep="\n")
    if arguments.confirm:
        calibrations = parse_calibrations(arguments.output.read_text(encoding="utf-8"))
        found = confirmation(matrix, calibrations["all"])
        calibrations["all"] = dataclasses.replace(calibrations["all"], confirmed=found)
        print(found.in_words())
    else:
        real = read_matrix(arguments.real)
        print(*real.left_out, sep="\n")
        calibrations = fitted(matrix, real)
        outcomes = outcomes_text([*outcomes_of(matrix, "all"), *outcomes_of(real, "all")])
        arguments.output.with_name(OUTCOMES_FILE).write_text(outcomes, encoding="utf-8")
    arguments.output.write_text(calibrations_text(calibrations), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Fits lead_hub/confidence/calibration.json on the study half of the ground-truth matrix.

    python -m tests.benchmarks.calibration [--matrix FOLDER] [--output FILE]
    python -m tests.benchmarks.calibration --held-out     judges the file as it is on the other half; fits nothing

Everything is judged leave-one-dataset-out: the constants for a dataset's figures come from the other datasets.

1. Expected accuracy: the least-squares line from the logits of left-out accuracies to those of fine-tuned ones.
2. Its error: that of lines through the other datasets. The variance that the choice of images causes is taken off, for
   every interval adds that of its own images; the 90% quantile is the empirical one.
3. Variance from images to images, as a multiple of that of resampled terms: see `image_variance.py`.
4. Spread: the likeliest one, given which checkpoint of random pools was truly the best (the likelihood of McFadden's
   conditional logit); then widened until the set of checkpoints that could be best holds the truly best in 90% of the
   pools of a dataset that the spread was not fitted on.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import lead_hub.confidence
from lead_hub.bench.finetuned_targets import finetuned_targets
from lead_hub.bench.matrix import MATRIX_FOLDER, GroundTruthMatrix, read_matrix
from lead_hub.confidence.calibration import CALIBRATION_FILE, Calibration, CalibrationData, parse_calibration
from lead_hub.confidence.chance_of_best import LEVEL, chances_of_best
from lead_hub.confidence.confidence_figures import FinetunedTarget, confidence_figures, pool_figures, random_pools
from lead_hub.confidence.image_bootstrap import resampled_scores, widened
from lead_hub.confidence.predicted_accuracy import above_guessing, logit, logit_variance
from lead_hub.transferability import SCORES
from tests.benchmarks.image_variance import halves_apart

METHOD = "lead"
OUTPUT = Path(lead_hub.confidence.__path__[0]) / CALIBRATION_FILE
FINE_TUNING = "all weights, AdamW, the better of two learning rates by validation accuracy, mean of three seeds"
IMAGES = "pictures of 32 px (digits, letters, drawings, textures), networks of at most a million weights"
# So many test images stand behind an accuracy: 0 and 1 are finite logits.
N_TEST_IMAGES = 400
# From one to the next by 5%.
SPREADS = 0.005 * 1.05 ** np.arange(110)


def line_inputs(target: FinetunedTarget) -> np.ndarray:
    """[checkpoint, 2]: 1 and the logit of the left-out accuracy."""
    shares = left_out_shares(target)
    return np.stack([np.ones_like(shares), logit(shares)], axis=1)


def left_out_shares(target: FinetunedTarget) -> np.ndarray:
    n_images = target.correct.shape[1]
    return above_guessing(target.correct.mean(axis=1), n_images=n_images, n_classes=target.n_classes)


def line_outcomes(target: FinetunedTarget) -> np.ndarray:
    return logit((target.accuracy * N_TEST_IMAGES + 0.5) / (N_TEST_IMAGES + 1))


def fitted_line(targets: Sequence[FinetunedTarget]) -> np.ndarray:
    """Intercept and slope by least squares, every dataset weighing the same."""
    weights = np.concatenate([np.full(len(target.accuracy), len(target.accuracy) ** -0.5) for target in targets])
    inputs = np.concatenate([line_inputs(target) for target in targets])
    outcomes = np.concatenate([line_outcomes(target) for target in targets])
    return np.linalg.lstsq(inputs * weights[:, None], outcomes * weights, rcond=None)[0]


def without(targets: Sequence[FinetunedTarget], number: int) -> list[FinetunedTarget]:
    return [target for place, target in enumerate(targets) if place != number]


def errors_left_out(targets: Sequence[FinetunedTarget]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """By dataset, from lines through the others: errors in logits, and the images' part of their variance."""
    errors, variances = [], []
    for number, target in enumerate(targets):
        line = fitted_line(without(targets, number))
        errors.append(line_outcomes(target) - line_inputs(target) @ line)
        n_images = target.correct.shape[1]
        variances.append(line[1] ** 2 * logit_variance(left_out_shares(target), n_images=n_images))
    return errors, variances


def spread_figures(target: FinetunedTarget, variance_ratio: float) -> tuple[np.ndarray, np.ndarray]:
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


def image_variance_ratio(matrix: GroundTruthMatrix, half: str) -> float:
    """The mean of the datasets' ratios."""
    columns = matrix.positions(half)
    apart = [halves_apart(matrix, column, method=METHOD) for column in columns]
    ratios = [one.ratio for one in apart]
    print("variance from images to images, as a multiple of that of resampled terms; left out: 90% interval holds")
    for number, column in enumerate(columns):
        others = float(np.mean(ratios[:number] + ratios[number + 1 :]))
        print(f"{matrix.targets[column].name:18} {ratios[number]:.2f} {apart[number].covered(others):20.0%}")
    return float(np.mean(ratios))


def fit(targets: Sequence[FinetunedTarget], variance_ratio: float) -> Calibration:
    errors, variances = errors_left_out(targets)
    all_errors, all_variances = np.concatenate(errors), np.concatenate(variances)
    error_sd = float(np.sqrt(max(np.mean(all_errors**2) - all_variances.mean(), 0.0)))
    relative = [
        np.abs(error) / np.sqrt(error_sd**2 + variance) for error, variance in zip(errors, variances, strict=True)
    ]
    quantile = float(np.quantile(np.concatenate(relative), LEVEL))
    likelihoods, hits = map(np.array, zip(*(spread_figures(target, variance_ratio) for target in targets), strict=True))
    likeliest, steps, left_out_hits = chosen_spread(likelihoods, hits)
    print(f"spread: likeliest {SPREADS[likeliest]:.4f}, widened by {1.05**steps:.2f}")
    print("left out           error, mean and deviation   inside   set holds the best")
    for target, error, size, hit in zip(targets, errors, relative, left_out_hits, strict=True):
        inside = (size <= quantile).mean()
        print(f"{target.name:18} {error.mean():+.2f} {error.std():.2f} {inside:25.0%} {hit:20.0%}")
    intercept, slope = map(float, fitted_line(targets))
    constants = (intercept, slope, error_sd, quantile, variance_ratio, float(SPREADS[likeliest + steps]))
    rounded = (float(f"{constant:.4g}") for constant in constants)
    return Calibration(METHOD, SCORES[METHOD].version, *rounded, fitted_on=what_it_was_fitted_on(targets))


def what_it_was_fitted_on(targets: Sequence[FinetunedTarget]) -> CalibrationData:
    n_images = [target.terms.shape[1] for target in targets]
    n_classes = [target.n_classes for target in targets]
    return CalibrationData(
        fine_tuning=FINE_TUNING,
        images=IMAGES,
        targets=tuple(target.name for target in targets),
        n_checkpoints=max(len(target.accuracy) for target in targets),
        n_pairs=sum(len(target.accuracy) for target in targets),
        n_images=(min(n_images), max(n_images)),
        n_classes=(min(n_classes), max(n_classes)),
    )


def report(half: str, targets: Sequence[FinetunedTarget], calibration: Calibration) -> None:
    figures = confidence_figures(targets, calibration)
    print(f"{half}: {figures.n_targets} datasets, {figures.n_pairs} pairs, by the file")
    print(f"  predicted accuracy: {figures.coverage:.1%} inside, intervals {100 * figures.mean_width:.0f} points wide")
    print(
        f"  set of all checkpoints: {figures.n_held} of {figures.n_targets} hold the best, size {figures.median_size}"
    )
    print(
        f"  sets of random pools: {figures.pool_hit_rate:.1%} hold the best, size {figures.pool_median_size},"
        f" {figures.pool_median_share:.0%} of the pool"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--matrix", type=Path, default=MATRIX_FOLDER)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--held-out", action="store_true")
    arguments = parser.parse_args()
    matrix = read_matrix(arguments.matrix)
    for sentence in matrix.left_out:
        print(sentence)
    half = "held-out" if arguments.held_out else "study"
    targets = finetuned_targets(matrix, half, method=METHOD)
    if not arguments.held_out:
        calibration = fit(targets, image_variance_ratio(matrix, half))
        arguments.output.write_text(calibration.to_json(), encoding="utf-8")
    report(half, targets, parse_calibration(arguments.output.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()

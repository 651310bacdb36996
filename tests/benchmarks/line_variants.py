"""What the expected accuracy could be a function of: every dataset's predicted by a line through the others.

    python -m tests.benchmarks.line_variants

Of the pairs that the package ships: for the study half alone, for the small matrix, and for both matrices, whose
figures stand apart. The widths of a dataset's intervals come from the errors on the others.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from lead_hub.bench import MATRIX_FOLDER, REAL_MATRIX_FOLDER
from lead_hub.bench.matrix_files import read_targets
from lead_hub.confidence.accuracies import expit
from lead_hub.confidence.expected_line import (
    huber_line,
    images_variance,
    interval_constants,
    line_inputs,
    line_outcomes,
    outcome_weights,
)
from lead_hub.confidence.known_outcomes import Outcome, shipped_outcomes

Inputs = Float[np.ndarray, "outcome input"]
FEWEST_IMAGES, MOST_IMAGES = 100, 350  # beyond, nothing was seen: no line is continued there
# From 1, the logit of the left-out accuracy, and the logarithms of the numbers of classes and of images.
VARIANTS: Mapping[str, Callable[[Inputs], Inputs]] = {
    "left-out accuracy": lambda inputs: inputs[:, :2],
    "and classes (what is used)": lambda inputs: inputs[:, :3],
    "and images": lambda inputs: inputs[:, [0, 1, 3]],
    "and images a class": lambda inputs: np.column_stack([inputs[:, :2], inputs[:, 3] - inputs[:, 2]]),
    "and classes and images": lambda inputs: inputs,
}


def left_out_errors(outcomes: Sequence[Outcome], variant: Callable[[Inputs], Inputs]) -> dict[str, np.ndarray]:
    """By dataset, [outcome, 3]: the error in accuracy, whether it is within its interval, and the interval's width."""
    images = np.log(np.clip([one.n_images for one in outcomes], FEWEST_IMAGES, MOST_IMAGES))
    inputs = variant(np.column_stack([line_inputs(outcomes), images]))
    values, weights = line_outcomes(outcomes), outcome_weights(outcomes)
    names, accuracies = np.array([one.dataset for one in outcomes]), np.array([one.accuracy for one in outcomes])
    expected, variances = np.empty(len(outcomes)), np.empty(len(outcomes))
    for name in dict.fromkeys(names):
        own = names == name
        line = huber_line(inputs[~own], values[~own], weights[~own])
        expected[own] = inputs[own] @ line
        variances[own] = images_variance([one for one in outcomes if one.dataset == name], float(line[1]))
    found = {}
    for name in dict.fromkeys(names):
        own = names == name
        error_sd, quantile = interval_constants((values - expected)[~own], variances[~own], weights[~own])
        half = quantile * np.sqrt(error_sd**2 + variances[own])
        low, high = expit(expected[own] - half), expit(expected[own] + half)
        inside = (low <= accuracies[own]) & (accuracies[own] <= high)
        found[name] = np.stack([accuracies[own] - expit(expected[own]), inside, high - low], axis=1)
    return found


def main() -> None:
    small, real = read_targets(MATRIX_FOLDER), read_targets(REAL_MATRIX_FOLDER)
    of_small, of_real = ([target.name for target in targets] for targets in (small, real))
    study = [target.name for target in small if target.half == "study"]
    groups = {"study": (study, study), "small": (of_small, of_small)}
    groups |= {"small, with real": (of_small + of_real, of_small), "real, with small": (of_small + of_real, of_real)}
    for group, (fitted_on, shown) in groups.items():
        print(f"\n{group:34} inside  width, points  mean error  its size")
        for name, variant in VARIANTS.items():
            by_dataset = left_out_errors(shipped_outcomes(fitted_on), variant)
            errors, inside, widths = np.concatenate([by_dataset[one] for one in shown]).T
            figures = f"{inside.mean():6.1%} {100 * widths.mean():14.1f} {100 * errors.mean():+11.1f}"
            print(f"{name:34} {figures} {100 * np.abs(errors).mean():9.1f}")


if __name__ == "__main__":
    main()

"""Does what is known of other datasets let the right checkpoints enter a race first?

    python -m tests.benchmarks.race_prior
    python -m tests.benchmarks.race_prior --variants
    python -m tests.benchmarks.race_prior --pictures WORK REAL_WORK     # makes target_statistics.csv again

For each target of the ground-truth matrices the others are what a machine has ranked before: how the checkpoints stood
there by LEAD on the stored images. The candidates enter as `by_prior` says. Told are the weighted tau between the order
of entry and the fine-tuned accuracies, and by how many points the truly best is above LEAD's best among the first
quarter or half of those that entered, as in a race that its budget stops in its first stage. LEAD is that of all stored
images throughout, so that only the order of entry differs. It may leave out whom LEAD wrongly likes best: a loss below
that of LEAD's best of all is luck.

How similar datasets weigh was chosen by --variants, on the study half alone, of which each target was left out in turn;
the other halves were looked at once after that. `permuted` exchanges the weights among the other targets: a gain that
it has as well is none.

The statistics of the targets' train pictures come from `ground_truth targets` (also with --half confirmation) and
`real_matrix targets`, whose --output and --work are WORK and REAL_WORK.
"""

import argparse
import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray

from lead_hub.bench import MATRIX_FOLDER, REAL_MATRIX_FOLDER
from lead_hub.bench.matrix import GroundTruthMatrix, read_matrix
from lead_hub.bench.score_table import ImageSample, score_tables
from lead_hub.candidates import Candidate
from lead_hub.rank_agreement import weighted_kendall_tau
from lead_hub.recommendation.dataset_similarity import (
    NAMES,
    Statistics,
    image_statistics,
    sampled,
    similarity_weights,
    statistics_entry,
)
from lead_hub.recommendation.near_copies import thumbnail
from lead_hub.recommendation.race_budget import by_prior
from lead_hub.score_cards import standings_among
from tests.benchmarks.ground_truth import targets as drawn
from tests.benchmarks.real_matrix import targets as real

STATISTICS_FILE = Path(__file__).with_name("target_statistics.csv")
CONFIRMATION_FOLDER = Path(__file__).parent / "ground_truth" / "confirmation"
METHOD = "lead"
SHARES = (0.25, 0.5)
N_CHANCES = 200

# Column of the run's target, columns of the others -> how much each of these counts.
Weights = Callable[[int, Sequence[int]], Sequence[float]]


@dataclass(frozen=True, eq=False)
class Boards:
    """What is known of the targets of some matrices of the same checkpoints.

    Attributes:
        checkpoints: names and parameters, in order.
        halves: of each target.
        n_classes: of each target.
        statistics: of each target's train images.
        accuracy: after fine-tuning, in percent.
        scores: LEAD.
        standings: by LEAD, as a run notes them.
    """

    checkpoints: tuple[Candidate, ...]
    halves: tuple[str, ...]
    n_classes: tuple[int, ...]
    statistics: tuple[Statistics, ...]
    accuracy: Float[np.ndarray, "checkpoint target"]
    scores: Float[np.ndarray, "checkpoint target"]
    standings: Float[np.ndarray, "checkpoint target"]


def boards_of(matrices: Sequence[GroundTruthMatrix], statistics: Mapping[str, Statistics]) -> Boards:
    scores = [score_tables(matrix, [ImageSample()], methods=(METHOD,))[0].values[0] for matrix in matrices]
    joined = np.concatenate(scores, axis=1)
    columns = [standings_among(dict(enumerate(column.tolist()))) for column in joined.T]  # type: ignore[arg-type]
    targets = [target for matrix in matrices for target in matrix.targets]
    return Boards(
        checkpoints=tuple(Candidate(one.name, parameters=one.parameters) for one in matrices[0].checkpoints),
        halves=tuple(target.half for target in targets),
        n_classes=tuple(target.n_classes for target in targets),
        statistics=tuple(statistics[target.name] for target in targets),
        accuracy=np.concatenate([matrix.accuracy for matrix in matrices], axis=1),
        scores=joined,
        standings=np.array([[column[row] for column in columns] for row in range(len(joined))]),
    )


@dataclass(frozen=True)
class Figures:
    """What came of an order of entry: weighted tau, and points lost by share of those that entered."""

    tau: float
    lost: tuple[float, ...]


def figures(order: Sequence[int], accuracy: NDArray[np.float64], scores: NDArray[np.float64]) -> Figures:
    """Of one order of entry: positions of the checkpoints, the first to enter first."""
    places = np.empty(len(order))
    places[list(order)] = np.arange(len(order))
    lost = []
    for share in SHARES:
        entered = np.array(order[: max(1, round(share * len(order)))])
        lost.append(float(accuracy.max() - accuracy[entered[scores[entered].argmax()]]))
    return Figures(weighted_kendall_tau((-places).tolist(), accuracy.tolist()), tuple(lost))


def mean_of(found: Sequence[Figures]) -> Figures:
    lost = np.mean([one.lost for one in found], axis=0)
    return Figures(float(np.mean([one.tau for one in found])), tuple(lost.tolist()))


def entry_order(boards: Boards, standings: NDArray[np.float64] | None) -> list[int]:
    """As a race lets the checkpoints in."""
    known = (
        boards.checkpoints
        if standings is None
        else [
            replace(one, standing_here=float(value)) for one, value in zip(boards.checkpoints, standings, strict=True)
        ]
    )
    place = {one.checkpoint: position for position, one in enumerate(boards.checkpoints)}
    return [place[one.checkpoint] for one in by_prior(known)]


def by_weights(boards: Boards, weights: Weights, column: int, others: Sequence[int]) -> Figures:
    standings = np.average(boards.standings[:, list(others)], axis=1, weights=weights(column, others))
    order = entry_order(boards, standings)
    return figures(order, boards.accuracy[:, column], boards.scores[:, column])


def equal(column: int, others: Sequence[int]) -> list[float]:
    return [1.0] * len(others)


def by_images(boards: Boards, column: int, others: Sequence[int], **settings: float) -> list[float]:
    """As recommend weighs them."""
    there = {str(other): boards.statistics[other] for other in others}
    found = similarity_weights(boards.statistics[column], there, **settings)
    return [found[str(other)] for other in others]


def by_classes(boards: Boards, column: int, others: Sequence[int], *, width: float) -> list[float]:
    ratios = np.log([boards.n_classes[other] / boards.n_classes[column] for other in others])
    return np.exp(-np.abs(ratios) / width).tolist()


def by_both(boards: Boards, column: int, others: Sequence[int], *, width: float, classes_width: float) -> list[float]:
    classes = by_classes(boards, column, others, width=classes_width)
    return np.multiply(by_images(boards, column, others, width=width), classes).tolist()


def permuted(boards: Boards, column: int, others: Sequence[int], *, seed: int) -> list[float]:
    weights = by_images(boards, column, others)
    return np.random.default_rng(seed).permutation(weights).tolist()


def variants(boards: Boards) -> dict[str, Weights]:
    """All that were tried, on the study half alone."""
    images, both = partial(by_images, boards), partial(by_both, boards)
    return {
        "plain mean": equal,
        "images, width 0.4": partial(images, width=0.4),
        "images, width 0.2": partial(images, width=0.2),
        "images, width 0.1": partial(images, width=0.1),
        "images, width 0.1, not shrunk": partial(images, width=0.1, shrinking=0.0),
        "classes, width 1": partial(by_classes, boards, width=1.0),
        "classes, width 0.5": partial(by_classes, boards, width=0.5),
        "images 0.2, classes 1": partial(both, width=0.2, classes_width=1.0),
    }


def compared(boards: Boards, half: str, known: Sequence[str]) -> dict[str, list[Figures]]:
    """Every order of entry on the targets of a half; what is known are the other targets of some halves."""
    found: dict[str, list[Figures]] = {}
    for column, others in left_out(boards, half, known):
        truth = boards.accuracy[:, column], boards.scores[:, column]
        chance = np.random.default_rng(column)
        random = [figures(chance.permutation(len(truth[0])).tolist(), *truth) for _ in range(N_CHANCES)]
        exchanged = [
            by_weights(boards, partial(permuted, boards, seed=seed), column, others) for seed in range(N_CHANCES)
        ]
        of_target = {
            "random, the mean": mean_of(random),
            "size alone": figures(entry_order(boards, None), *truth),
            "plain mean standing": by_weights(boards, equal, column, others),
            "similar datasets weigh more": by_weights(boards, partial(by_images, boards), column, others),
            "permuted, the mean": mean_of(exchanged),
            "LEAD itself": figures(np.argsort(-truth[1], kind="stable").tolist(), *truth),
        }
        for name, one in of_target.items():
            found.setdefault(name, []).append(one)
    return found


def left_out(boards: Boards, half: str, known: Sequence[str]) -> Iterator[tuple[int, list[int]]]:
    """Each target of a half, with the other ones of some halves."""
    for column in np.flatnonzero(np.array(boards.halves) == half).tolist():
        yield column, [other for other, one in enumerate(boards.halves) if one in known and other != column]


def show_compared(boards: Boards, half: str, known: Sequence[str]) -> None:
    found = compared(boards, half, known)
    n_targets = boards.halves.count(half)
    print(f"\n{half}: {n_targets} targets, {len(boards.checkpoints)} checkpoints, others of {', '.join(known)}")
    for name, each in found.items():
        print(f"  {name:28} {in_words(mean_of(each))}")
    plain, similar = found["plain mean standing"], found["similar datasets weigh more"]
    differences = np.array([one.tau - other.tau for one, other in zip(similar, plain, strict=True)])
    told = ", ".join(f"{one:+.3f}" for one in differences)
    print(f"  similar minus plain, tau by target: {told}; above on {(differences > 0).sum()} of {n_targets}")


def show_variants(boards: Boards) -> None:
    """On the study half alone."""
    print(f"{'':30} weighted tau, points lost among the first {SHARES[0]:.0%} and {SHARES[1]:.0%}; tau by target")
    for name, weights in variants(boards).items():
        found = [by_weights(boards, weights, *which) for which in left_out(boards, drawn.STUDY, [drawn.STUDY])]
        print(f"{name:30} {in_words(mean_of(found))}  {' '.join(f'{one.tau:.3f}' for one in found)}")


def in_words(found: Figures) -> str:
    return f"{found.tau:6.3f} {' '.join(f'{lost:6.2f}' for lost in found.lost)}"


def write_statistics(work: Path, real_work: Path) -> None:
    pictures = {one.name: drawn.load(work / "targets" / f"{one.name}.npz").train for one in drawn.TARGETS}
    pictures |= {one.name: real.load_target(real_work / "targets" / one.name).train for one in real.TARGETS}
    with STATISTICS_FILE.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("target", *NAMES))
        for name, train in pictures.items():
            found = image_statistics(torch.stack([thumbnail(train[position]) for position in sampled(len(train))]))
            writer.writerow((name, *statistics_entry(found)["values"].values()))


def read_statistics_table() -> dict[str, Statistics]:
    with STATISTICS_FILE.open(newline="") as stream:
        return {row["target"]: {name: float(row[name]) for name in NAMES} for row in csv.DictReader(stream)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", action="store_true", help="all that were tried, on the study half")
    parser.add_argument("--pictures", type=Path, nargs=2, metavar=("WORK", "REAL_WORK"), help="write the statistics")
    arguments = parser.parse_args()
    if arguments.pictures:
        write_statistics(*arguments.pictures)
        return
    statistics = read_statistics_table()
    matrix = read_matrix(MATRIX_FOLDER)
    drawings = boards_of([matrix], statistics)
    if arguments.variants:
        show_variants(drawings)
        return
    print(f"{'':30} weighted tau, points lost among the first {SHARES[0]:.0%} and {SHARES[1]:.0%}")
    show_compared(drawings, drawn.STUDY, [drawn.STUDY])
    show_compared(drawings, drawn.HELD_OUT, [drawn.STUDY, drawn.HELD_OUT])
    both = boards_of([matrix, read_matrix(CONFIRMATION_FOLDER)], statistics)
    show_compared(both, drawn.CONFIRMATION, [drawn.STUDY, drawn.HELD_OUT, drawn.CONFIRMATION])
    show_compared(boards_of([read_matrix(REAL_MATRIX_FOLDER)], statistics), real.HALF, [real.HALF])


if __name__ == "__main__":
    main()

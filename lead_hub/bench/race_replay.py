"""A race replayed on the stored outputs of a matrix: what it spares, and what it costs the one who takes its winner.

`confidence/race.py` says who goes on; here its stages see seeded samples of the stored images, each part of the next,
and the full run all of them. A target of the matrix stores 200 to 350 images where a run has 2,000. The first stage is
as small as in a run (eight images a class, at most a quarter of all), so who drops out is decided on as little as
there; but a quarter of all images is dear, where 200 of 2,000 are a tenth. So the passes are counted twice: as they
were here, and as they would be with 2,000 images, if all that are left at the end saw the rest. The latter is computed.

More candidates than a matrix has are drawn from it with replacement; a draw's score is moved, at all its stages alike,
by a normal error as large as the calibration says that scores are off (pi / sqrt(6) spreads), so that copies differ.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Int64

from lead_hub.bench.comparison import REFERENCE
from lead_hub.bench.matrix import MATRIX_FOLDER, GroundTruthMatrix, read_matrix
from lead_hub.bench.matrix_files import MatrixError
from lead_hub.bench.score_table import ImageSample, among, sampled_rows
from lead_hub.bench.stored_outputs import StoredOutputs, read_outputs
from lead_hub.bench.workers import carried_out
from lead_hub.confidence import (
    RULES,
    Calibration,
    ImageLabels,
    Part,
    RaceRules,
    could_be_best,
    find_calibration,
    going_on,
    race_chances,
    stage_sizes,
    staged_chances,
)
from lead_hub.errors import ScoreError
from lead_hub.transferability import SCORES, transferability

# The constants that no target of the half had a say in; the rules of the race were chosen on the study half.
CALIBRATED_ON: Mapping[str, Part] = {"held-out": "study", "study": "study", "confirmation": "all", "real": "all"}
ERROR_DEVIATION = np.pi / np.sqrt(6)  # of a Gumbel distribution, in units of its scale


@dataclass(frozen=True)
class ReplaySettings:
    """What the figures depend on besides the matrix.

    Attributes:
        halves: sets of targets, each a key of CALIBRATED_ON.
        n_repetitions: of each target, with seeds 0, 1, ...
        n_drawn: size of the larger pool that is drawn from the matrix; 0 for none.
        n_images_of_run: of the run for which the passes are computed.
        rules: of the race.

    Raises:
        MatrixError: a half that there is not, or a number too small.
    """

    halves: tuple[str, ...] = ("held-out", "study")
    n_repetitions: int = 10
    n_drawn: int = 200
    n_images_of_run: int = 2000
    rules: RaceRules = RULES

    def __post_init__(self) -> None:
        unknown = [half for half in self.halves if half not in CALIBRATED_ON]
        if unknown:
            raise MatrixError(f"half must be one of {', '.join(CALIBRATED_ON)}, found {', '.join(unknown)}")
        for name, least in (("n_repetitions", 1), ("n_drawn", 0), ("n_images_of_run", 1)):
            if getattr(self, name) < least:
                raise MatrixError(f"{name} must be at least {least}, found {getattr(self, name)}")


@dataclass(frozen=True, eq=False)
class StagedTerms:
    """What a score says of some checkpoints on one target, stage by stage.

    Attributes:
        terms: of each stage, the last of which has all images.
        labels: of the images of each stage.
        accuracy: after full fine-tuning, in percent.
    """

    terms: tuple[Float[np.ndarray, "checkpoint _"], ...]
    labels: tuple[Int[np.ndarray, " _"], ...]
    accuracy: Float[np.ndarray, " checkpoint"]

    def drawn(self, generator: np.random.Generator, *, n_drawn: int, deviation: float) -> "StagedTerms":
        """So many of its checkpoints with replacement, each draw's scores moved by an error of its own."""
        chosen = generator.integers(0, len(self.accuracy), size=n_drawn)
        errors = generator.normal(scale=deviation, size=(n_drawn, 1))
        return StagedTerms(tuple(part[chosen] + errors for part in self.terms), self.labels, self.accuracy[chosen])


@dataclass(frozen=True)
class Replayed:
    """One race against the full run.

    Attributes:
        n_candidates: that raced.
        lost_points: fine-tuned accuracy of the full run's winner minus that of the race's, in points.
        has_same_winner: whether both are the same.
        n_in_set: checkpoints that could be the best by the full run, with 90%.
        n_kept: those of them that were in the race to its end.
        full_holds_best: whether that set holds the truly best, or one of the equally best.
        race_holds_best: whether the set of the race's board does, which counts also who was left behind.
        passes: share of the full run's forward passes.
        passes_of_run: the same for a run of more images, if all that were left at the end saw them.
    """

    n_candidates: int
    lost_points: float
    has_same_winner: bool
    n_in_set: int
    n_kept: int
    full_holds_best: bool
    race_holds_best: bool
    passes: float
    passes_of_run: float


def replay(staged: StagedTerms, calibration: Calibration, *, rules: RaceRules, n_images_of_run: int) -> Replayed:
    """Race the checkpoints of a target, and compare with what all images say."""
    n_checkpoints = len(staged.accuracy)
    racing = np.arange(n_checkpoints)
    seen, n_passes = 0, 0
    stages: list[dict[int, float]] = []
    for terms, labels in zip(staged.terms[:-1], staged.labels[:-1], strict=True):
        n_passes += len(racing) * (len(labels) - seen)
        seen = len(labels)
        of_stage = chances(terms[racing], labels, calibration)
        stages.append(dict(zip(racing.tolist(), of_stage.tolist(), strict=True)))
        racing = racing[going_on(terms[racing].mean(axis=1), of_stage, rules)]
    terms, labels = staged.terms[-1], staged.labels[-1]
    at_end = chances(terms[racing], labels, calibration)
    whole = staged_chances([*stages, dict(zip(racing.tolist(), at_end.tolist(), strict=True))])
    on_board = np.array([*whole])[could_be_best(np.array([*whole.values()]))]
    best = np.flatnonzero(staged.accuracy == staged.accuracy.max())
    scores = terms.mean(axis=1)
    winner, full_winner = racing[scores[racing].argmax()], scores.argmax()
    in_set = np.flatnonzero(could_be_best(chances(terms, labels, calibration)))
    longest = max(n_images_of_run, len(labels))
    return Replayed(
        n_candidates=n_checkpoints,
        lost_points=float(staged.accuracy[full_winner] - staged.accuracy[winner]),
        has_same_winner=bool(winner == full_winner),
        n_in_set=len(in_set),
        n_kept=int(np.isin(in_set, racing).sum()),
        full_holds_best=bool(np.isin(best, in_set).any()),
        race_holds_best=bool(np.isin(best, on_board).any()),
        passes=(n_passes + len(racing) * (len(labels) - seen)) / (n_checkpoints * len(labels)),
        passes_of_run=(n_passes + len(racing) * (longest - seen)) / (n_checkpoints * longest),
    )


def chances(
    terms: Float[np.ndarray, "checkpoint image"], labels: Int[np.ndarray, " image"], calibration: Calibration
) -> Float[np.ndarray, " checkpoint"]:
    names = tuple(map(str, np.unique(labels)))
    return race_chances(terms, ImageLabels(labels, names), calibration)


@dataclass(frozen=True)
class RaceFigures:
    """What came of the races on one half of the targets.

    Attributes:
        half: which targets.
        n_targets: how many.
        n_candidates: of a race: fewest and most.
        is_drawn: whether the candidates were drawn from the matrix with replacement.
        n_races: a target's repetitions, of all targets.
        lost_points: mean of what the race's winner is worse, in accuracy points after fine-tuning.
        same_winner: share of the races whose winner is the full run's.
        kept: share of the races in which every checkpoint of the full run's 90% set was in the race to its end.
        members_kept: share of these checkpoints that were, the mean.
        full_holds_best: share of the races in which the full run's set holds the truly best.
        race_holds_best: share of the races in which the set of the race's board does.
        set_size: how many there are, the mean.
        passes: share of the full run's forward passes, the mean.
        passes_of_run: the same, computed for a run of more images.
    """

    half: str
    n_targets: int
    n_candidates: tuple[int, int]
    is_drawn: bool
    n_races: int
    lost_points: float
    same_winner: float
    kept: float
    members_kept: float
    full_holds_best: float
    race_holds_best: float
    set_size: float
    passes: float
    passes_of_run: float


@dataclass(frozen=True)
class RaceReport:
    """What `lead-hub bench --race` prints.

    Attributes:
        figures: one a half, and one more a half for the larger pool.
        settings: of the replay.
        n_stored_images: of a target: fewest and most.
        left_out: what is missing in the matrix, in sentences.
    """

    figures: tuple[RaceFigures, ...]
    settings: ReplaySettings
    n_stored_images: tuple[int, int]
    left_out: tuple[str, ...]

    def to_document(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class TargetRaces:
    """The races of one target, those of the matrix's own checkpoints and those of drawn ones."""

    n_images: int
    own: tuple[Replayed, ...]
    drawn: tuple[Replayed, ...]


def run_replay(
    folder: Path = MATRIX_FOLDER,
    settings: ReplaySettings | None = None,
    *,
    n_workers: int | None = None,
    advance: Callable[[int, int], None] | None = None,
) -> RaceReport:
    """Race on every target of some halves of a matrix.

    Args:
        folder: of the matrix.
        settings: None means the default ones.
        n_workers: processes of one thread each; None for one a core, 1 for this process alone.
        advance: told how many of how many targets are done.

    Raises:
        MatrixError: the matrix cannot be read, or has no target of a half.
        ScoreError: the score is undefined for a stored output, or has no calibration.
    """
    settings = settings or ReplaySettings()
    matrix = read_matrix(folder)
    jobs = [
        TargetJob(matrix, column, half, settings) for half in settings.halves for column in columns_of(matrix, half)
    ]
    found: dict[TargetJob, TargetRaces] = {}
    for done, (job, races) in enumerate(carried_out(target_races, jobs, n_workers=n_workers), start=1):
        found[job] = races
        if advance:
            advance(done, len(jobs))
    by_half = {half: [found[job] for job in jobs if job.half == half] for half in settings.halves}
    figures = [
        summed_up(half, [getattr(one, pool) for one in races], is_drawn=pool == "drawn")
        for half, races in by_half.items()
        for pool in (("own", "drawn") if settings.n_drawn else ("own",))
    ]
    sizes = [races.n_images for races in found.values()]
    return RaceReport(tuple(figures), settings, (min(sizes), max(sizes)), matrix.left_out)


def joined_races(reports: Sequence[RaceReport]) -> RaceReport:
    """Reports of several matrices, by the same settings but for their halves, as one."""
    halves = tuple(half for report in reports for half in report.settings.halves)
    sizes = [size for report in reports for size in report.n_stored_images]
    return RaceReport(
        tuple(figures for report in reports for figures in report.figures),
        replace(reports[0].settings, halves=halves),
        (min(sizes), max(sizes)),
        tuple(dict.fromkeys(sentence for report in reports for sentence in report.left_out)),
    )


def columns_of(matrix: GroundTruthMatrix, half: str) -> list[int]:
    """The targets of a half.

    Raises:
        MatrixError: there are none.
    """
    found = matrix.positions(half)
    if not found:
        raise MatrixError(f"the {half} targets must have at least one that is usable, found none in {matrix.folder}")
    return found


@dataclass(frozen=True, eq=False)
class TargetJob:
    """The races of one target."""

    matrix: GroundTruthMatrix
    column: int
    half: str
    settings: ReplaySettings


def target_races(job: TargetJob) -> TargetRaces:
    """Score the stages of every repetition, and race."""
    target, settings = job.matrix.targets[job.column], job.settings
    calibration = find_calibration(REFERENCE, SCORES[REFERENCE].version, part=CALIBRATED_ON[job.half])
    if calibration is None:
        raise ScoreError(f"a race needs a calibration of {REFERENCE}: python -m tests.benchmarks.calibration makes one")
    rows = np.flatnonzero(~np.isnan(job.matrix.accuracy[:, job.column]))
    stored = [read_outputs(job.matrix.folder, target.name, job.matrix.checkpoints[row].name) for row in rows]
    accuracy, labels = job.matrix.accuracy[rows, job.column], stored[0].labels
    n_classes = len(np.unique(labels))
    everything = terms_of(stored, np.arange(len(labels)))
    deviation = ERROR_DEVIATION * calibration.score_spread(n_classes)
    race = partial(replay, calibration=calibration, rules=settings.rules, n_images_of_run=settings.n_images_of_run)
    own, drawn = [], []
    for seed in range(settings.n_repetitions):
        sizes = stage_sizes(len(labels), n_classes, settings.rules)[:-1]
        samples = [sampled_rows(labels, ImageSample(size, seed)) for size in sizes]
        terms = (*(terms_of(stored, sample) for sample in samples), everything)
        staged = StagedTerms(terms, (*(labels[sample] for sample in samples), labels), accuracy)
        own.append(race(staged))
        if settings.n_drawn:
            generator = np.random.default_rng(seed)
            drawn.append(race(staged.drawn(generator, n_drawn=settings.n_drawn, deviation=deviation)))
    return TargetRaces(len(labels), tuple(own), tuple(drawn))


def terms_of(stored: Sequence[StoredOutputs], rows: Int64[np.ndarray, " chosen"]) -> Float[np.ndarray, "checkpoint _"]:
    """The score's terms on some of the images, as if there were no others."""
    terms = []
    for outputs in stored:
        kernels = {name: among(kernel, rows) for name, kernel in outputs.kernels.items()}
        found = transferability(outputs.features[rows], outputs.labels[rows], REFERENCE, kernels=kernels)
        if found.per_image is None:
            raise ScoreError(f"a race needs a score with a term for every image, {REFERENCE} has none")
        terms.append(found.per_image.numpy())
    return np.stack(terms)


def summed_up(half: str, of_targets: Sequence[Sequence[Replayed]], *, is_drawn: bool) -> RaceFigures:
    """Means over all races of a half."""
    races = [one for races in of_targets for one in races]

    def mean(of: Callable[[Replayed], float]) -> float:
        return float(np.mean([of(one) for one in races]))

    return RaceFigures(
        half=half,
        n_targets=len(of_targets),
        n_candidates=(min(one.n_candidates for one in races), max(one.n_candidates for one in races)),
        is_drawn=is_drawn,
        n_races=len(races),
        lost_points=mean(lambda one: one.lost_points),
        same_winner=mean(lambda one: one.has_same_winner),
        kept=mean(lambda one: one.n_kept == one.n_in_set),
        members_kept=mean(lambda one: one.n_kept / one.n_in_set),
        full_holds_best=mean(lambda one: one.full_holds_best),
        race_holds_best=mean(lambda one: one.race_holds_best),
        set_size=mean(lambda one: one.n_in_set),
        passes=mean(lambda one: one.passes),
        passes_of_run=mean(lambda one: one.passes_of_run),
    )

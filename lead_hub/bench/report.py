"""The whole benchmark in one call, and what it gives: the record behind the table of `lead-hub bench`."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lead_hub.bench.comparison import REFERENCE, Comparison, compare
from lead_hub.bench.contenders import all_contenders
from lead_hub.bench.coverage import ConfidenceFigures, confidence_figures, finetuned_targets
from lead_hub.bench.matrix import MATRIX_FOLDER, GroundTruthMatrix, read_matrix
from lead_hub.bench.matrix_files import MatrixError
from lead_hub.bench.paired_bootstrap import N_RESAMPLES, draw_resamples
from lead_hub.bench.score_table import ImageSample, image_scores, score_tables
from lead_hub.bench.stored_outputs import kernels_of_all
from lead_hub.bench.workers import on_one_thread
from lead_hub.confidence import Confirmation, Part, find_calibration, without_dataset
from lead_hub.errors import ScoreError
from lead_hub.transferability import SCORES

UNTOUCHED = {
    "held-out": "targets on which nothing was chosen: neither LEAD's settings nor the calibration that is judged here",
    "study": "targets on which LEAD's settings and the calibration were chosen",
    "confirmation": "targets made after LEAD's settings and the calibration were fixed: nothing was chosen on them",
    "real": "photographs under networks that packages ship: no score was chosen on them",
    "all": "all targets of the matrix, those on which LEAD's settings were chosen among them",
}
# Which part of the calibration is judged where: the one that no target there had a say in. Of the real ones each is
# judged by all the others.
JUDGED_PARTS: Mapping[str, Part] = {"held-out": "study", "confirmation": "all", "real": "all"}


@dataclass(frozen=True)
class BenchSettings:
    """What the figures depend on besides the matrix.

    Attributes:
        halves: the sets of targets to compare on, each one of "held-out", "study", "confirmation", "real" and
            "all".
        methods: names of the scores; None for all that look at images. The reference is always among them.
        n_few_images: size of the small samples of train images.
        n_few_samples: how many of them, with seeds 0, 1, ...; 0 leaves that column out.
        n_resamples: of the bootstrap over checkpoints and targets.
        seed: of the bootstrap and of the random orders.
    """

    halves: tuple[str, ...] = ("held-out", "all")
    methods: tuple[str, ...] | None = None
    n_few_images: int = 100
    n_few_samples: int = 1
    n_resamples: int = N_RESAMPLES
    seed: int = 0

    def __post_init__(self) -> None:
        unknown = [name for name in self.methods or () if name not in image_scores()]
        if unknown:
            raise MatrixError(f"scores must be among {', '.join(image_scores())}, found {', '.join(unknown)}")
        unknown = [half for half in self.halves if half not in UNTOUCHED]
        if unknown:
            raise MatrixError(f"half must be one of {', '.join(UNTOUCHED)}, found {', '.join(unknown)}")
        for name, least in (("n_few_images", 4), ("n_few_samples", 0), ("n_resamples", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise MatrixError(f"{name} must be at least {least}, found {getattr(self, name)}")

    def scores(self, matrix: GroundTruthMatrix) -> tuple[str, ...]:
        """Names of those that are computed, the reference among them; all that the matrix has the kernels for."""
        stored = [kernels_of_all(matrix.folder, target.name) for target in matrix.targets]
        there = frozenset.intersection(*stored) if stored else frozenset()
        chosen = self.methods or tuple(name for name in image_scores() if there.issuperset(SCORES[name].needs_kernels))
        return chosen if REFERENCE in chosen else (REFERENCE, *chosen)


@dataclass(frozen=True)
class JudgedConfidence:
    """What intervals of predicted accuracies and 90% sets are worth on targets that the calibration never saw.

    Attributes:
        half: which targets judge.
        part: of the calibration, which is judged.
        left_out: whether every target is predicted from all the others.
        figures: what was found; None with a reason.
        reason: why there are no figures; empty if there are.
    """

    half: str
    part: Part
    figures: ConfidenceFigures | None = None
    reason: str = ""
    left_out: bool = False


@dataclass(frozen=True)
class BenchReport:
    """What the benchmark found.

    Attributes:
        comparisons: one for each set of targets.
        undefined: why scores are undefined: how many pairs, by score and reason; on all images.
        left_out: what is missing in the matrix, in sentences.
        settings: of the run.
        duration_s: of the run, the scores that came from the cache included at next to nothing.
        confidence: one for each half that was compared on and can judge: held-out, confirmation, real.
        confirmed: beside the former, what was found earlier on the confirmation targets, which another matrix holds;
            None where nothing was, or where no held-out targets are compared.
    """

    comparisons: tuple[Comparison, ...]
    undefined: Mapping[str, Mapping[str, int]]
    left_out: tuple[str, ...]
    settings: BenchSettings
    duration_s: float
    confidence: tuple[JudgedConfidence, ...] = ()
    confirmed: Confirmation | None = None

    def to_document(self) -> dict[str, Any]:
        """Plain JSON values."""
        return dataclasses.asdict(self)


def run_bench(
    folder: Path = MATRIX_FOLDER,
    settings: BenchSettings | None = None,
    *,
    cache_folder: Path | None = None,
    n_workers: int | None = None,
    advance: Callable[[int, int], None] | None = None,
) -> BenchReport:
    """Compare every score with what fine-tuning really gave.

    Args:
        folder: of the ground-truth matrix.
        settings: what the figures depend on; None for the defaults.
        cache_folder: keeps scores that were computed; None keeps nothing.
        n_workers: processes of one thread each; None for as many as the machine has cores.
        advance: told how many of how many pairs of checkpoint and image sample are scored.

    Raises:
        MatrixError: the matrix cannot be read, or a half has no usable target.
    """
    start = time.monotonic()
    settings = settings or BenchSettings()
    matrix = read_matrix(folder)
    check_halves(matrix, settings.halves)
    samples = [ImageSample(), *(ImageSample(settings.n_few_images, seed) for seed in range(settings.n_few_samples))]
    methods = settings.scores(matrix)
    full, *few = score_tables(
        matrix, samples, methods=methods, cache_folder=cache_folder, n_workers=n_workers, advance=advance
    )
    everyone = all_contenders(matrix, full, few, seed=settings.seed)
    comparisons = []
    for half in settings.halves:
        resamples = draw_resamples(
            len(matrix.checkpoints), len(matrix.positions(half)), n_resamples=settings.n_resamples, seed=settings.seed
        )
        comparisons.append(compare(matrix, everyone, half, resamples=resamples))
    return BenchReport(
        comparisons=tuple(comparisons),
        undefined={method: reasons for method, reasons in full.errors.items() if reasons},
        left_out=matrix.left_out,
        settings=settings,
        duration_s=time.monotonic() - start,
        confidence=tuple(judged_confidence(matrix, half) for half in settings.halves if half in JUDGED_PARTS),
        confirmed=earlier_confirmation() if "held-out" in settings.halves else None,
    )


def joined(reports: Sequence[BenchReport]) -> BenchReport:
    """One report of several matrices, with the settings of the first."""
    undefined: dict[str, dict[str, int]] = {}
    for report in reports:
        for method, reasons in report.undefined.items():
            own = undefined.setdefault(method, {})
            for reason, number in reasons.items():
                own[reason] = own.get(reason, 0) + number
    return dataclasses.replace(
        reports[0],
        comparisons=tuple(one for report in reports for one in report.comparisons),
        undefined=undefined,
        left_out=tuple(one for report in reports for one in report.left_out),
        duration_s=sum(report.duration_s for report in reports),
        confidence=tuple(one for report in reports for one in report.confidence),
    )


def check_halves(matrix: GroundTruthMatrix, halves: Sequence[str]) -> None:
    """Raise where there is nothing to compare on, and say what there is."""
    there = dict.fromkeys(target.half for target in matrix.targets)
    for half in halves:
        if not matrix.positions(half):
            raise MatrixError(
                f"the {half} targets must have at least one that is usable, found none in {matrix.folder}:"
                f" choose --half {' or --half '.join(there)}"
            )


def judged_confidence(matrix: GroundTruthMatrix, half: str) -> JudgedConfidence:
    """What the calibration of the reference score promised, judged on targets that it never saw; or why not."""
    part = JUDGED_PARTS[half]
    version = SCORES[REFERENCE].version
    calibration = find_calibration(REFERENCE, version, part=part)
    if calibration is None:
        reason = f"no calibration of {REFERENCE} version {version}: python -m tests.benchmarks.calibration makes one"
        return JudgedConfidence(half, part, reason=reason)
    names = [target.name for target in matrix.targets if target.half == half]
    seen = set(names) & set(calibration.fitted_on.targets)
    left_out = half == "real" and seen == set(names)
    if seen and not left_out:
        reason = f"the calibration of {REFERENCE} was fitted on {half} targets: {', '.join(sorted(seen))}"
        return JudgedConfidence(half, part, reason=reason)
    try:
        with on_one_thread():
            targets = finetuned_targets(matrix, half)
            used = [without_dataset(calibration, one.name) if left_out else calibration for one in targets]
            return JudgedConfidence(half, part, confidence_figures(targets, used), left_out=left_out)
    except ScoreError as error:
        return JudgedConfidence(half, part, reason=str(error))


def earlier_confirmation() -> Confirmation | None:
    """What was found on the confirmation targets of the constants that `recommend` uses."""
    calibration = find_calibration(REFERENCE, SCORES[REFERENCE].version, part="all")
    return calibration.confirmed if calibration else None

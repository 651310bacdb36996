"""Scores and rank agreement as modules of the library evaluate: `compute(...)`, or `add_batch(...)` and `compute()`.

    from lead_hub.evaluate_modules import RankAgreement, TransferabilityMeasurement
    logme = TransferabilityMeasurement("logme")
    for features, labels in batches:
        logme.add_batch(features=features, references=labels)
    logme.compute()                                               # {"logme": ...}
    RankAgreement().compute(predictions=scores, references=accuracies)

Nothing is downloaded: `evaluate.load` asks the Hub, classes do not. `evaluate.combine` makes one of several scores.
Numbers are kept as float64, so float16, bfloat16, float32 and float64 all come through without rounding.

What was added is kept in memory, where scores need it anyway, so that any number of modules and processes run side by
side. evaluate's own choice is a file for every module, which it forgets to delete when a score is undefined; a run
of several processes that share one score needs it nevertheless: `keep_in_memory=False` with `num_process` and
`process_id`, and an `experiment_id` of its own.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import SupportsFloat, SupportsInt

import evaluate
from datasets import Features, List, Value
from numpy.typing import ArrayLike

from lead_hub.errors import ScoreError
from lead_hub.rank_agreement import hit_at, kendall_tau, regret_at, spearman, weighted_kendall_tau
from lead_hub.transferability import SCORES, KernelName, transferability

DEFAULT_SCORE = "lead"


class TransferabilityMeasurement(evaluate.Measurement):  # type: ignore[misc]  # evaluate has no types
    """A transferability score of one checkpoint; `config_name` is the score's name in `lead_hub.SCORES`.

    `compute` returns the score under its own name, higher is better, and its companions under theirs, e.g.
    {"lead": -0.31, "loo_log_loss": 0.35, "loo_accuracy": 0.9}.

    Raises:
        ScoreError: there is no such score.
    """

    def __init__(self, config_name: str = DEFAULT_SCORE, *, keep_in_memory: bool = True, **settings: object) -> None:
        if config_name not in SCORES:
            raise ScoreError(f"the score must be one of {', '.join(SCORES)}, found {config_name!r}")
        super().__init__(config_name, keep_in_memory=keep_in_memory, **settings)

    def _info(self) -> evaluate.MeasurementInfo:
        method = SCORES[self.config_name]
        columns = {"features": List(Value("float64")), "references": Value("int64")}
        if method.needs_logits:
            columns["logits"] = List(Value("float64"))
        return evaluate.MeasurementInfo(
            description=f"{method.title}: predicts how well a checkpoint does when fine-tuned. {method.direction}.",
            citation=method.paper,
            inputs_description="""
            features (`list/array/tensor`): [n_images, n_features], the checkpoint's frozen features.
            references (`list/array/tensor`): [n_images], the labels, whole numbers; any ids.
            logits (`list/array/tensor`): [n_images, n_source_classes], outputs of the checkpoint's own trained head,
                for scores that need them; the others ignore them.
            facts (`dict`): for `compute` alone: what is known of the checkpoint, for scores that are such a fact.
            seed (`int`): for `compute` alone: for scores that draw random numbers, 0 unless given.
            """,
            features=Features(columns),
            license="Apache-2.0",
        )

    def add(self, *, prediction: None = None, reference: SupportsInt | None = None, **inputs: object) -> None:
        """Add one image: `features`, [n_features], `reference`, its label, and `logits` where the score needs them.

        Raises:
            ScoreError: the label is not a whole number, or logits are missing.
            ValueError: evaluate cannot store it.
        """
        super().add(prediction=prediction, reference=reference, **self._stored([reference], inputs))

    def add_batch(
        self, *, predictions: None = None, references: Collection[SupportsInt] | None = None, **inputs: object
    ) -> None:
        """Add a batch of images: `features`, `references`, the labels, and `logits` where the score needs them.

        Raises:
            ScoreError: features or labels are missing, labels are no whole numbers, or logits are missing.
            ValueError: evaluate cannot store them: not numbers, or numbers of rows that differ.
        """
        super().add_batch(predictions=predictions, references=references, **self._stored(references, inputs))

    def compute(
        self, *, predictions: None = None, references: Collection[SupportsInt] | None = None, **inputs: object
    ) -> dict[str, float] | None:
        """The score of what was added, or of the `features`, `references` and `logits` given here.

        Raises:
            ScoreError: the score is undefined for them, or there are none.
            ValueError: evaluate cannot store them.
        """
        if self.writer is None and references is None:
            raise ScoreError(f"{self.config_name} needs features and references (labels), found none: add them first")
        if SCORES[self.config_name].needs_logits:
            inputs.setdefault("logits", None)
        result: dict[str, float] | None = super().compute(predictions=predictions, references=references, **inputs)
        return result

    def _stored(
        self, references: Collection[SupportsInt | None] | None, inputs: Mapping[str, object]
    ) -> dict[str, object]:
        """The inputs that this score keeps, checked for what evaluate would let pass, or refuse in other words."""
        needs_logits = SCORES[self.config_name].needs_logits
        if needs_logits and inputs.get("logits") is None:
            raise ScoreError(f"{self.config_name} needs the logits of the checkpoint's own trained head, found none")
        if references is None or inputs.get("features") is None:
            raise ScoreError(f"{self.config_name} needs features and references (labels), found only one of them")
        if not are_whole_numbers(references):
            raise ScoreError(
                "references must be labels, whole numbers, and something else was found: number the classes"
            )
        return {name: values for name, values in inputs.items() if needs_logits or name != "logits"}

    def _compute(
        self,
        features: Sequence[Sequence[float]],
        references: Sequence[int],
        *,
        logits: Sequence[Sequence[float]] | None = None,
        facts: Mapping[str, float] | None = None,
        seed: int = 0,
        kernels: Mapping[KernelName, ArrayLike] = MappingProxyType({}),
    ) -> dict[str, float]:
        used = logits if SCORES[self.config_name].needs_logits else None
        to_score = partial(transferability, logits=used, facts=facts, seed=seed, kernels=kernels)
        result = to_score(features, references, self.config_name)
        return {self.config_name: result.value, **result.companions}


class RankAgreement(evaluate.Metric):  # type: ignore[misc]  # evaluate has no types
    """How well checkpoints' scores (`predictions`) predict their accuracies after fine-tuning (`references`).

    `compute` returns "weighted_kendall_tau", "kendall_tau" and "spearman", in [-1, 1], 1 is the same order;
    "regret_at_1" and "regret_at_3", in the accuracies' unit, 0 or more, lower is better; "hit_at_1" and "hit_at_3",
    1.0 where the truly best is among the top 1 or 3 by score, else 0.0. All are defined in `rank_agreement.py`.
    """

    def __init__(self, config_name: str | None = None, *, keep_in_memory: bool = True, **settings: object) -> None:
        super().__init__(config_name, keep_in_memory=keep_in_memory, **settings)

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Does the order of checkpoints by score match their order by accuracy after fine-tuning?",
            citation="Vigna, A weighted correlation index for rankings with ties, WWW 2015, arXiv 1404.3325",
            inputs_description="""
            predictions (`list/array/tensor`): [n_checkpoints], the scores; higher is better.
            references (`list/array/tensor`): [n_checkpoints], accuracies after fine-tuning, in any unit.
            """,
            features=Features({"predictions": Value("float64"), "references": Value("float64")}),
            license="Apache-2.0",
        )

    def compute(
        self,
        *,
        predictions: Collection[SupportsFloat] | None = None,
        references: Collection[SupportsFloat] | None = None,
        **inputs: object,
    ) -> dict[str, float] | None:
        """The agreement of what was added, or of the `predictions` and `references` given here.

        Raises:
            ScoreError: fewer than three checkpoints, all scores or all accuracies equal, or a value not finite.
            ValueError: evaluate cannot store them: not numbers, or more of one than of the other.
        """
        if self.writer is None and (predictions is None or references is None):
            raise ScoreError("rank agreement needs predictions (scores) and references (accuracies): add them first")
        result: dict[str, float] | None = super().compute(predictions=predictions, references=references, **inputs)
        return result

    def _compute(self, predictions: Sequence[float], references: Sequence[float]) -> dict[str, float]:
        return {
            "weighted_kendall_tau": weighted_kendall_tau(predictions, references),
            "kendall_tau": kendall_tau(predictions, references),
            "spearman": spearman(predictions, references),
            "regret_at_1": regret_at(1, predictions, references),
            "regret_at_3": regret_at(3, predictions, references),
            "hit_at_1": float(hit_at(1, predictions, references)),
            "hit_at_3": float(hit_at(3, predictions, references)),
        }


def are_whole_numbers(labels: Collection[SupportsInt | None]) -> bool:
    """Whether evaluate can store them as integers and change none: it would cut 0.9 down to 0 without a word."""
    try:
        return all(label is not None and int(label) == label for label in labels)
    except (TypeError, ValueError, OverflowError):  # no number, NaN, infinity
        return False

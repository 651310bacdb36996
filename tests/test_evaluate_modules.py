"""Scores and rank agreement as evaluate modules: the same numbers as without evaluate, in one go or batch by batch."""

import math
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import evaluate
import numpy as np
import pytest
import torch

from lead_hub import SCORES, score
from lead_hub.errors import ScoreError
from lead_hub.evaluate_modules import RankAgreement, TransferabilityMeasurement
from lead_hub.transferability import transferability

LABELS = np.arange(60) % 3 + 7
FEATURES = np.random.default_rng(0).normal(size=(60, 8)) + LABELS[:, None]
LOGITS = np.random.default_rng(1).normal(size=(60, 5))
FACTS = {"parameters": 1e6, "imagenet_top1_percent": 80.0, "downloads": 7.0}
SPLIT = [slice(0, 20), slice(20, 21), slice(21, 60)]


@pytest.fixture(autouse=True)
def no_files_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Modules keep what they are given in memory: their folder of files stays empty, whatever goes wrong."""
    monkeypatch.setattr(evaluate.config, "HF_METRICS_CACHE", str(tmp_path / "metrics"))
    yield
    assert [path for path in (tmp_path / "metrics").rglob("*") if path.is_file()] == []


@pytest.mark.slow
@pytest.mark.parametrize("method", list(SCORES))
def test_a_measurement_is_the_score_and_its_companions(method: str) -> None:
    rows = np.asarray(FEATURES, dtype=float)
    kernels = dict.fromkeys(SCORES[method].needs_kernels, rows @ rows.T)
    found = TransferabilityMeasurement(method).compute(
        features=FEATURES, references=LABELS, logits=LOGITS, facts=FACTS, seed=3, kernels=kernels
    )
    expected = transferability(FEATURES, LABELS, method, logits=LOGITS, facts=FACTS, seed=3, kernels=kernels)
    assert found == {method: expected.value, **expected.companions}


def test_logits_are_left_out_where_no_score_needs_them() -> None:
    found = TransferabilityMeasurement().compute(features=FEATURES, references=LABELS)
    assert found is not None
    assert found["lead"] == score(FEATURES, LABELS)


@pytest.mark.parametrize("method", ["lead", "leep"])
def test_batches_add_up_to_the_whole(method: str) -> None:
    measurement = TransferabilityMeasurement(method)
    for part in SPLIT:
        measurement.add_batch(features=FEATURES[part], references=LABELS[part], logits=LOGITS[part])
    found = measurement.compute()
    assert found is not None
    assert found[method] == score(FEATURES, LABELS, method, logits=LOGITS)


def test_image_by_image_adds_up_to_the_whole() -> None:
    measurement = TransferabilityMeasurement("leep")
    for row, label, logits in zip(FEATURES, LABELS, LOGITS, strict=True):
        measurement.add(features=row, reference=label, logits=logits)
    assert measurement.compute() == {"leep": score(FEATURES, LABELS, "leep", logits=LOGITS)}


def test_an_instance_can_be_used_again() -> None:
    measurement = TransferabilityMeasurement("logme")
    for features in (FEATURES, FEATURES[:, :3]):
        assert measurement.compute(features=features, references=LABELS) == {"logme": score(features, LABELS, "logme")}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_no_precision_is_lost(dtype: torch.dtype) -> None:
    features = torch.from_numpy(FEATURES).to(dtype).requires_grad_()
    exact = features.detach().double()
    found = TransferabilityMeasurement("logme").compute(features=features, references=torch.from_numpy(LABELS))
    assert found == {"logme": score(exact, LABELS, "logme")}
    if dtype == torch.float64:  # else the test could not see a rounding to float32
        assert found != {"logme": score(exact.float(), LABELS, "logme")}


def test_lists_do_too() -> None:
    found = TransferabilityMeasurement("logme").compute(features=FEATURES.tolist(), references=LABELS.tolist())
    assert found == {"logme": score(FEATURES, LABELS, "logme")}


def test_modules_side_by_side_keep_apart() -> None:
    first, second = (TransferabilityMeasurement("logme") for _ in range(2))
    for part in SPLIT:
        first.add_batch(features=FEATURES[part], references=LABELS[part])
        second.add_batch(features=FEATURES[part, :3], references=LABELS[part])
    assert first.compute() == {"logme": score(FEATURES, LABELS, "logme")}
    assert second.compute() == {"logme": score(FEATURES[:, :3], LABELS, "logme")}


def test_processes_share_a_score_through_files(tmp_path: Path) -> None:
    # evaluate's processes meet through locks on files alone, so that threads may stand for them.
    parts = [slice(0, 25), slice(25, 60)]
    found: list[dict[str, float] | None] = [{}, {}]

    def process(process_id: int) -> None:
        measurement = TransferabilityMeasurement(
            "logme",
            keep_in_memory=False,
            num_process=2,
            process_id=process_id,
            experiment_id="both",
            cache_dir=str(tmp_path / "shared"),
        )
        measurement.add_batch(features=FEATURES[parts[process_id]], references=LABELS[parts[process_id]])
        found[process_id] = measurement.compute()

    threads = [Thread(target=process, args=(process_id,)) for process_id in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [{"logme": score(FEATURES, LABELS, "logme")}, None]


def test_scores_combine() -> None:
    combined = evaluate.combine([TransferabilityMeasurement(method) for method in ("lead", "logme", "leep")])
    found = combined.compute(features=FEATURES, references=LABELS, logits=LOGITS)
    lead = transferability(FEATURES, LABELS, "lead")
    others = {method: score(FEATURES, LABELS, method, logits=LOGITS) for method in ("logme", "leep")}
    assert found == {"lead": lead.value, **lead.companions, **others}


def test_the_module_says_what_it_is() -> None:
    measurement = TransferabilityMeasurement("logme")
    assert measurement.config_name == "logme"
    assert measurement.description.startswith("LogME: ")
    assert measurement.citation == SCORES["logme"].paper
    assert list(measurement.features) == ["features", "references"]
    assert list(TransferabilityMeasurement("leep").features) == ["features", "references", "logits"]


def test_an_unknown_score_is_an_error() -> None:
    with pytest.raises(ScoreError, match=r"must be one of lead, .*found 'magic'"):
        TransferabilityMeasurement("magic")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0.0, 0.9, 1.1, 2.0], "references must be labels, whole numbers"),
        ([0, 1, math.nan, 1], "references must be labels, whole numbers"),
        (["0", "1", "0", "1"], "references must be labels, whole numbers"),
        ([0, 1, None, 1], "references must be labels, whole numbers"),
        ([0, 0, 0, 0], "at least 2 classes"),
        (None, "features and references"),
    ],
)
def test_labels_that_are_none_are_errors(labels: list[int] | None, message: str) -> None:
    measurement = TransferabilityMeasurement("logme")
    with pytest.raises(ScoreError, match=message):
        measurement.compute(features=FEATURES[:4], references=labels)
    assert measurement.compute(features=FEATURES, references=LABELS) == {"logme": score(FEATURES, LABELS, "logme")}


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ([[0.0, math.nan], [1.0, 2.0]], "must be finite"),
        ([[0.0, None], [1.0, 2.0]], "must be numbers"),
        ([[0.0], [1.0, 2.0]], "rectangular"),
        (None, "features and references"),
    ],
)
def test_features_that_are_none_are_errors(features: list[list[float]] | None, message: str) -> None:
    measurement = TransferabilityMeasurement("logme")
    with pytest.raises(ScoreError, match=message):
        measurement.compute(features=features, references=[0, 1])
    assert measurement.compute(features=FEATURES, references=LABELS) == {"logme": score(FEATURES, LABELS, "logme")}


def test_what_evaluate_cannot_store_is_its_own_error() -> None:
    measurement = TransferabilityMeasurement("logme")
    with pytest.raises(ValueError, match=r"Mismatch in the number of features \(60\) and references \(59\)"):
        measurement.add_batch(features=FEATURES, references=LABELS[:59])
    with pytest.raises(ValueError, match="expected format"):
        measurement.compute(features=[["a"], ["b"]], references=[0, 1])
    assert measurement.compute(features=FEATURES, references=LABELS) == {"logme": score(FEATURES, LABELS, "logme")}


def test_missing_logits_are_an_error() -> None:
    measurement = TransferabilityMeasurement("leep")
    for refused in (
        lambda: measurement.compute(features=FEATURES, references=LABELS),
        lambda: measurement.add_batch(features=FEATURES, references=LABELS),
        lambda: measurement.add(features=FEATURES[0], reference=LABELS[0]),
    ):
        with pytest.raises(ScoreError, match="leep needs the logits"):
            refused()


def test_nothing_added_is_an_error() -> None:
    for module in (TransferabilityMeasurement("leep"), TransferabilityMeasurement(), RankAgreement()):
        with pytest.raises(ScoreError, match="add them first"):
            module.compute()


# By score the order is a, b, c, d; a and b are exchanged by accuracy, and c and d stand where they should.
SCORED = [0.9, 0.8, 0.3, 0.1]
TRUTH = [85.0, 90.0, 70.0, 60.0]
# Of 6 pairs one disagrees. Each weighs 1/(r+1) + 1/(s+1) of its ranks, which add up to 3 (1 + 1/2 + 1/3 + 1/4);
# the pair at the top weighs 1 + 1/2 whichever of the two lists ranks it.
WEIGHTS = 3 * (1 + 1 / 2 + 1 / 3 + 1 / 4)
AGREEMENT = {
    "weighted_kendall_tau": (WEIGHTS - 2 * (1 + 1 / 2)) / WEIGHTS,
    "kendall_tau": (5 - 1) / 6,
    "spearman": 1 - 6 * (1 + 1) / (4 * 15),
    "regret_at_1": 90.0 - 85.0,
    "regret_at_3": 0.0,
    "hit_at_1": 0.0,
    "hit_at_3": 1.0,
}


def test_rank_agreement_by_hand() -> None:
    found = RankAgreement().compute(predictions=SCORED, references=TRUTH)
    assert found == pytest.approx(AGREEMENT)
    assert found is not None
    assert all(type(value) is float for value in found.values())


def test_rank_agreement_in_batches() -> None:
    agreement = RankAgreement()
    for part in (slice(0, 1), slice(1, 4)):
        agreement.add_batch(predictions=np.array(SCORED[part]), references=torch.tensor(TRUTH[part]))
    assert agreement.compute() == pytest.approx(AGREEMENT)
    for one, other in zip(SCORED, TRUTH, strict=True):
        agreement.add(prediction=one, reference=other)
    assert agreement.compute() == pytest.approx(AGREEMENT)


@pytest.mark.parametrize(
    ("scores", "accuracies", "message"),
    [
        ([1.0, 2.0], [90.0, 80.0], "k must be between 1 and the number of checkpoints, 2, found 3"),
        ([1.0, 1.0, 1.0], [90.0, 80.0, 70.0], "different scores"),
        ([1.0, math.nan, 2.0], [90.0, 80.0, 70.0], "finite"),
        ([1.0, 2.0, 3.0], None, "add them first"),
    ],
)
def test_undefined_agreement_is_an_error(scores: list[float], accuracies: list[float] | None, message: str) -> None:
    with pytest.raises(ScoreError, match=message):
        RankAgreement().compute(predictions=scores, references=accuracies)

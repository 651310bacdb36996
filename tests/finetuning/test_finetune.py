"""finetune(): real trainings of tiny checkpoints on colours."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lead_hub import Candidate, CandidateError, LeadHubError, recommend
from lead_hub.access import Access
from lead_hub.finetuning import files_with_weights
from lead_hub.finetuning.network import this_hardware
from lead_hub.finetuning.outcomes import DroppedTraining, FineTuned, FinishedTraining
from lead_hub.finetuning.parts import FineTuningImages
from lead_hub.finetuning.settings import Budget, settings_of
from lead_hub.finetuning.trainings import FineTuningJob, run_trainings
from tests.finetuning.conftest import FineTune


def timeless(result: FineTuned) -> list[FinishedTraining]:
    return [replace(training, duration_s=0.0) for training in result.trainings]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "family"), [("full", "resnet"), ("full", "vit"), ("lora", "vit"), ("probe", "dinov2")]
)
def test_easy_colours_are_learnt(tune: FineTune, tiny_pool: Path, mode: str, family: str) -> None:
    result = tune(tiny_pool / family, mode=mode, epochs=20 if mode == "probe" else 8, learning_rates=[5e-3])
    assert result.accuracy > 0.9  # chance is a third; the test images are of another size than the others
    assert result.macro_f1 > 0.9
    (training,) = result.trainings
    assert (training.n_train, training.n_validation, training.n_test) == (29, 7, 12)
    assert 1 <= training.best_epoch <= training.epochs_run <= 20
    assert result.accuracy_sd is None
    assert (result.mode, result.test_source, result.dropped) == (mode, "split 'test'", ())


@pytest.mark.slow
def test_the_same_seed_gives_the_same_numbers_and_another_one_others(
    tune: FineTune, tiny_pool: Path, tmp_path: Path
) -> None:
    torch.manual_seed(123)  # the caller's random numbers play no part, and go on where they were
    expected_next = torch.rand(1, generator=torch.Generator().manual_seed(123))
    # A rate so low that the numbers are still those of a random head.
    first = tune(tiny_pool / "vit", seeds=[0, 1, 2], epochs=2, learning_rates=[1e-5])
    assert torch.rand(1) == expected_next
    again = tune(tiny_pool / "vit", seeds=[2, 1, 0], epochs=2, learning_rates=[1e-5], cache_dir=tmp_path / "another")
    assert timeless(first) == timeless(again)[::-1]
    rows = first.to_pandas()
    assert list(rows["seed"]) == [0, 1, 2]
    assert len({(training.validation_accuracy, training.accuracy) for training in first.trainings}) > 1


def test_a_probe_needs_no_training_of_the_backbone(
    tune: FineTune, tiny_pool: Path, tmp_path: Path, images: FineTuningImages
) -> None:
    before = {path.name: path.read_bytes() for path in (tiny_pool / "dinov2").iterdir()}
    board = recommend(images.train.dataset, tiny_pool / "dinov2", cache_dir=tmp_path / "cache", progress=False)
    (kept,) = (tmp_path / "cache" / "outputs").iterdir()
    written = kept.stat().st_mtime_ns
    result = tune(tiny_pool / "dinov2", mode="probe")
    assert result.sha == board.best.sha
    assert kept.stat().st_mtime_ns == written  # the features of the train images are those that recommend() scored
    sizes = sorted(len(load_file(path)["features"]) for path in (tmp_path / "cache" / "outputs").iterdir())
    assert sizes == [12, 36]
    assert {path.name: path.read_bytes() for path in (tiny_pool / "dinov2").iterdir()} == before


def test_training_stops_once_nothing_gets_better(tune: FineTune, tiny_pool: Path, images: FineTuningImages) -> None:
    # Labels that have nothing to do with the images: a high rate learns them by heart, and errs ever more on others.
    random = np.random.default_rng(0).permutation(images.train.labels)
    noise = FineTuningImages(replace(images.train, labels=random, label_column="noise"), images.test)
    result = tune(tiny_pool / "dinov2", images=noise, mode="probe", learning_rates=[0.3], epochs=60)
    (training,) = result.trainings
    assert training.best_epoch < training.epochs_run < 60


@pytest.mark.slow
def test_test_images_choose_nothing(tune: FineTune, tiny_pool: Path, images: FineTuningImages, tmp_path: Path) -> None:
    assert images.test is not None
    rates = [1e-4, 1e-1]
    honest = tune(tiny_pool / "dinov2", mode="probe", learning_rates=rates, seeds=[0, 1])
    wrong = replace(images.test, labels=(images.test.labels + 1) % 3)
    liar = tune(
        tiny_pool / "dinov2",
        images=FineTuningImages(images.train, wrong),
        mode="probe",
        learning_rates=rates,
        seeds=[0, 1],
        cache_dir=tmp_path / "another",
    )
    assert liar.learning_rate == honest.learning_rate
    for one, other in zip(honest.trainings, liar.trainings, strict=True):
        assert (one.validation_accuracy, one.best_epoch, one.epochs_run) == (
            other.validation_accuracy,
            other.best_epoch,
            other.epochs_run,
        )
    assert liar.accuracy < honest.accuracy


def finished(rate: float, seed: int, validation: float, accuracy: float) -> FinishedTraining:
    return FinishedTraining("full", rate, seed, validation, accuracy, accuracy / 2, 10.0, 5, 4, 29, 7, 12)


def test_the_published_number_is_the_mean_at_the_rate_that_validates_best() -> None:
    rows = [(1e-3, 0, 0.8, 0.5), (1e-3, 1, 0.6, 0.7), (1e-4, 0, 0.7, 0.9), (1e-4, 1, 0.7, 0.4), (1e-2, 0, 0.6, 1.0)]
    result = FineTuned("x", "a" * 64, "full", tuple(finished(*row) for row in rows), (), "split 'test'", "", "", "")
    # 1e-3 and 1e-4 both have 0.7 on the validation images: the smaller rate counts
    assert result.learning_rate == 1e-4
    assert result.accuracy == pytest.approx((0.9 + 0.4) / 2)
    assert result.accuracy_sd == pytest.approx(0.5 / 2**0.5)
    assert result.macro_f1 == pytest.approx((0.45 + 0.2) / 2)
    assert result.duration_s == 50.0


@pytest.mark.slow
def test_a_run_that_stopped_midway_goes_on_where_it_was(tune: FineTune, tiny_pool: Path, tmp_path: Path) -> None:
    some = tune(tiny_pool / "vit", seeds=[0], epochs=2)
    (kept,) = (tmp_path / "cache" / "finetuned").iterdir()
    # Mark the file, so that a result that was read is told from one that was computed.
    kept.write_text(json.dumps({**json.loads(kept.read_text()), "accuracy": 0.125}))
    all_of_them = tune(tiny_pool / "vit", seeds=[0, 1], epochs=2)
    assert [training.seed for training in all_of_them.trainings] == [0, 1]
    assert all_of_them.trainings[0] == replace(some.trainings[0], accuracy=0.125)
    assert len(list((tmp_path / "cache" / "finetuned").iterdir())) == 2
    kept.write_text("{ half a")
    with pytest.warns(UserWarning, match="damaged, its training is done again"):
        repaired = tune(tiny_pool / "vit", seeds=[0], epochs=2)
    assert timeless(repaired) == timeless(some)


def test_a_killed_run_loses_one_training_alone(tiny_pool: Path, images: FineTuningImages, tmp_path: Path) -> None:
    hardware, access = this_hardware(), Access(tmp_path)
    candidate = Candidate(str(tiny_pool / "vit"))
    settings = settings_of("full", learning_rates=[1e-3], epochs=2, seeds=[0, 1, 2], flip=True)
    files = files_with_weights(candidate, access=access, processes=hardware.processes)
    job = FineTuningJob(candidate, files, images, settings, access, hardware)
    epochs: list[int] = []

    def killed_in_the_middle_of_the_third(n_epochs: int) -> None:
        epochs.extend([1] * n_epochs)
        if len(epochs) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_trainings(job, budget=Budget(None), advance=killed_in_the_middle_of_the_third)
    before = {path: path.read_bytes() for path in (tmp_path / "finetuned").iterdir()}
    assert len(before) == 2
    result = run_trainings(job, budget=Budget(None), advance=epochs.append)
    assert [training.seed for training in result.trainings] == [0, 1, 2]
    assert {path: path.read_bytes() for path in before} == before
    assert len(list((tmp_path / "finetuned").iterdir())) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    "change", [{"epochs": 3}, {"flip": False}, {"learning_rates": [1e-3]}, {"seeds": [4]}, {"mode": "probe"}]
)
def test_what_changes_the_number_changes_the_key(
    tune: FineTune, tiny_pool: Path, tmp_path: Path, change: dict[str, object]
) -> None:
    for options in ({}, change, {}):
        tune(tiny_pool / "dinov2", **{"epochs": 1, "mode": "lora", **options})
    assert len(list((tmp_path / "cache" / "finetuned").iterdir())) == 2


def test_a_budget_leaves_out_whole_trainings_but_never_the_first(tune: FineTune, tiny_pool: Path) -> None:
    result = tune(tiny_pool / "dinov2", mode="probe", epochs=2, seeds=[3, 4], learning_rates=[1e-2, 1e-3], budget=1e-6)
    assert [(training.learning_rate, training.seed) for training in result.trainings] == [(1e-2, 3)]
    reason = "the budget was used up"
    assert result.dropped == tuple(
        DroppedTraining(rate, seed, reason) for rate, seed in [(1e-3, 3), (1e-2, 4), (1e-3, 4)]
    )
    ample = tune(tiny_pool / "dinov2", mode="probe", epochs=2, seeds=[3, 4], learning_rates=[1e-2, 1e-3], budget="10m")
    assert len(ample.trainings) == 4
    assert ample.dropped == ()


def test_a_rate_that_diverges_is_left_out_and_said(tune: FineTune, tiny_pool: Path) -> None:
    result = tune(tiny_pool / "dinov2", mode="probe", epochs=2, learning_rates=[1e38, 1e-2])
    assert [training.learning_rate for training in result.trainings] == [1e-2]
    assert "the loss must stay finite, with learning rate 1e+38" in result.dropped[0].reason
    with pytest.raises(CandidateError, match="no training came to an end") as caught:
        tune(tiny_pool / "dinov2", mode="probe", epochs=2, learning_rates=[1e38])
    assert caught.value.stage == "finetune"


def test_what_cannot_be_fine_tuned(tune: FineTune, tiny_pool: Path, tmp_path: Path) -> None:
    with pytest.raises(LeadHubError, match="mode must be one of"):
        tune(tiny_pool / "vit", mode="half")
    with pytest.raises(CandidateError, match="names 3: name one of them"):
        tune(tiny_pool)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CandidateError, match=r"must hold model\.safetensors") as caught:
        tune(tmp_path / "empty")
    assert caught.value.stage == "load"

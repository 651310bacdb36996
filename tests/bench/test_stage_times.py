"""Where the time of a run goes: seconds by hand, and those of a real run."""

from dataclasses import astuple, fields
from pathlib import Path

import pytest

from lead_hub.bench.speed.measured_parts import our_run
from lead_hub.bench.speed.stage_times import WORDS, Moment, StageTimes, spent_by_stage
from lead_hub.errors import Stage
from lead_hub.recommendation import RunProgress


def at(at_s: float, stage: Stage, n_images: int = 0, total_images: int = 48) -> Moment:
    return Moment(at_s, RunProgress(stage, n_images=n_images, total_images=total_images))


def test_every_second_is_in_one_stage() -> None:
    """Batches of 16 after the first take 2 s each, so the first of 5 s held 3 s of trying."""
    moments = [
        at(0.5, "dataset", total_images=0),
        at(3.5, "download"),
        at(4.0, "load"),
        at(5.0, "extract"),
        at(10.0, "extract", 16),
        at(12.0, "extract", 32),
        at(14.0, "extract", 48),
        at(14.25, "score"),
        at(16.0, "download"),
        at(16.5, "load"),
        at(17.0, "extract"),
        at(19.0, "extract", 48),  # a single batch: all of it is passes
        at(19.5, "score"),
    ]
    expected = StageTimes(
        rest_s=0.5,
        images_s=3.0,
        files_s=0.5 + 0.5,
        load_s=1.0 + 0.5,
        trial_s=3.0,
        passes_s=2.0 + 2.0 + 2.0 + 2.0,
        keep_s=0.25 + 0.5,
        score_s=1.75 + 1.5,
    )
    found = spent_by_stage(moments, wall_s=21.0)
    assert astuple(found) == pytest.approx(astuple(expected))
    assert sum(astuple(found)) == pytest.approx(21.0)


def test_no_more_is_taken_off_than_there_is() -> None:
    """The first batch came after 1 s, the others after 2 s each: nothing was tried, and nothing is below 0."""
    moments = [at(0.0, "extract"), at(1.0, "extract", 16), at(3.0, "extract", 32), at(5.0, "extract", 48)]
    found = spent_by_stage(moments, wall_s=5.5)
    assert (found.trial_s, found.passes_s, found.keep_s) == pytest.approx((0.0, 5.0, 0.5))


def test_a_checkpoint_whose_outputs_are_kept_is_only_found_and_scored() -> None:
    found = spent_by_stage([at(0.0, "download"), at(1.0, "score")], wall_s=3.0)
    assert found == StageTimes(files_s=1.0, score_s=2.0)


def test_a_run_that_told_nothing_is_all_rest() -> None:
    assert spent_by_stage([], wall_s=2.0) == StageTimes(rest_s=2.0)


def test_every_stage_has_words() -> None:
    assert list(WORDS) == [field.name for field in fields(StageTimes)]


def test_a_real_run_tells_where_its_time_goes(colour_folder: Path, tiny_pool: Path, tmp_path: Path) -> None:
    measured = our_run(colour_folder, [tiny_pool / "vit", tiny_pool / "resnet"], cache_dir=tmp_path, device_name="cpu")
    assert measured.stages is not None
    assert sum(astuple(measured.stages)) == pytest.approx(measured.wall_s)
    assert min(astuple(measured.stages)) >= 0
    for stage in ("images_s", "load_s", "passes_s", "score_s"):
        assert getattr(measured.stages, stage) > 0

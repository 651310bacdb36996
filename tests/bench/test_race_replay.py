"""Races on stored outputs whose answer is known."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lead_hub.bench.matrix import read_matrix
from lead_hub.bench.matrix_files import MatrixError
from lead_hub.bench.race_replay import ReplaySettings, StagedTerms, joined_races, replay, run_replay
from lead_hub.bench.race_text import POOL, full_checkpoints, missed, race_cells, race_headers
from lead_hub.candidates import IndexQuery, query_index
from lead_hub.confidence import RaceRules
from tests.bench.small_matrix import QUALITY, write_small_matrix
from tests.cli.test_recommend import lead_hub
from tests.confidence.made_calibration import made_calibration

RULES = RaceRules(level=0.9, least_share=0.25)
ACCURACY = np.array([80.0, 90.0, 70.0, 60.0])
# Of two classes the spread is 0.2 ln 2: scores so many spreads apart, the same for every image.
SPREAD = 0.2 * math.log(2)


def staged(*scores: list[float]) -> StagedTerms:
    """Stages of 10, 20, ... images, all terms of which are the checkpoint's score, given in spreads."""
    sizes = [10 * (number + 1) for number in range(len(scores))]
    levels = zip(scores, sizes, strict=True)
    terms = tuple(SPREAD * np.repeat(np.array(stage)[:, None], size, axis=1) for stage, size in levels)
    return StagedTerms(terms, tuple(np.arange(size) % 2 for size in sizes), ACCURACY)


def test_a_race_that_keeps_the_winner() -> None:
    # e^0 + e^-1 of e^0 + e^-1 + e^-9 + e^-9 are 99.98%: the last two drop out.
    races = staged([-1.0, 0.0, -9.0, -9.0], [-5.0, 0.0, -9.0, -9.0], [-1.0, 0.0, -9.0, -9.0])
    found = replay(races, made_calibration(), rules=RULES, n_images_of_run=100)
    assert (found.n_candidates, found.lost_points, found.has_same_winner) == (4, 0.0, True)
    # By all images e^0 is 73% of the chances: the second is needed for 90%. It dropped out at the second stage.
    assert (found.n_in_set, found.n_kept) == (2, 1)
    # The second is truly the best, in the set of both.
    assert (found.full_holds_best, found.race_holds_best) == (True, True)
    assert found.passes == pytest.approx((4 * 10 + 2 * 10 + 1 * 10) / (4 * 30))
    assert found.passes_of_run == pytest.approx((4 * 10 + 2 * 10 + 1 * 80) / (4 * 100))


def test_a_race_that_loses_the_winner() -> None:
    races = staged([0.0, -9.0, -9.0, -9.0], [-9.0, 0.0, -9.0, -9.0])
    found = replay(races, made_calibration(), rules=RULES, n_images_of_run=1)
    assert (found.lost_points, found.has_same_winner, found.n_in_set, found.n_kept) == (10.0, False, 1, 0)
    assert (found.full_holds_best, found.race_holds_best) == (True, False)
    assert found.passes == found.passes_of_run == pytest.approx((4 * 10 + 1 * 10) / (4 * 20))


def test_who_was_left_behind_may_still_be_the_best() -> None:
    # Chances of 51%, 31%, 11% and 7%. The best half goes on, and the first ends with its 82%: with the third 93%.
    rules = RaceRules(level=0.5, least_share=0.5)
    accuracy = np.array([60.0, 70.0, 90.0, 80.0])
    races = replace(staged([0.0, -0.5, -1.5, -2.0], [0.0, -9.0, 9.0, -9.0]), accuracy=accuracy)
    found = replay(races, made_calibration(), rules=rules, n_images_of_run=1)
    assert (found.lost_points, found.n_kept, found.race_holds_best) == (30.0, 0, True)


def test_draws_keep_their_error_at_every_stage() -> None:
    drawn = staged([0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]).drawn(
        np.random.default_rng(0), n_drawn=2000, deviation=0.5
    )
    first, last = (part[:, 0] for part in drawn.terms)
    assert last - first == pytest.approx(np.full(2000, 4 * SPREAD))
    assert all(np.ptp(part, axis=1).max() < 1e-12 for part in drawn.terms)
    of_best = first[drawn.accuracy == 90.0] - SPREAD
    # About 500 of 2000 draws; the standard deviation of 500 draws is off by 3% in the mean, 15% is five times that.
    assert 400 < len(of_best) < 600
    assert of_best.std() == pytest.approx(0.5, rel=0.15)


@pytest.mark.slow
def test_every_target_of_a_half(tmp_path: Path) -> None:
    folder = write_small_matrix(tmp_path / "matrix")
    told: list[tuple[int, int]] = []
    settings = ReplaySettings(n_repetitions=2, n_drawn=20)
    report = run_replay(folder, settings, n_workers=1, advance=lambda *done: told.append(done))
    assert [(each.half, each.is_drawn, each.n_candidates) for each in report.figures] == [
        *[("held-out", False, (5, 5)), ("held-out", True, (20, 20))],
        *[("study", False, (5, 5)), ("study", True, (20, 20))],
    ]
    held_out, _, study, _ = report.figures
    assert (held_out.n_targets, held_out.n_races, study.n_targets, study.n_races) == (2, 4, 1, 2)
    assert report.n_stored_images == (60, 60)
    assert told == [(1, 3), (2, 3), (3, 3)]
    # The classes of the best are far apart, also on 15 images, a quarter of all.
    assert (held_out.lost_points, held_out.same_winner) == (0.0, 1.0)
    # At least two of five go on at each stage of 15, 30 and 60 images; at most all of them do.
    assert (5 * 15 + 2 * 15 + 1 * 30) / (5 * 60) <= held_out.passes <= 1
    again = run_replay(folder, settings, n_workers=1)
    assert again.figures == report.figures


def test_a_score_of_all_images_is_the_last_stage(tmp_path: Path) -> None:
    folder = write_small_matrix(tmp_path / "matrix")
    keep_all = RaceRules(least_share=1.0)
    report = run_replay(folder, ReplaySettings(n_repetitions=1, n_drawn=0, rules=keep_all), n_workers=1)
    for each in report.figures:
        assert (each.lost_points, each.same_winner, each.kept, each.members_kept) == (0.0, 1.0, 1.0, 1.0)
        assert (each.passes, each.passes_of_run) == (1.0, 1.0)
    assert len(read_matrix(folder).checkpoints) == len(QUALITY)


def test_matrices_are_one_table(tmp_path: Path) -> None:
    folder = write_small_matrix(tmp_path / "matrix")
    halves = [ReplaySettings(halves=(half,), n_repetitions=1, n_drawn=20) for half in ("study", "held-out")]
    both = joined_races([run_replay(folder, settings, n_workers=1) for settings in halves])
    assert [each.half for each in both.figures] == ["study", "study", "held-out", "held-out"]
    assert both.settings.halves == ("study", "held-out")
    assert both.n_stored_images == (60, 60)
    _, drawn, *_ = both.figures
    dear = replace(drawn, passes_of_run=0.25)  # 50.25 of 201
    cheap = replace(drawn, half="held-out", passes_of_run=0.2)
    assert [full_checkpoints(each) for each in (dear, cheap)] == [pytest.approx(50.25), pytest.approx(40.2)]
    assert missed(replace(both, figures=(dear, cheap))) == ", missed on study"
    assert missed(replace(both, figures=(cheap,))) == ""
    assert race_cells(cheap)[-1] == "40"
    assert len(race_cells(cheap)) == len(race_headers(both))
    assert len(query_index(IndexQuery.preset("all")).candidates) == POOL


def test_settings_that_make_no_sense() -> None:
    with pytest.raises(MatrixError, match="half must be one of held-out, study, confirmation, real, found all"):
        ReplaySettings(halves=("all",))
    with pytest.raises(MatrixError, match="n_repetitions must be at least 1, found 0"):
        ReplaySettings(n_repetitions=0)


def test_the_command(tmp_path: Path) -> None:
    folder = write_small_matrix(tmp_path / "matrix")
    result = lead_hub("bench", "--race", "--matrix", folder, "--half", "study", "--repetitions", "1", "--workers", "1")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert [(each["half"], each["n_races"]) for each in document["figures"]] == [("study", 1), ("study", 1)]
    refused = lead_hub("bench", "--race", "--matrix", folder, "--half", "real")
    assert refused.exit_code == 2
    assert "the real targets must have at least one" in refused.stderr

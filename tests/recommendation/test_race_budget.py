"""What a budget may be, and what is left of it."""

from pathlib import Path

import pytest

from lead_hub import LeadHubError
from lead_hub.candidates import Candidate
from lead_hub.recommendation.race_budget import RaceBudget, SpentBudget, by_prior, parse_race_budget, within_downloads


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("10min", RaceBudget("10min", duration_s=600)),
        ("90 s", RaceBudget("90 s", duration_s=90)),
        ("1.5h", RaceBudget("1.5h", duration_s=5400)),
        ("5GB", RaceBudget("5GB", download_bytes=5_000_000_000)),
        ("500 mb", RaceBudget("500 mb", download_bytes=500_000_000)),
        ("20%", RaceBudget("20%", passes_share=0.2)),
        (None, None),
    ],
)
def test_three_kinds(text: str | None, budget: RaceBudget | None) -> None:
    assert parse_race_budget(text) == budget


@pytest.mark.parametrize("text", ["", "10", "ten min", "0min", "-5GB", "120%", "0%", "5 dollars", "10min or 5GB"])
def test_nothing_else(text: str) -> None:
    with pytest.raises(LeadHubError, match=r"budget must be a time such as '10min' or '2h', a size .*, found"):
        parse_race_budget(text)


def test_time_that_passes() -> None:
    now = [100.0]
    spent = SpentBudget(RaceBudget("10s", duration_s=10), n_candidates=5, clock=lambda: now[0])
    assert spent.allows(1_000_000, n_images_of_run=1)
    assert spent.left_s == 10.0
    now[0] = 109.9
    assert not spent.is_time_over
    now[0] = 110.0
    assert spent.is_time_over
    now[0] = 120.0
    assert spent.left_s == 0.0
    assert spent.n_left(n_images_of_run=1) is None
    assert not spent.allows(0, n_images_of_run=1)


def test_passes_that_are_used_up() -> None:
    spent = SpentBudget(RaceBudget("20%", passes_share=0.2), n_candidates=10, clock=lambda: 0.0)
    # A fifth of ten candidates times a hundred images.
    assert spent.allows(200, n_images_of_run=100)
    assert not spent.allows(201, n_images_of_run=100)
    spent.run(150)
    assert (spent.n_left(n_images_of_run=100), spent.left_s) == (50, None)
    assert spent.allows(50, n_images_of_run=100)
    assert not spent.allows(51, n_images_of_run=100)
    assert not spent.is_time_over


def test_downloads_that_fit(tiny_pool: Path) -> None:
    large = Candidate("org/large", weight_bytes=700)
    medium = Candidate("org/medium", weight_bytes=600)
    small = Candidate("org/small", parameters=75)  # of 4 bytes each
    unknown, local = Candidate("org/unknown"), Candidate(str(tiny_pool / "vit"))
    candidates = [unknown, large, medium, small, local]
    # 700 and 600 are more than 1000; 700 and 300 are not; what is here already takes nothing.
    is_here = [local].__contains__
    assert within_downloads(candidates, 1000, is_here=is_here) == ([large, small, local], [unknown, medium])
    assert within_downloads(candidates, None, is_here=is_here) == (candidates, [])


def test_who_enters_first() -> None:
    accurate = Candidate("org/accurate", imagenet_top1_percent=85.0, parameters=90)
    as_good = Candidate("org/as-good", imagenet_top1_percent=84.1, parameters=30)
    plain = Candidate("org/plain", imagenet_top1_percent=76.0, parameters=20)
    unknown = Candidate("org/unknown", parameters=10, downloads=5)
    popular = Candidate("org/popular", parameters=10, downloads=500)
    # 85.0 and 84.1 are on one level, of which the smaller comes first. The median, 84.1, counts for the unknown ones.
    entered = by_prior([plain, accurate, unknown, as_good, popular])
    assert entered == [popular, unknown, as_good, accurate, plain]


def test_what_is_known_from_other_datasets_comes_first() -> None:
    accurate = Candidate("org/accurate", imagenet_top1_percent=85.0)
    proven = Candidate("org/proven", imagenet_top1_percent=76.0, standing=1.0)
    poor = Candidate("org/poor", imagenet_top1_percent=88.0, standing=-1.0)
    average = Candidate("org/average", imagenet_top1_percent=80.0, standing=0.1)
    assert by_prior([poor, average, accurate, proven]) == [proven, accurate, average, poor]

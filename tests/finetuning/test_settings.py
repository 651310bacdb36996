"""What a call may ask for, and how a budget is spent."""

import sys

import pytest

from lead_hub.errors import LeadHubError
from lead_hub.finetuning.settings import Budget, parse_budget, settings_of

NOTHING = {"learning_rates": None, "epochs": None, "seeds": None, "flip": True}


@pytest.mark.parametrize("mode", ["full", "lora", "probe"])
def test_every_mode_has_settings_that_suit_it(mode: str) -> None:
    settings = settings_of(mode, **NOTHING)
    assert len(settings.trainings) == len(settings.learning_rates) * len(settings.seeds)
    assert settings.epochs >= 12


def test_trainings_are_done_seed_by_seed_so_that_a_budget_leaves_every_rate_a_run() -> None:
    settings = settings_of("full", learning_rates=[1e-3, 1e-4], epochs=1, seeds=[5, 6], flip=True)
    assert settings.trainings == ((1e-3, 5), (1e-4, 5), (1e-3, 6), (1e-4, 6))


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"mode": "partial"}, "mode must be one of full, lora, probe, found 'partial'"),
        ({"learning_rates": [1e-3, 0.0]}, "learning rates must be above 0"),
        ({"seeds": [-1]}, "seeds must be from 0 to 4294967295, found"),
        ({"seeds": [99999999999999999999]}, "seeds must be from 0 to 4294967295, found"),
        ({"learning_rates": [-1e-3]}, "learning rates must be above 0"),
        ({"learning_rates": [float("nan")]}, "learning rates must be above 0"),
        ({"learning_rates": []}, "learning_rates must hold at least one value"),
        ({"learning_rates": [1e-3, 1e-3]}, "each once"),
        ({"epochs": 0}, "epochs must be at least 1, found 0"),
        ({"seeds": []}, "seeds must hold at least one value"),
    ],
)
def test_choices_that_cannot_be_are_refused(choice: dict[str, object], message: str) -> None:
    with pytest.raises(LeadHubError, match=message):
        settings_of(**{"mode": "full", **NOTHING, **choice})  # type: ignore[arg-type]


def test_adapters_need_a_library_that_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])  # no package is installed
    with pytest.raises(LeadHubError, match=r'pip install "lead-hub\[lora\]"'):
        settings_of("lora", **NOTHING)
    assert settings_of("probe", **NOTHING).mode == "probe"


@pytest.mark.parametrize(
    ("budget", "seconds"), [(None, None), (90, 90.0), ("90", 90.0), ("90s", 90.0), ("30m", 1800.0), (" 1.5 H ", 5400.0)]
)
def test_budgets_in_seconds_or_words(budget: float | str | None, seconds: float | None) -> None:
    assert parse_budget(budget) == seconds


@pytest.mark.parametrize("budget", [0, -1, "0m", "soon", "30 days", "", float("nan"), float("inf"), True])
def test_budgets_that_are_none(budget: float | int | str) -> None:
    with pytest.raises(LeadHubError, match="budget must be a number of seconds above 0"):
        parse_budget(budget)


class Clock:
    """Time that passes when it is told to."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_training_begins_only_if_one_of_mean_length_would_end_in_time() -> None:
    clock = Clock()
    budget = Budget(100.0, clock=clock)
    assert budget.allows_another()
    for clock.now_s, duration_s, allowed in [(20, 20.0, True), (60, 40.0, True), (80, 30.0, False)]:
        budget.took(duration_s)  # means 20, 30, 30 of 80, 40, 20 seconds left
        assert budget.allows_another() is allowed


def test_the_first_training_begins_however_small_the_budget() -> None:
    clock = Clock()
    budget = Budget(1.0, clock=clock)
    clock.now_s = 5.0
    assert budget.allows_another()
    assert budget.share(2) is not None
    assert budget.share(2) > 0  # type: ignore[operator]


def test_what_is_left_is_shared_equally() -> None:
    clock = Clock()
    budget = Budget(100.0, clock=clock)
    clock.now_s = 40.0
    assert budget.share(3) == 20.0
    assert Budget(None).share(3) is None

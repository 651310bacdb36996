"""The calibration again, with outcomes from elsewhere: what they teach, and what a bad source cannot do."""

from dataclasses import replace

import numpy as np
import pytest

from lead_hub.confidence import THIS_MACHINE, Calibration, Outcome, refit, shipped_calibration
from lead_hub.confidence.accuracies import expit, logit, predicted_accuracy
from lead_hub.confidence.expected_line import line_inputs
from lead_hub.confidence.known_outcomes import shipped_outcomes

SHIPPED = shipped_calibration()


def expected(calibration: Calibration, left_out: float, *, n_classes: int = 10) -> float:
    found = predicted_accuracy(np.array([left_out]), np.zeros(1), calibration, n_images=10**6, n_classes=n_classes)
    return float(found.accuracy[0])


def mean_logit(calibration: Calibration) -> float:
    """What is expected of all that the package ships, in the mean."""
    shipped = shipped_outcomes(SHIPPED.fitted_on.targets)
    inputs = line_inputs(shipped)
    return float((inputs @ [calibration.intercept, calibration.slope, calibration.classes_slope]).mean())


def told(source: str, *, off: float, n_datasets: int = 4, n: int = 5, noise: float = 0.1) -> list[Outcome]:
    """Outcomes so many logits above what the package expects."""
    generator = np.random.default_rng(0)
    outcomes = []
    for dataset in range(n_datasets):
        for number in range(n):
            left_out = float(generator.uniform(0.3, 0.9))
            logits = logit(np.array([expected(SHIPPED, left_out)])) + off + generator.normal(scale=noise)
            accuracy = float(expit(logits)[0])
            outcomes.append(Outcome(source, f"{source} {dataset}", str(number), 10**6, 10, left_out, accuracy, 10**6))
    return outcomes


def test_nothing_added_is_the_package_s_own() -> None:
    assert refit(SHIPPED, []).calibration == SHIPPED


def test_what_is_seen_moves_what_is_expected_and_is_said() -> None:
    found = refit(SHIPPED, [*told(THIS_MACHINE, off=0.5), *told("org/cards", off=0.5)])
    assert [(one.name, one.n_outcomes, one.n_datasets, one.is_used) for one in found.sources] == [
        (THIS_MACHINE, 20, 4, True),
        ("org/cards", 20, 4, True),
    ]
    # 8 of 20 datasets say 0.5 logits more, the other 12 none: about 0.2 more
    before, after = (logit(np.array([expected(one, 0.6)]))[0] for one in (SHIPPED, found.calibration))
    assert 0.1 < after - before < 0.4
    assert "and on 40 outcomes on 8 further datasets from 1 repositories of score cards" in found.calibration.in_words()
    assert "org/cards" not in found.calibration.in_words()  # nobody's name gets onto other people's boards
    assert found.calibration.confirmed is None
    assert found.calibration.spread == SHIPPED.spread


@pytest.mark.slow
@pytest.mark.parametrize("off", [-4.0, 3.0])
def test_a_source_that_contradicts_all_others_is_set_aside_and_named(off: float) -> None:
    found = refit(SHIPPED, [*told("evil/cards", off=off, n_datasets=50), *told("org/cards", off=0.1)])
    evil, good = found.sources
    assert not evil.is_used
    assert "set aside" in evil.in_words()
    assert good.is_used
    assert found.calibration == refit(SHIPPED, told("org/cards", off=0.1)).calibration
    kept = refit(SHIPPED, told("evil/cards", off=off, n_datasets=50), keep_all=True)
    assert kept.sources[0].is_used


@pytest.mark.slow
def test_a_source_just_within_what_is_believed_moves_it_no_more_than_the_package_weighs() -> None:
    """However many datasets it claims: half of the way at the most."""
    off = 0.8 * SHIPPED.error_quantile * SHIPPED.error_sd
    found = refit(SHIPPED, told("sly/cards", off=off, n_datasets=200, n=2))
    assert found.sources[0].is_used
    before, after = (mean_logit(one) for one in (SHIPPED, found.calibration))
    assert 0 < after - before < 0.55 * off


def test_what_this_machine_saw_is_always_used() -> None:
    assert refit(SHIPPED, told(THIS_MACHINE, off=-4.0)).sources[0].is_used


def test_a_calibration_of_another_score_is_no_part_of_it() -> None:
    other = replace(SHIPPED, method="other")
    assert refit(other, told("org/cards", off=0.2)).calibration.method == "other"

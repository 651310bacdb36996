"""Rank agreement against cases worked by hand."""

import math
from collections.abc import Callable, Sequence

import pytest

from lead_hub.errors import ScoreError
from lead_hub.rank_agreement import hit_at, kendall_tau, regret_at, spearman, weighted_kendall_tau

Correlation = Callable[[Sequence[float], Sequence[float]], float]
CORRELATIONS = [weighted_kendall_tau, kendall_tau, spearman]


@pytest.mark.parametrize("correlation", CORRELATIONS)
def test_the_same_order_is_one_and_the_reverse_minus_one(correlation: Correlation) -> None:
    assert correlation([3.0, 2.0, 1.0], [90.0, 80.0, 70.0]) == pytest.approx(1.0)
    assert correlation([1.0, 2.0, 3.0], [90.0, 80.0, 70.0]) == pytest.approx(-1.0)
    assert correlation([1.0, 2.0], [70.0, 90.0]) == pytest.approx(1.0)


def test_an_exchange_at_the_top_costs_more_than_one_at_the_bottom() -> None:
    # Three elements at ranks 0, 1, 2 weigh 1/1 + 1/2, 1/1 + 1/3 and 1/2 + 1/3 in pairs. Exchanging the last two:
    # ranking by either list gives the same weights, so tau = (3/2 + 4/3 - 5/6) / (3/2 + 4/3 + 5/6).
    bottom = weighted_kendall_tau([3.0, 1.0, 2.0], [90.0, 80.0, 70.0])
    assert bottom == pytest.approx((3 / 2 + 4 / 3 - 5 / 6) / (3 / 2 + 4 / 3 + 5 / 6))
    top = weighted_kendall_tau([2.0, 3.0, 1.0], [90.0, 80.0, 70.0])
    assert top == pytest.approx((-3 / 2 + 4 / 3 + 5 / 6) / (3 / 2 + 4 / 3 + 5 / 6))


def test_kendall_counts_pairs_wherever_they_stand() -> None:
    # Of the 3 pairs one is exchanged, at the bottom or at the top.
    assert kendall_tau([3.0, 1.0, 2.0], [90.0, 80.0, 70.0]) == pytest.approx((2 - 1) / 3)
    assert kendall_tau([2.0, 3.0, 1.0], [90.0, 80.0, 70.0]) == pytest.approx((2 - 1) / 3)


def test_kendall_with_a_tie_is_tau_b() -> None:
    # Scores tie the last two: 2 pairs agree, none disagrees; 2 of 3 pairs differ in score and 3 of 3 in accuracy.
    assert kendall_tau([3.0, 1.0, 1.0], [90.0, 80.0, 70.0]) == pytest.approx(2 / math.sqrt(2 * 3))


def test_spearman_is_one_minus_the_squared_rank_differences() -> None:
    # rho = 1 - 6 sum d^2 / (n (n^2 - 1)) without ties; ranks by score 1 2 3 4, by accuracy 2 1 3 4.
    accuracies = [80.0, 90.0, 70.0, 60.0]
    assert spearman([4.0, 3.0, 2.0, 1.0], accuracies) == pytest.approx(1 - 6 * (1 + 1) / (4 * 15))


def test_spearman_shares_ranks_among_ties() -> None:
    # Ranks by score 1, 2.5, 2.5 and by accuracy 1, 2, 3: deviations from the mean 2 are -1 1/2 1/2 and -1 0 1.
    assert spearman([3.0, 1.0, 1.0], [90.0, 80.0, 70.0]) == pytest.approx((1 + 1 / 2) / math.sqrt(3 / 2 * 2))


def test_regret_is_what_the_top_k_leave_on_the_table() -> None:
    scores, accuracies = [0.9, 0.5, 0.7], [80.0, 95.0, 88.0]
    assert regret_at(1, scores, accuracies) == pytest.approx(95.0 - 80.0)
    assert regret_at(2, scores, accuracies) == pytest.approx(95.0 - 88.0)
    assert regret_at(3, scores, accuracies) == 0.0


def test_a_tie_at_the_top_is_no_luck() -> None:
    assert regret_at(1, [0.9, 0.9], [70.0, 90.0]) == pytest.approx(20.0)
    assert regret_at(1, [0.9, 0.9], [90.0, 70.0]) == pytest.approx(20.0)


def test_a_hit_is_the_best_among_the_top_k() -> None:
    scores, accuracies = [0.9, 0.5, 0.7], [80.0, 95.0, 88.0]
    assert [hit_at(k, scores, accuracies) for k in (1, 2, 3)] == [False, False, True]
    assert hit_at(1, [0.9, 0.5, 0.7], [95.0, 80.0, 88.0])


def test_a_hit_by_tie_is_no_luck_but_any_of_the_equally_best_will_do() -> None:
    assert not hit_at(1, [0.9, 0.9], [70.0, 90.0])
    assert not hit_at(1, [0.9, 0.9], [90.0, 70.0])
    assert hit_at(2, [0.9, 0.9, 0.1], [90.0, 70.0, 80.0])
    assert hit_at(1, [0.9, 0.5, 0.1], [90.0, 90.0, 80.0])
    assert hit_at(1, [0.5, 0.9, 0.1], [90.0, 90.0, 80.0])


@pytest.mark.parametrize(
    ("scores", "accuracies"),
    [
        *([[], []], [[1.0], [90.0]], [[1.0, 1.0], [90.0, 80.0]], [[1.0, 2.0], [90.0, 90.0]]),
        *([[1.0, math.nan], [90.0, 80.0]], [[1.0, 2.0], [90.0, math.inf]], [[1.0, 2.0, 3.0], [90.0, 80.0]]),
    ],
)
@pytest.mark.parametrize("correlation", CORRELATIONS)
def test_undefined_agreement_is_an_error(
    correlation: Correlation, scores: list[float], accuracies: list[float]
) -> None:
    with pytest.raises(ScoreError):
        correlation(scores, accuracies)


@pytest.mark.parametrize("at_k", [regret_at, hit_at])
def test_k_must_fit(at_k: Callable[[int, Sequence[float], Sequence[float]], float]) -> None:
    for k in (0, 3):
        with pytest.raises(ScoreError, match=f"between 1 and the number of checkpoints, 2, found {k}"):
            at_k(k, [1.0, 2.0], [90.0, 80.0])
    with pytest.raises(ScoreError, match="one accuracy a score"):
        at_k(1, [1.0, 2.0], [90.0])

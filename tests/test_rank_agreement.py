"""Rank agreement against cases worked by hand."""

import pytest

from lead_hub.errors import ScoreError
from lead_hub.rank_agreement import regret_at, weighted_kendall_tau


def test_the_same_order_is_one_and_the_reverse_minus_one() -> None:
    assert weighted_kendall_tau([3.0, 2.0, 1.0], [90.0, 80.0, 70.0]) == pytest.approx(1.0)
    assert weighted_kendall_tau([1.0, 2.0, 3.0], [90.0, 80.0, 70.0]) == pytest.approx(-1.0)


def test_an_exchange_at_the_top_costs_more_than_one_at_the_bottom() -> None:
    # Three elements at ranks 0, 1, 2 weigh 1/1 + 1/2, 1/1 + 1/3 and 1/2 + 1/3 in pairs. Exchanging the last two:
    # ranking by either list gives the same weights, so tau = (3/2 + 4/3 - 5/6) / (3/2 + 4/3 + 5/6).
    bottom = weighted_kendall_tau([3.0, 1.0, 2.0], [90.0, 80.0, 70.0])
    assert bottom == pytest.approx((3 / 2 + 4 / 3 - 5 / 6) / (3 / 2 + 4 / 3 + 5 / 6))
    top = weighted_kendall_tau([2.0, 3.0, 1.0], [90.0, 80.0, 70.0])
    assert top == pytest.approx((-3 / 2 + 4 / 3 + 5 / 6) / (3 / 2 + 4 / 3 + 5 / 6))


def test_regret_is_what_the_top_k_leave_on_the_table() -> None:
    scores, accuracies = [0.9, 0.5, 0.7], [80.0, 95.0, 88.0]
    assert regret_at(1, scores, accuracies) == pytest.approx(95.0 - 80.0)
    assert regret_at(2, scores, accuracies) == pytest.approx(95.0 - 88.0)
    assert regret_at(3, scores, accuracies) == 0.0


def test_a_tie_at_the_top_is_no_luck() -> None:
    assert regret_at(1, [0.9, 0.9], [70.0, 90.0]) == pytest.approx(20.0)
    assert regret_at(1, [0.9, 0.9], [90.0, 70.0]) == pytest.approx(20.0)


@pytest.mark.parametrize(
    ("scores", "accuracies"),
    [([1.0], [90.0]), ([1.0, 1.0], [90.0, 80.0]), ([1.0, 2.0], [90.0, 90.0]), ([1.0, float("nan")], [90.0, 80.0])],
)
def test_undefined_agreement_is_an_error(scores: list[float], accuracies: list[float]) -> None:
    with pytest.raises(ScoreError):
        weighted_kendall_tau(scores, accuracies)


def test_k_must_fit() -> None:
    with pytest.raises(ScoreError, match="between 1 and the number of checkpoints, 2"):
        regret_at(3, [1.0, 2.0], [90.0, 80.0])

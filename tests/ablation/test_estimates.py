"""Intervals by hand, against the same by slow means, and by how often they cover the truth."""

import math

import numpy as np
import pytest

from minireason.ablation.estimates import (
    Estimate,
    accuracy,
    difference,
    factor_of,
    mean_of,
    ratio_of,
    two_way_variance,
)
from minireason.evaluate.intervals import clustered_interval, paired_interval

T2 = 4.302653  # the 97.5 % quantile of Student's t with 2 degrees of freedom


def test_a_mean_over_runs_by_hand():
    found = mean_of([1.0, 2.0, 3.0])
    assert found.value == 2.0
    assert (found.low, found.high) == pytest.approx((2 - T2 / 3**0.5, 2 + T2 / 3**0.5), rel=1e-5)


def test_an_interval_of_shares_ends_where_shares_do():
    found = mean_of([0.1, 0.9, 0.5], (0.0, 1.0))
    assert (found.low, found.high) == (0.0, 1.0)


def test_one_run_has_no_interval_and_is_beyond_nothing():
    assert mean_of([0.4]) == Estimate(0.4)
    assert not mean_of([0.4]).is_beyond()
    assert Estimate(0.4, 0.1, 0.7).is_beyond() and not Estimate(0.4, -0.1, 0.7).is_beyond()
    assert Estimate(0.4, 0.1, 0.7).is_beyond(null=1.0)


def test_a_ratio_of_means_by_hand():
    # 6 / 3 = 2; what is off the ratio: (3 - 2 * 2, 9 - 2 * 4) / 3 = -1/3, 1/3
    found = ratio_of([3.0, 9.0], [2.0, 4.0])
    half = math.tan(math.pi * 0.475) * np.std([-1 / 3, 1 / 3], ddof=1) / 2**0.5
    assert found is not None and found.value == pytest.approx(2.0)
    assert (found.low, found.high) == pytest.approx((max(0.0, 2 - half), 2 + half))
    assert ratio_of([3.0], [2.0]) == Estimate(1.5)
    assert ratio_of([3.0, 9.0], [2.0, -3.0]) is None


def test_factors_are_averaged_by_their_logarithms():
    found = factor_of([0.5, 2.0])
    assert found.value == pytest.approx(1.0)
    assert found.low is not None and found.high is not None
    assert found.low * found.high == pytest.approx(1.0)
    assert factor_of([3.0]) == Estimate(pytest.approx(3.0))


def test_the_two_way_variance_against_sums_of_squares_in_plain_loops():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(3, 5)) + rng.normal(size=(3, 1)) + rng.normal(size=(1, 5))
    mean = sum(table[u][q] for u in range(3) for q in range(5)) / 15
    rows = [sum(table[u]) / 5 for u in range(3)]
    columns = [sum(table[u][q] for u in range(3)) / 3 for q in range(5)]
    over_rows = sum((r - mean) ** 2 for r in rows) / 2 / 3
    over_columns = sum((c - mean) ** 2 for c in columns) / 4 / 5
    rest = sum((table[u][q] - rows[u] - columns[q] + mean) ** 2 for u in range(3) for q in range(5))
    of_both = rest / 8 / 15
    variance = over_rows + over_columns - of_both
    degrees = variance**2 / (over_rows**2 / 2 + over_columns**2 / 4 + of_both**2 / 8)
    assert variance > max(over_rows, over_columns)
    assert two_way_variance(table) == pytest.approx((variance, degrees))


def test_one_seed_has_the_interval_over_questions():
    rates = np.array([[0.0, 0.5, 1.0, 0.5]])
    found = accuracy(rates, num_samples=2)
    assert (found.low, found.high) == clustered_interval(rates[0], 2)
    changes = np.array([[0.0, 0.5, 0.0, -0.5]])
    found = difference(changes, num_samples=2)
    assert (found.low, found.high) == paired_interval(changes[0], 2)


def test_seeds_that_agree_add_nothing_and_seeds_that_do_not_add_much():
    rates = np.array([0.0, 0.5, 1.0, 0.5, 1.0, 0.0, 0.0, 0.5])
    alike = accuracy(np.stack([rates] * 3), num_samples=2)
    assert (alike.low, alike.high) == pytest.approx(clustered_interval(rates, 6))
    apart = accuracy(np.stack([rates * 0.2, rates * 0.6, rates]), num_samples=2)
    # The seeds' means are 0.0875 apart, so three of them alone give 2 * 4.3 * 0.101 of width.
    assert apart.high - apart.low > 0.6


def test_nothing_right_is_no_certainty():
    found = accuracy(np.zeros((3, 20)), num_samples=2)
    assert found.value == 0.0 and found.low == 0.0
    assert found.high is not None and 0.01 < found.high < 0.2


@pytest.mark.parametrize("seed_spread", [0.0, 0.03])
def test_the_interval_covers_the_truth_about_as_often_as_it_says(seed_spread):
    rng = np.random.default_rng(1)
    num_covered, num_tables = 0, 400
    for _ in range(num_tables):
        right_Q = np.clip(rng.normal(0.5, 0.25, size=60), 0.05, 0.95)
        seeds_S = rng.normal(0, seed_spread, size=3)
        rates_SQ = rng.binomial(2, np.clip(right_Q + seeds_S[:, None], 0, 1)) / 2
        found = accuracy(rates_SQ, num_samples=2)
        num_covered += found.low <= 0.5 <= found.high
    assert num_covered / num_tables >= 0.94

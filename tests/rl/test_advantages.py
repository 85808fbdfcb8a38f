"""Centring and scaling by hand."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.rl.advantages import centred, over_std

REWARDS = st.lists(st.sampled_from([-1.0, 0.0, 0.1, 1.0]), min_size=2, max_size=12)


def test_a_group_by_hand() -> None:
    # mean -0.5; squares 2.25 + 3 * 0.25 = 3 over 3: deviation 1
    assert centred([1, -1, -1, -1]) == [1.5, -0.5, -0.5, -0.5]
    assert over_std([1.5, -0.5, -0.5, -0.5]) == pytest.approx([1.5, -0.5, -0.5, -0.5], rel=2e-6)


@pytest.mark.parametrize("rewards", [[], [1.0], [-1.0] * 4, [0.1] * 3])
def test_equal_rewards_give_exact_zeros(rewards: list[float]) -> None:
    assert centred(rewards) == over_std(centred(rewards)) == [0.0] * len(rewards)


@given(REWARDS)
def test_the_order_stays_and_the_deviation_becomes_1(rewards: list[float]) -> None:
    found = over_std(centred(rewards))
    assert sum(found) == pytest.approx(0, abs=1e-9)
    assert statistics.stdev(found) == pytest.approx(float(len(set(rewards)) > 1), rel=1e-4)
    for one, a in zip(rewards, found, strict=True):
        assert all((a > b) == (one > other) for other, b in zip(rewards, found, strict=True))

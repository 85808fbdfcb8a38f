"""REINFORCE++'s advantages by hand, by a plain loop and by TRL's batch normalisation."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.rl.algorithms.reinforce_pp import REINFORCE_PP

REWARDS = st.lists(st.sampled_from([-1.0, 0.0, 0.1, 1.0]), min_size=1, max_size=6)


def test_two_groups_by_hand() -> None:
    # centred: 1, -1 and 0, 0; squares 2 over 3
    unit = (2 / 3) ** 0.5
    found = REINFORCE_PP.advantages([[1, -1], [1, 1]])
    assert found == [pytest.approx([1 / unit, -1 / unit], rel=1e-5), [0, 0]]


def test_where_no_group_has_a_signal_there_is_none() -> None:
    assert REINFORCE_PP.advantages([[1, 1], [0.1] * 3, []]) == [[0, 0], [0, 0, 0], []]


@given(st.lists(REWARDS, min_size=2, max_size=4))
def test_they_are_standardised_over_all_responses(groups: list[list[float]]) -> None:
    centred = [[reward - statistics.fmean(group) for reward in group] for group in groups]
    flat = [reward for group in centred for reward in group]
    mean, std = statistics.fmean(flat), statistics.stdev(flat)
    for found, group in zip(REINFORCE_PP.advantages(groups), centred, strict=True):
        expected = [(reward - mean) / (std + 1e-6) for reward in group]
        assert found == pytest.approx(expected, abs=1e-9)


def test_they_equal_trl_s_scaled_by_the_batch_where_groups_have_one_mean(
    trl_advantages: Callable[..., list],
) -> None:
    # TRL divides by the deviation of the rewards themselves: the same where the means are
    groups = [[1, 1, -1, -1], [0.5, -0.5, 0.25, -0.25]]
    theirs = trl_advantages("GRPO", groups, scale_rewards="batch")
    for one, other in zip(REINFORCE_PP.advantages(groups), theirs, strict=True):
        assert one == pytest.approx(other, rel=2e-4)

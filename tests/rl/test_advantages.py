"""Advantages by hand and by TRL's formula."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minireason.rl.advantages import group_advantages

REWARDS = st.lists(st.sampled_from([-1.0, 0.0, 0.1, 1.0]), max_size=12)


def test_a_group_by_hand() -> None:
    # mean -0.5; squares 2.25 + 3 * 0.25 = 3 over 3: deviation 1
    assert group_advantages([1, -1, -1, -1]) == pytest.approx([1.5, -0.5, -0.5, -0.5], rel=1e-5)


def test_without_scaling_it_is_the_distance_from_the_mean() -> None:
    assert group_advantages([1, -1, -1, -1], scale_by_std=False) == [1.5, -0.5, -0.5, -0.5]


def test_one_positive_and_one_negative() -> None:
    assert group_advantages([1, -1]) == pytest.approx([math.sqrt(0.5), -math.sqrt(0.5)], rel=1e-5)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("rewards", [[], [1.0], [-1.0] * 4, [0.1] * 3])
@pytest.mark.parametrize("scale_by_std", [True, False])
def test_a_group_of_equal_rewards_gets_zeros(rewards: list[float], scale_by_std: bool) -> None:
    assert group_advantages(rewards, scale_by_std=scale_by_std) == [0.0] * len(rewards)


@given(REWARDS, st.booleans())
def test_advantages_add_up_to_zero_and_keep_the_order(rewards: list[float], scale: bool) -> None:
    advantages = group_advantages(rewards, scale_by_std=scale)
    assert sum(advantages) == pytest.approx(0, abs=1e-9)
    for one, a in zip(rewards, advantages, strict=True):
        assert all((a > b) == (one > other) for other, b in zip(rewards, advantages, strict=True))


@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=2, max_size=12))
def test_they_equal_trl_s_but_for_its_larger_epsilon(rewards: list[float]) -> None:
    group = torch.tensor(rewards, dtype=torch.float64)
    theirs = (group - group.mean()) / (group.std() + 1e-4)
    # the least deviation, of one reward in twelve, is 0.29
    assert group_advantages(rewards) == pytest.approx(theirs.tolist(), rel=1e-4 / 0.28, abs=1e-9)

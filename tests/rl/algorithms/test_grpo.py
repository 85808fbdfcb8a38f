"""GRPO's advantages by hand and by TRL."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from minireason.rl.algorithms.grpo import GRPO

GROUPS = [[1, -1, -1, -1], [1, 1, -1, -1], [1, 1, 1, 1], [0.2, 0.3, 1, 0]]


def test_one_positive_and_one_negative_by_hand() -> None:
    # mean 0, sample deviation sqrt(2)
    half = math.sqrt(0.5)
    assert GRPO.advantages([[1, -1], []]) == [pytest.approx([half, -half], rel=2e-6), []]


def test_groups_know_nothing_of_each_other() -> None:
    assert GRPO.advantages(GROUPS) == [GRPO.advantages([group])[0] for group in GROUPS]


def test_the_size_of_the_rewards_does_not_matter() -> None:
    tenfold = GRPO.advantages([[10 * reward for reward in group] for group in GROUPS])
    for one, other in zip(GRPO.advantages(GROUPS), tenfold, strict=True):
        assert one == pytest.approx(other, rel=1e-5)


def test_they_equal_trl_s_but_for_its_larger_epsilon(trl_advantages: Callable[..., list]) -> None:
    theirs = trl_advantages("GRPO", GROUPS, scale_rewards="group")
    for one, other in zip(GRPO.advantages(GROUPS), theirs, strict=True):
        # the least deviation is 0.43
        assert one == pytest.approx(other, rel=1e-4 / 0.43, abs=1e-6)

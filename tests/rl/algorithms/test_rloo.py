"""RLOO's advantages by hand, by its definition and by TRL."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.rl.algorithms.rloo import RLOO


def test_a_group_by_hand() -> None:
    # the others of the first are three of -1; of the rest, 1, -1 and -1
    found = RLOO.advantages([[1, -1, -1, -1], [1, -1], [1]])
    assert found == [[2, *[pytest.approx(-2 / 3)] * 3], [2, -2], [0]]


@given(st.lists(st.sampled_from([-1.0, 0.0, 0.1, 1.0]), min_size=2, max_size=9))
def test_the_baseline_is_the_mean_of_the_others(rewards: list[float]) -> None:
    expected = []
    for i, reward in enumerate(rewards):
        others = rewards[:i] + rewards[i + 1 :]
        expected.append(reward - sum(others) / len(others))
    assert RLOO.advantages([rewards]) == [pytest.approx(expected, abs=1e-12)]


def test_they_equal_trl_s(trl_advantages: Callable[..., list]) -> None:
    groups = [[1, -1, -1, -1], [1, 1, 1, 1], [0.2, 0.3, 1, 0]]
    theirs = trl_advantages("RLOO", groups)
    for one, other in zip(RLOO.advantages(groups), theirs, strict=True):
        assert one == pytest.approx(other, rel=1e-6, abs=1e-7)

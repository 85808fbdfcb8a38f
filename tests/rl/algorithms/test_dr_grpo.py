"""Dr. GRPO's advantages by hand and by TRL."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from minireason.rl.algorithms.dr_grpo import DR_GRPO


def test_they_are_the_distances_from_the_mean() -> None:
    found = DR_GRPO.advantages([[1, -1, -1, -1], [1, 0], [1, 1, 1], []])
    assert found == [[1.5, -0.5, -0.5, -0.5], [0.5, -0.5], [0, 0, 0], []]


def test_they_equal_trl_s_unscaled_ones(trl_advantages: Callable[..., list]) -> None:
    groups = [[1, -1, -1, -1], [1, 1, 1, 1], [0.2, 0.3, 1, 0]]
    theirs = trl_advantages("GRPO", groups, scale_rewards="none")
    for one, other in zip(DR_GRPO.advantages(groups), theirs, strict=True):
        assert one == pytest.approx(other, rel=1e-6, abs=1e-7)

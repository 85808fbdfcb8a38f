"""DAPO is GRPO's advantage with other sampling, clipping and averaging."""

from __future__ import annotations

from minireason.rl.algorithms.dapo import DAPO
from minireason.rl.algorithms.grpo import GRPO


def test_the_advantages_are_grpo_s() -> None:
    groups = [[1, -1, -1, -1], [0.2, 0.3]]
    assert DAPO.advantages(groups) == GRPO.advantages(groups)


def test_the_four_changes() -> None:
    assert (DAPO.clip_low, DAPO.clip_high) == (0.2, 0.28)
    assert DAPO.refills
    assert DAPO.average == "tokens"
    assert DAPO.overlong_weight == 1

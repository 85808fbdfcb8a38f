"""SRPO is GRPO's advantage over questions that are not yet too easy."""

from __future__ import annotations

from minireason.rl.algorithms.grpo import GRPO
from minireason.rl.algorithms.srpo import SRPO


def test_the_advantages_are_grpo_s() -> None:
    groups = [[1, -1, -1, -1], [0.2, 0.3]]
    assert SRPO.advantages(groups) == GRPO.advantages(groups)


def test_it_keeps_a_history_and_counts_every_token_the_same() -> None:
    assert SRPO.keeps_history and SRPO.average == "tokens"

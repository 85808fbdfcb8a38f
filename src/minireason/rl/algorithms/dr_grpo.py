"""GRPO done right, Dr. GRPO (Liu et al. 2025, arXiv 2503.20783).

Two divisions of GRPO favour long wrong responses and questions of one-sided outcome; without them
the gradient is unbiased (section 3): the advantage is not divided by the group's standard
deviation, nor a response's loss by its own length, but by a constant.

1. The constant is `max_tokens`, as in the authors' code (oat: a masked sum over
   `generate_max_length`); the paper's objective has none, which a learning rate makes up for.
2. The paper has no KL penalty; the recipe may add one.
"""

from __future__ import annotations

from collections.abc import Sequence

from minireason.rl.advantages import centred
from minireason.rl.algorithm import Algorithm


def less_mean(groups: Sequence[Sequence[float]]) -> list[list[float]]:
    """Each reward minus its group's mean."""
    return [centred(rewards) for rewards in groups]


DR_GRPO = Algorithm(less_mean, average="constant")

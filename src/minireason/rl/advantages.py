"""What advantage rules are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence

SMALLEST_STD = 1e-6
"""Added to every standard deviation that divides, in units of the reward."""


def centred(rewards: Sequence[float]) -> list[float]:
    """Each reward of a group minus the group's mean; exact zeros where all are equal."""
    if len(set(rewards)) < 2:
        return [0.0] * len(rewards)
    mean = math.fsum(rewards) / len(rewards)
    return [reward - mean for reward in rewards]


def over_std(centred_rewards: Sequence[float]) -> list[float]:
    """Numbers whose mean is 0, each over their sample standard deviation."""
    squares = math.fsum(reward * reward for reward in centred_rewards)
    std = math.sqrt(squares / max(1, len(centred_rewards) - 1))
    return [reward / (std + SMALLEST_STD) for reward in centred_rewards]

"""Reward rebalancing of stage 4 (paper): hard prompts more often, positives and negatives in even
numbers, prompts solved too often left out.

1. The paper gives no rule for how much more often; here a prompt's weight falls linearly with its
   pass rate, from `oversample` at 0 to 1 at 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minireason.errors import DataError


def draw_prompts(
    pass_rates: Sequence[float], count: int, oversample: float, seed: int
) -> list[int]:
    """Indices of `count` prompts drawn without repeats (with, once all are drawn).

    `oversample` 1 draws uniformly. Raises DataError if there are no prompts.
    """
    if not pass_rates:
        raise DataError("there are no prompts to draw from; loosen what selects them")
    rng = np.random.default_rng(seed)
    rates = np.asarray(pass_rates, dtype=np.float64)
    weights = 1 + (oversample - 1) * (1 - rates)
    drawn: list[int] = []
    while len(drawn) < count:
        size = min(count - len(drawn), len(rates))
        odds = weights / weights.sum()
        drawn += rng.choice(len(rates), size=size, replace=False, p=odds).tolist()
    return drawn


def balance(rewards: Sequence[float], easy_pass_rate: float, seed: int) -> list[int]:
    """Indices of the responses of a group to learn from: all positives, as many random negatives.

    Empty where nothing is positive, where nothing is negative, or where more than
    `easy_pass_rate` of the group is positive. Positive means a reward above 0.
    """
    positive = [i for i, reward in enumerate(rewards) if reward > 0]
    negative = [i for i, reward in enumerate(rewards) if reward <= 0]
    if not positive or not negative or len(positive) > easy_pass_rate * len(rewards):
        return []
    rng = np.random.default_rng(seed)
    count = min(len(positive), len(negative))
    return sorted(positive + rng.choice(negative, size=count, replace=False).tolist())


def informative(rewards: Sequence[float]) -> list[int]:
    """All indices where the rewards differ, none where they do not: what balance is without it."""
    return list(range(len(rewards))) if len(set(rewards)) > 1 else []

"""Reward rebalancing of stage 4 (paper): positives and negatives in even numbers, and prompts
solved too often left out. Hard prompts are oversampled where groups are sampled (`groups.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def balance(is_positive: Sequence[bool], easy_pass_rate: float, seed: int) -> list[int]:
    """Indices of the responses of a group to learn from: all positives, as many random negatives.

    Empty where nothing is positive, where nothing is negative, or where more than
    `easy_pass_rate` of the group is positive.
    """
    positive = [i for i, is_so in enumerate(is_positive) if is_so]
    negative = [i for i, is_so in enumerate(is_positive) if not is_so]
    if not positive or not negative or len(positive) > easy_pass_rate * len(is_positive):
        return []
    rng = np.random.default_rng(seed)
    count = min(len(positive), len(negative))
    return sorted(positive + rng.choice(negative, size=count, replace=False).tolist())

"""From a group's rewards to the advantage of each response."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def group_advantages(rewards: Sequence[float], *, scale_by_std: bool = True) -> list[float]:
    """Reward minus the group's mean, over its sample standard deviation (GRPO, section 4.1.2).

    Without the division it is Dr. GRPO's advantage (Liu et al. 2025, arXiv 2503.20783). A group
    whose rewards are all equal gets zeros.
    """
    if len(set(rewards)) < 2:
        return [0.0] * len(rewards)
    rewards_G = np.asarray(rewards, dtype=np.float64)
    centred_G = rewards_G - rewards_G.mean()
    if scale_by_std:
        centred_G = centred_G / (rewards_G.std(ddof=1) + 1e-6)
    return [float(a) for a in centred_G]

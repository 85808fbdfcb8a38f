"""Generalised advantage estimation (Schulman et al. 2015, arXiv 1506.02438, equation 16).

1. The reward comes with the last token, after which nothing is expected: also of a response that
   was cut off.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np


def generalized_advantages(
    reward: float, values_T: np.ndarray, lam: float, gamma: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Advantages and returns (advantage plus value) of a response's T tokens, in float64.

    `values_T` are what is expected before each token. `lam` 1 weighs every later surprise alike, 0
    looks one token ahead.
    """
    values_T = np.asarray(values_T, dtype=np.float64)
    rewards_T = np.zeros_like(values_T)
    rewards_T[-1] = reward
    surprises_T = rewards_T + gamma * np.append(values_T[1:], 0.0) - values_T
    backwards = accumulate(
        surprises_T[::-1].tolist(), lambda later, surprise: surprise + gamma * lam * later
    )
    advantages_T = np.array([*backwards])[::-1]
    return advantages_T, advantages_T + values_T


def whiten(advantages: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Advantages of a step's responses with mean 0 and variance 1 over all their tokens.

    Where all are equal they become zeros.
    """
    every = np.concatenate([np.empty(0), *advantages])
    if not len(every):
        return []
    return [(each - every.mean()) / np.sqrt(every.var() + 1e-8) for each in advantages]

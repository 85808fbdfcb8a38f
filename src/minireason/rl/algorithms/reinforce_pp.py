"""REINFORCE++ with baseline (Hu et al. 2025, arXiv 2501.03262v9, section 3.2).

A group's standard deviation is a poor estimate that explodes where rewards hardly differ. So each
reward is less its group's mean (equation 6) and then standardised over all responses of the step
(equation 7). The rest is PPO's clipped loss (equation 1) and the k2 estimate of the KL to the
reference as a separate part of it (equation 8).

1. Of the paper's two variants this is the one for reasoning with several responses a prompt. The
   other standardises the rewards over the batch alone and has the KL in the reward (equations 4,
   5).
2. The step's responses are the batch: those that are learnt from, over all updates of the step.
3. The KL's weight is the recipe's, 0 unless it says otherwise (the paper gives none), and the clip
   is PPO's 0.2 (the paper's first version, table 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from minireason.rl.advantages import centred, over_std
from minireason.rl.algorithm import Algorithm


def standardised_over_batch(groups: Sequence[Sequence[float]]) -> list[list[float]]:
    """Each reward minus its group's mean, over the standard deviation of these in all groups."""
    less_mean = [centred(rewards) for rewards in groups]
    scaled = iter(over_std(list(chain.from_iterable(less_mean))))
    return [[next(scaled) for _ in rewards] for rewards in groups]


REINFORCE_PP = Algorithm(standardised_over_batch, average="responses", kl_estimator="k2")

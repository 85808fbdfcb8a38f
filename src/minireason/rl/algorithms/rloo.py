"""REINFORCE leave-one-out, RLOO (Ahmadian et al. 2024, Back to basics, arXiv 2402.14740).

The baseline of a response is the mean reward of the other responses to its prompt (after Kool
et al. 2019), and the whole response is one action: its probability is the product of its tokens'
and the loss a mean over responses.

1. The paper takes one update on every sample, from which REINFORCE follows. Here, as in TRL, the
   ratio of probabilities stands in for the log-probability, with the same gradient on the policy
   that sampled, and is clipped as in PPO where a step has several updates.
2. The paper subtracts the KL to the reference from the reward; here it is a part of the loss, the
   k3 estimate averaged over each response's tokens, and 0 unless the recipe gives it a weight.
"""

from __future__ import annotations

from collections.abc import Sequence

from minireason.rl.advantages import centred
from minireason.rl.algorithm import Algorithm


def leave_one_out(groups: Sequence[Sequence[float]]) -> list[list[float]]:
    """Each reward minus the mean of the others of its group; 0 where there is no other."""
    return [_less_others(rewards) for rewards in groups]


def _less_others(rewards: Sequence[float]) -> list[float]:
    # r - (n m - r) / (n - 1) = (r - m) n / (n - 1)
    count = len(rewards)
    return [reward * count / max(1, count - 1) for reward in centred(rewards)]


RLOO = Algorithm(leave_one_out, average="responses", ratio_of="response")

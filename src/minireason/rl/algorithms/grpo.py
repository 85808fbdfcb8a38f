"""Group relative policy optimisation, GRPO (Shao et al. 2024, DeepSeekMath, arXiv 2402.03300).

A response's advantage is its reward, standardised within its group (section 4.1.2, outcome
supervision); the loss is the mean over responses of the mean over each one's tokens, with PPO's
symmetric clip and the k3 estimate of the KL to a reference as a part of the loss (equations 3, 4).

1. The KL's weight is the recipe's, 0 unless it says otherwise (the paper: 0.04).
2. The paper does not say which standard deviation; as in TRL it is the sample's (over G - 1).
3. The paper gives no clip range; 0.2 is PPO's.
"""

from __future__ import annotations

from collections.abc import Sequence

from minireason.rl.advantages import centred, over_std
from minireason.rl.algorithm import Algorithm


def standardised(groups: Sequence[Sequence[float]]) -> list[list[float]]:
    """Each reward minus its group's mean, over its group's standard deviation."""
    return [over_std(centred(rewards)) for rewards in groups]


GRPO = Algorithm(standardised, average="responses")

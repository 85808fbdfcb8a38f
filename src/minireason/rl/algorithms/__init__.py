"""Policy-gradient algorithms: one small file each, that reads beside its paper.

To add one: write `NAME.py` with an advantage rule and an `Algorithm`, and add it to `ALGORITHMS`
and to `rlvr.algorithm` of the recipe.
"""

from __future__ import annotations

from minireason.rl.algorithm import Algorithm
from minireason.rl.algorithms.dapo import DAPO
from minireason.rl.algorithms.dr_grpo import DR_GRPO
from minireason.rl.algorithms.grpo import GRPO
from minireason.rl.algorithms.ppo import PPO
from minireason.rl.algorithms.reinforce_pp import REINFORCE_PP
from minireason.rl.algorithms.rloo import RLOO
from minireason.rl.algorithms.srpo import SRPO

ALGORITHMS: dict[str, Algorithm] = {
    "grpo": GRPO,
    "dr_grpo": DR_GRPO,
    "dapo": DAPO,
    "rloo": RLOO,
    "reinforce_pp": REINFORCE_PP,
    "ppo": PPO,
    "srpo": SRPO,
}

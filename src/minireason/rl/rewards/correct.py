"""Whether the answer is right: the reward of the paper (arXiv 2504.21233, section on RL)."""

from __future__ import annotations

from minireason.rl.rewards.response import JudgedResponse

REWARD_OF = {"correct": 1.0, "incorrect": -1.0, "unknown": None}


def correct(response: JudgedResponse) -> float | None:
    """1 for a correct answer, -1 for a wrong or missing one, None for one that cannot be read."""
    return REWARD_OF[response.decision.verdict]

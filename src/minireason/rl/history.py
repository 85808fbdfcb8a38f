"""What a run has seen of its questions, so that it stops asking those that it always solves.

History resampling of SRPO (Zhang et al. 2025, arXiv 2504.14286): questions whose responses were
all correct are too easy to learn from; mixed ones are informative, and those without a correct
response are kept, since the policy may come to solve them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class History:
    """The share of correct responses in each question's newest group.

    Correct means a reward above 0, as in `rl/rebalance.py`.
    """

    def __init__(self) -> None:
        self.pass_rates: dict[str, float] = {}

    def record(self, question_id: str, rewards: Sequence[float]) -> None:
        """Take note of a group's rewards; a group without any says nothing."""
        if rewards:
            self.pass_rates[question_id] = sum(r > 0 for r in rewards) / len(rewards)

    def is_too_easy(self, question_id: str) -> bool:
        """Whether all responses of the question's newest group were correct."""
        return self.pass_rates.get(question_id) == 1

    def state_dict(self) -> dict[str, Any]:
        """Plain data, in the order of the question ids."""
        return {"pass_rates": dict(sorted(self.pass_rates.items()))}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` gave; an empty one begins anew."""
        self.pass_rates = dict(state.get("pass_rates", {}))

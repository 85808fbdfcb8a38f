"""What makes an algorithm: how rewards become advantages, and how the policy learns from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from minireason.train.objectives.policy_gradient import Average, Estimator, PolicyGradient

AdvantageRule = Callable[[Sequence[Sequence[float]]], list[list[float]]]
"""From the rewards of all groups of a step to the advantage of each response."""


@dataclass(frozen=True, slots=True)
class Algorithm:
    """An algorithm as its paper has it; the recipe may set the clip range and add a KL penalty."""

    advantages: AdvantageRule
    average: Average
    ratio_of: Literal["token", "response"] = "token"
    clip_low: float = 0.2
    clip_high: float = 0.2
    kl_estimator: Estimator = "k3"
    overlong_weight: float = 0.0
    """Weight of the penalty on overlong responses, unless the recipe's rewards name one."""
    refills: bool = False
    """Groups without signal are replaced by newly sampled ones."""
    keeps_history: bool = False
    """Questions that have become too easy are not drawn again (`rl/history.py`)."""
    needs_critic: bool = False
    """A critic's values make the advantages, token by token, in place of `advantages`."""

    def objective(
        self,
        max_tokens: int,
        kl_weight: float = 0.0,
        clip_low: float = 0.0,
        clip_high: float = 0.0,
        dual_clip: float = math.inf,
    ) -> PolicyGradient:
        """The loss for responses of at most `max_tokens`; a clip of 0 is the algorithm's own."""
        return PolicyGradient(
            clip_low=clip_low or self.clip_low,
            clip_high=clip_high or self.clip_high,
            dual_clip=dual_clip,
            average=self.average,
            max_tokens=max_tokens,
            ratio_of=self.ratio_of,
            kl_weight=kl_weight,
            kl_estimator=self.kl_estimator,
        )

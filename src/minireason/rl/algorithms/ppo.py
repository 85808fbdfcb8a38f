"""Proximal policy optimisation, PPO (Schulman et al. 2017, arXiv 1707.06347).

A critic says before every token what reward is to be expected (`rl/critic.py`). From its values
come the advantages, by generalised advantage estimation (equations 11 and 12, `rl/gae.py`), and the
policy learns by the clipped surrogate (equation 7), several updates on the same responses if asked.

1. Policy and critic are two models with an optimizer each, so the losses have no common weights to
   balance (equation 9's c1), and there is no entropy bonus (its c2).
2. Advantages are whitened over the tokens of a step, and the critic's loss is clipped; the paper
   has neither, its authors' code (OpenAI baselines, ppo2) has both.
3. A step samples whole responses, so no value stands in for what comes after the last token; one
   that was cut off ends there.
4. The KL to the reference, 0 unless the recipe gives it a weight, is a part of the loss (k3), as
   in GRPO, and not of the tokens' rewards, as in RLHF.
"""

from __future__ import annotations

from collections.abc import Sequence

from minireason.rl.algorithm import Algorithm


def as_given(groups: Sequence[Sequence[float]]) -> list[list[float]]:
    """The rewards themselves: the critic's values are what they are compared with."""
    return [list(rewards) for rewards in groups]


PPO = Algorithm(as_given, average="tokens", needs_critic=True)

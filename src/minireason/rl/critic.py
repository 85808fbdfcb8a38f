"""PPO's critic: a second model that says before every token what reward is to be expected.

It starts as the policy does, with a head of zeros in place of the language model's, and learns on
the same responses with an optimizer of its own. A step of training is

    units = critic.assess(units, rewards)   # adds advantages, returns and old values
    metrics = critic.learn(units)           # the critic's updates; the policy's come after

The advantages are fixed before either model moves, so which of them learns first changes nothing.
Let the critic be among its source's `companions`: then checkpoints hold it and the loop sets its
learning rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from minireason.rl.gae import generalized_advantages, whiten
from minireason.train.data import Step, deal, make_updates
from minireason.train.forward import apart
from minireason.train.learner import Learner
from minireason.train.loop import run_step
from minireason.train.meter import Meter
from minireason.train.objectives.value import ValueLoss
from minireason.train.packing import Unit, collate, pack, unit_length


@dataclass(frozen=True, slots=True)
class CriticSettings:
    """How values become advantages and how the critic learns.

    `lam` 1 and `gamma` 1 make an advantage the reward minus the value, as Open-Reasoner-Zero has it
    for long responses (Hu et al. 2025, arXiv 2503.24290); below 1 the reward fades with the
    distance to the last token. `value_clip` holds the values of a step near those before it.
    """

    lam: float = 1.0
    gamma: float = 1.0
    value_clip: float = 0.2
    updates_per_step: int = 1
    micro_batch_size: int = 1


class Critic:
    """Values of the tokens of responses, and what it learns from the rewards that came.

    Its learner scores by `ValueScorer`. Units are of one sequence each and the same in all
    processes, as the results are.
    """

    def __init__(self, learner: Learner, settings: CriticSettings) -> None:
        self.learner, self.settings = learner, settings
        self._objective = ValueLoss(settings.value_clip)

    @torch.no_grad()
    def values(self, units: Sequence[Unit]) -> list[np.ndarray]:
        """The value [T] before each target token of each unit, as expected reward."""
        if not units:
            return []
        world, lengths = self.learner.world, [unit_length(unit) for unit in units]
        rows = pack(lengths, 2 * max(lengths))
        costs = [sum(lengths[i] for i in row) for row in rows]
        self.learner.model.eval()
        mine: dict[int, np.ndarray] = {}
        for part in deal(costs, world.size, self.settings.micro_batch_size)[world.rank]:
            batch = collate([[units[i] for i in rows[r]] for r in part]).to(self.learner.device)
            values_N = self.learner.score(batch, 1.0, with_entropy=False).values_N
            assert values_N is not None, "the critic's learner has no value head"
            order = [i for r in part for i in rows[r]]
            valued = apart(values_N, [units[i] for i in order])
            mine |= {i: values_T for i, (values_T,) in zip(order, valued, strict=True)}
        found = {i: values_T for each in world.gather(mine) for i, values_T in each.items()}
        return [found[i] for i in range(len(units))]

    def assess(self, units: Sequence[Unit], rewards: Sequence[float]) -> list[Unit]:
        """The units with `advantages`, whitened over all their tokens, `returns` and `old_values`.

        A reward comes at the end of each response.
        """
        values = self.values(units)
        estimated = [
            generalized_advantages(reward, values_T, self.settings.lam, self.settings.gamma)
            for reward, values_T in zip(rewards, values, strict=True)
        ]
        advantages = whiten([advantages_T for advantages_T, _ in estimated])
        return [
            [
                replace(
                    sequence,
                    values={
                        **sequence.values,
                        "advantages": advantages[i],
                        "returns": estimated[i][1],
                        "old_values": values[i],
                    },
                )
            ]
            for i, (sequence,) in enumerate(units)
        ]

    def learn(self, units: Sequence[Unit]) -> dict[str, float]:
        """The step's updates on assessed units; means over the updates as metrics."""
        if not units:
            return {}
        learner, settings = self.learner, self.settings
        learner.model.train()
        meter = Meter(learner.model, learner.device, learner.dtype)
        updates = make_updates(
            units, settings.updates_per_step, settings.micro_batch_size, learner.world
        )
        found = run_step(learner, self._objective, Step(updates), meter)
        del found["num_tokens"]  # the same as the policy's
        found["explained_variance"] = explained_variance(units)
        return {f"critic_{name}": value for name, value in found.items()}


def explained_variance(units: Sequence[Unit]) -> float:
    """Share of the returns' variance over tokens that the old values foretold: 1 is all of it.

    0 where the returns do not differ.
    """
    returns, old_values = (
        np.concatenate([np.asarray(s.values[name]) for unit in units for s in unit])
        for name in ("returns", "old_values")
    )
    variance = returns.var()
    return float(1 - (returns - old_values).var() / variance) if variance > 0 else 0.0

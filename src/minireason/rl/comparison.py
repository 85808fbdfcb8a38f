"""What others than the policy that is updated say of a step's tokens: who sampled, a reference.

Where older weights or another engine sampled, the first update is not on-policy. Then
`old_logprobs` become the policy's own before the first update, so that clipping bounds what the
updates change, and `importance` makes up for who sampled (`importance.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from minireason.model.adapters import base_alone
from minireason.rl.importance import importance_weights, mismatch_metrics
from minireason.rollout.evaluating import evaluating
from minireason.train.data import Update
from minireason.train.forward import score
from minireason.train.learner import Learner
from minireason.train.packing import MicroBatch


@torch.no_grad()
def with_importance(
    updates: Sequence[Update], temperature: float, learner: Learner, cap: float
) -> tuple[list[Update], dict[str, float]]:
    """The updates with the policy's own `old_logprobs` and the `importance` of each token.

    Also how far the sampler's were off, over all processes; each of them must call this.
    """
    apart: list[tuple[np.ndarray, np.ndarray]] = []

    def corrected(batch: MicroBatch) -> MicroBatch:
        on_device = batch.to(learner.device)
        own_N = learner.score(on_device, temperature, with_entropy=False).logprobs_N.cpu()
        own, sampled = own_N.numpy(), batch.values["old_logprobs"].numpy()
        apart.append((own, sampled))
        weights_N = torch.from_numpy(importance_weights(own, sampled, cap)).float()
        values = {**batch.values, "old_logprobs": own_N, "importance": weights_N}
        return replace(batch, values=values)

    found = _each(updates, corrected)
    every = [pair for pairs in learner.world.gather(apart) for pair in pairs]
    own = np.concatenate([np.empty(0), *(ours for ours, _ in every)])
    sampled = np.concatenate([np.empty(0), *(theirs for _, theirs in every)])
    return found, mismatch_metrics(own, sampled, cap)


def with_reference(updates: Sequence[Update], temperature: float, reference: Any) -> list[Update]:
    """The updates with the `reference_logprobs` of each token.

    A reference with adapters is what is below them.
    """

    def scored(batch: MicroBatch) -> MicroBatch:
        logprobs_N = score(reference, batch.to(reference.device), temperature).logprobs_N
        return replace(batch, values={**batch.values, "reference_logprobs": logprobs_N.cpu()})

    with evaluating(reference), base_alone(reference):
        return _each(updates, scored)


def _each(updates: Sequence[Update], change: Any) -> list[Update]:
    return [
        replace(update, micro_batches=[change(batch) for batch in update.micro_batches])
        for update in updates
    ]

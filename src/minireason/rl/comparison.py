"""What others than the policy that is updated say of a step's tokens: its older self, a reference.

Where older weights or another engine sampled, the first update is not on-policy. Then
`old_logprobs` become the policy's own before the first update, so that clipping bounds what the
updates change, and `importance` is how much likelier the policy makes a token than what sampled it
(`importance.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from minireason.model.adapters import base_alone
from minireason.rl.importance import importance_weights
from minireason.train.data import Update
from minireason.train.forward import score
from minireason.train.learner import Learner
from minireason.train.packing import MicroBatch


@torch.no_grad()
def compare(
    updates: Sequence[Update], temperature: float, learner: Learner, cap: float, reference: Any
) -> tuple[list[Update], dict[str, float]]:
    """The updates with these values for each target token, and how far off the sampler was.

    A `cap` of 0 leaves the sampler's log-probabilities as the old ones; without a reference there
    are no `reference_logprobs`. Every process must call it.
    """
    found = []
    for update in updates:
        batches = [
            _compared(batch, temperature, learner, cap, reference)
            for batch in update.micro_batches
        ]
        found.append(replace(update, micro_batches=batches))
    return found, _mismatch(found, cap, learner)

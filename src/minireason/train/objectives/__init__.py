"""What training minimises: one small pure function a file.

An objective takes the log-probabilities of a micro-batch's N target tokens, the micro-batch, the
step's totals over all micro-batches and its own settings; it returns a loss that adds up over
micro-batches to the step's loss, and metrics that add up the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from minireason.train.packing import MicroBatch


@dataclass(frozen=True, slots=True)
class Scores:
    """What the model says of the target tokens, in nats; `entropy_N` carries no gradient."""

    logprobs_N: torch.Tensor
    entropy_N: torch.Tensor


@dataclass(frozen=True, slots=True)
class Totals:
    """Denominators over all micro-batches of a step (and all processes)."""

    num_targets: int
    num_sequences: int


Metrics = dict[str, torch.Tensor]
Objective = Callable[[Scores, "MicroBatch", Totals], tuple[torch.Tensor, Metrics]]

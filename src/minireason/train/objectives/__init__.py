"""What training minimises: one small pure function a file.

An objective takes the log-probabilities of a micro-batch's N target tokens, the micro-batch and
the step's totals over all micro-batches; its settings are its fields. It returns a loss that adds
up over micro-batches to the step's loss, and metrics that add up the same way, but for extremes
(`train/reduction.py`): masks and denominators come from outside, so that accumulation cannot change
them.

To add an objective: write `NAME.py` with a frozen dataclass that is an `Objective`, and call it in
its stage. To add a preference loss: write `NAME.py` with one function that is a
`preference.PreferenceLoss`, and add it to `preference.LOSSES` and to `dpo.loss` of the recipe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch

if TYPE_CHECKING:
    from minireason.train.packing import MicroBatch


@dataclass(frozen=True, slots=True)
class Scores:
    """What the model says of the target tokens, in nats; a critic gives `values_N` alone.

    `entropy_N` carries no gradient, and is None unless the objective needs it.
    """

    logprobs_N: torch.Tensor
    entropy_N: torch.Tensor | None
    values_N: torch.Tensor | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """Denominators over all micro-batches of a step (and all processes)."""

    num_targets: int
    num_sequences: int


Metrics = dict[str, torch.Tensor]


class Objective(Protocol):
    """What training minimises; the metrics carry no gradient."""

    @property
    def needs_entropy(self) -> bool: ...

    def __call__(
        self, scores: Scores, batch: MicroBatch, totals: Totals
    ) -> tuple[torch.Tensor, Metrics]: ...

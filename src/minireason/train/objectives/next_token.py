"""Next-token cross-entropy: pre-training, mid-training and SFT differ only in the target tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from minireason.train.objectives import Metrics, Scores, Totals
from minireason.train.packing import MicroBatch


@dataclass(frozen=True, slots=True)
class NextToken:
    """Every target token weighs the same, whichever sequence it is in."""

    needs_entropy: ClassVar[bool] = False

    def __call__(
        self, scores: Scores, batch: MicroBatch, totals: Totals
    ) -> tuple[torch.Tensor, Metrics]:
        """Mean negative log-likelihood of the step's target tokens, in nats."""
        return -scores.logprobs_N.sum() / totals.num_targets, {}

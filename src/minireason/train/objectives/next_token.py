"""Next-token cross-entropy: pre-training, mid-training and SFT differ only in the target tokens."""

from __future__ import annotations

import torch

from minireason.train.objectives import Metrics, Scores, Totals
from minireason.train.packing import MicroBatch


def next_token(scores: Scores, batch: MicroBatch, totals: Totals) -> tuple[torch.Tensor, Metrics]:
    """Mean negative log-likelihood of the step's target tokens, in nats."""
    loss = -scores.logprobs_N.sum() / totals.num_targets
    return loss, {"entropy": scores.entropy_N.sum() / totals.num_targets}

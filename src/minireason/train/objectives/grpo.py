"""Group relative policy optimisation (Shao et al. 2024, arXiv 2402.03300, equation 3).

1. The loss is averaged over all tokens of the step, not first over each response, so that long
   responses are not discounted (DAPO, Yu et al. 2025, arXiv 2503.14476, equation 12).
2. Lower and upper clip ranges are separate (DAPO, section 3.1).
3. The advantage comes with the batch: the rule that made it is `advantages.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from minireason.train.objectives import Metrics, Scores, Totals
from minireason.train.packing import MicroBatch


@dataclass(frozen=True, slots=True)
class Grpo:
    """Needs `advantages` and `old_logprobs` a token, and `reference_logprobs` if KL has weight."""

    clip_low: float = 0.2
    clip_high: float = 0.2
    kl_weight: float = 0.0
    needs_entropy: ClassVar[bool] = True

    def __call__(
        self, scores: Scores, batch: MicroBatch, totals: Totals
    ) -> tuple[torch.Tensor, Metrics]:
        """Clipped policy-gradient loss plus a KL penalty (k3 estimator), a mean over tokens."""
        assert scores.entropy_N is not None, "needs_entropy was not heeded"
        advantages_N = batch.values["advantages"]
        ratio_N = (scores.logprobs_N - batch.values["old_logprobs"]).exp()
        clipped_N = ratio_N.clamp(1 - self.clip_low, 1 + self.clip_high)
        gain_N, clipped_gain_N = ratio_N * advantages_N, clipped_N * advantages_N
        loss_N = -torch.minimum(gain_N, clipped_gain_N)
        metrics = {
            "entropy": scores.entropy_N.sum() / totals.num_targets,
            "clip_fraction": (clipped_gain_N < gain_N).sum() / totals.num_targets,
            "ratio": ratio_N.detach().sum() / totals.num_targets,
        }
        if self.kl_weight > 0:
            log_ratio_N = batch.values["reference_logprobs"] - scores.logprobs_N
            kl_N = log_ratio_N.exp() - log_ratio_N - 1
            loss_N = loss_N + self.kl_weight * kl_N
            metrics["kl"] = kl_N.detach().sum() / totals.num_targets
        return loss_N.sum() / totals.num_targets, metrics

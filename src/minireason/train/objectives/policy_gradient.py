"""The clipped policy gradient (PPO, Schulman et al. 2017, arXiv 1707.06347, equation 7).

Every algorithm of `rl/algorithms` trains on it: what they differ in is the advantage, which comes
with the batch, and the fields here, whose sources stand in their files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F

from minireason.train.objectives import Metrics, Scores, Totals
from minireason.train.packing import MicroBatch

Average = Literal["tokens", "responses", "constant"]
"""The loss's mean over all target tokens of the step; over its responses of the mean over each
one's tokens; or its sum over the responses times a constant number of tokens."""

Estimator = Literal["k2", "k3"]
"""KL of policy to reference from one sample (J. Schulman, Approximating KL divergence, 2020)."""

LARGEST_LOG_RATIO = 20.0
"""A ratio of a whole response may overflow, and inf times a gradient of 0 is not a number."""


@dataclass(frozen=True, slots=True)
class PolicyGradient:
    """Needs `advantages` and `old_logprobs`, and `reference_logprobs` if the KL has weight.

    `importance`, where the batch has it, weighs the policy's loss token by token: the truncated
    ratio between the weights that `old_logprobs` are of and what sampled. `ratio_of` "response"
    takes a response for one action, whose ratio is the product of its tokens'. `dual_clip` bounds
    the ratio of a token with a negative advantage (Ye et al. 2020, arXiv 1912.09729); it lies above
    1 + `clip_high`.
    """

    clip_low: float = 0.2
    clip_high: float = 0.2
    dual_clip: float = math.inf
    average: Average = "tokens"
    max_tokens: int = 1
    ratio_of: Literal["token", "response"] = "token"
    kl_weight: float = 0.0
    kl_estimator: Estimator = "k3"
    needs_entropy: ClassVar[bool] = True

    def __call__(
        self, scores: Scores, batch: MicroBatch, totals: Totals
    ) -> tuple[torch.Tensor, Metrics]:
        """Minus the smaller of the gain and the clipped gain, plus the weighted KL penalty."""
        advantages_N = batch.values["advantages"]
        ratio_N = self._ratio(scores.logprobs_N - batch.values["old_logprobs"], batch)
        clipped_N = ratio_N.clamp(1 - self.clip_low, 1 + self.clip_high)
        bounded_N = ratio_N.clamp(max=self.dual_clip)
        loss_N = -torch.minimum(bounded_N * advantages_N, clipped_N * advantages_N)
        if "importance" in batch.values:
            loss_N = batch.values["importance"] * loss_N
        metrics = self._metrics(scores, ratio_N.detach(), advantages_N, totals)
        if self.kl_weight > 0:
            kl_N = _kl(scores.logprobs_N - batch.values["reference_logprobs"], self.kl_estimator)
            loss_N = loss_N + self.kl_weight * kl_N
            metrics["kl"] = kl_N.detach().sum() / totals.num_targets
        return (loss_N * self._weights(batch, totals)).sum(), metrics

    def _ratio(self, log_ratio_N: torch.Tensor, batch: MicroBatch) -> torch.Tensor:
        """The policy's probability over the old one, of each token or of all its response."""
        if self.ratio_of == "response":
            log_ratio_N = _sums(log_ratio_N, batch)[batch.sequence_N]
        return log_ratio_N.clamp(-LARGEST_LOG_RATIO, LARGEST_LOG_RATIO).exp()

    def _weights(self, batch: MicroBatch, totals: Totals) -> torch.Tensor | float:
        """What each token's loss counts, from the totals of the whole update."""
        if self.average == "tokens":
            return 1 / totals.num_targets
        if self.average == "constant":
            return 1 / (totals.num_sequences * self.max_tokens)
        lengths_S = _sums(torch.ones_like(batch.values["advantages"]), batch)
        return 1 / (totals.num_sequences * lengths_S[batch.sequence_N])

    def _metrics(
        self, scores: Scores, ratio_N: torch.Tensor, advantages_N: torch.Tensor, totals: Totals
    ) -> Metrics:
        """Means over tokens, and the extremes of the ratio; clipped is what clipping changed."""
        assert scores.entropy_N is not None, "needs_entropy was not heeded"
        low = ((advantages_N < 0) & (ratio_N < 1 - self.clip_low)).sum() / totals.num_targets
        high = ((advantages_N > 0) & (ratio_N > 1 + self.clip_high)).sum() / totals.num_targets
        metrics = {
            "entropy": scores.entropy_N.sum() / totals.num_targets,
            "clip_fraction": low + high,
            "clip_low_fraction": low,
            "clip_high_fraction": high,
            "ratio": ratio_N.sum() / totals.num_targets,
            # padded, since a process may be without a token
            "ratio_min": F.pad(ratio_N, (0, 1), value=math.inf).amin(),
            "ratio_max": F.pad(ratio_N, (0, 1), value=-math.inf).amax(),
        }
        if self.dual_clip < math.inf:
            is_bounded_N = (advantages_N < 0) & (ratio_N > self.dual_clip)
            metrics["clip_dual_fraction"] = is_bounded_N.sum() / totals.num_targets
        return metrics


def _kl(log_ratio_N: torch.Tensor, estimator: Estimator) -> torch.Tensor:
    """From log(policy / reference); k3 has the lower variance, k2 the gradient of the KL."""
    if estimator == "k2":
        return log_ratio_N.square() / 2
    return (-log_ratio_N).exp() + log_ratio_N - 1


def _sums(values_N: torch.Tensor, batch: MicroBatch) -> torch.Tensor:
    return values_N.new_zeros(batch.num_sequences).index_add(0, batch.sequence_N, values_N)

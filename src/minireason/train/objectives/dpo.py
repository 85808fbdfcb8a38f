"""Direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290, equation 7).

1. An optional negative log-likelihood term on the chosen response (Pang et al. 2024,
   arXiv 2404.19733, equation 2) keeps its probability from falling along with the rejected one's,
   which happens when the two share most of their tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from minireason.train.objectives import Metrics, Scores, Totals
from minireason.train.packing import MicroBatch


@dataclass(frozen=True, slots=True)
class Dpo:
    """Sequences alternate: chosen, rejected. `reference_logprobs` come with the batch."""

    beta: float
    nll_weight: float = 0.0

    def __call__(
        self, scores: Scores, batch: MicroBatch, totals: Totals
    ) -> tuple[torch.Tensor, Metrics]:
        """Mean over the step's pairs of -log sigmoid(beta * (chosen - rejected log-ratio))."""
        num_pairs = totals.num_sequences // 2
        policy_S = _sum_by_sequence(scores.logprobs_N, batch)
        rewards_S = self.beta * (
            policy_S - _sum_by_sequence(batch.values["reference_logprobs"], batch)
        )
        margins_P = rewards_S[0::2] - rewards_S[1::2]
        lengths_S = _sum_by_sequence(torch.ones_like(scores.logprobs_N), batch)
        nll_P = -(policy_S / lengths_S)[0::2]
        loss = (-F.logsigmoid(margins_P) + self.nll_weight * nll_P).sum() / num_pairs
        metrics = {
            "accuracy": (margins_P > 0).sum() / num_pairs,
            "margin": margins_P.sum() / num_pairs,
            "chosen_reward": rewards_S[0::2].sum() / num_pairs,
            "rejected_reward": rewards_S[1::2].sum() / num_pairs,
            "chosen_nll": nll_P.sum() / num_pairs,
        }
        return loss, {name: value.detach() for name, value in metrics.items()}


def _sum_by_sequence(values_N: torch.Tensor, batch: MicroBatch) -> torch.Tensor:
    return values_N.new_zeros(batch.num_sequences).index_add(0, batch.sequence_N, values_N)

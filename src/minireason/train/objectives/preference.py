"""Learning from pairs: how far the policy has moved from the reference on each response.

1. An optional negative log-likelihood term on the chosen response (RPO, Pang et al. 2024,
   arXiv 2404.19733, equation 2) keeps its probability from falling along with the rejected one's,
   which happens when the two share most of their tokens. It goes with every loss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch

from minireason.train.objectives import Metrics, Scores, Totals
from minireason.train.objectives.dpo import dpo
from minireason.train.objectives.ipo import ipo
from minireason.train.objectives.length_normalized_dpo import length_normalized_dpo
from minireason.train.packing import MicroBatch

PreferenceLoss = Callable[[torch.Tensor, torch.Tensor, float], tuple[torch.Tensor, torch.Tensor]]
"""From the sequences' summed log-ratios (policy over reference, in nats), their lengths and beta:
the reward of each of S sequences and the loss of each of P pairs. Chosen and rejected alternate."""

LOSSES: dict[str, PreferenceLoss] = {"dpo": dpo, "ipo": ipo, "dpo_norm": length_normalized_dpo}


@dataclass(frozen=True, slots=True)
class Preference:
    """Sequences alternate: chosen, rejected. `reference_logprobs` come with the batch."""

    loss: PreferenceLoss
    beta: float
    nll_weight: float = 0.0
    needs_entropy: ClassVar[bool] = False

    def __call__(
        self, scores: Scores, batch: MicroBatch, totals: Totals
    ) -> tuple[torch.Tensor, Metrics]:
        """Mean over the step's pairs of the loss and the weighted NLL of the chosen response."""
        num_pairs = totals.num_sequences // 2
        log_ratios_N = scores.logprobs_N - batch.values["reference_logprobs"]
        lengths_S = _sums(torch.ones_like(scores.logprobs_N), batch)
        rewards_S, losses_P = self.loss(_sums(log_ratios_N, batch), lengths_S, self.beta)
        margins_P = rewards_S[0::2] - rewards_S[1::2]
        nll_P = -(_sums(scores.logprobs_N, batch) / lengths_S)[0::2]
        metrics = {
            "accuracy": (margins_P > 0).sum() / num_pairs,
            "margin": margins_P.sum() / num_pairs,
            "chosen_reward": rewards_S[0::2].sum() / num_pairs,
            "rejected_reward": rewards_S[1::2].sum() / num_pairs,
            "chosen_nll": nll_P.sum() / num_pairs,
        }
        loss = (losses_P + self.nll_weight * nll_P).sum() / num_pairs
        return loss, {name: value.detach() for name, value in metrics.items()}


def _sums(values_N: torch.Tensor, batch: MicroBatch) -> torch.Tensor:
    return values_N.new_zeros(batch.num_sequences).index_add(0, batch.sequence_N, values_N)

"""Direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290, equation 7)."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def dpo(
    log_ratios_S: torch.Tensor, lengths_S: torch.Tensor, beta: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rewards beta * log-ratio, and -log sigmoid(chosen - rejected reward) of each pair."""
    rewards_S = beta * log_ratios_S
    return rewards_S, -F.logsigmoid(rewards_S[0::2] - rewards_S[1::2])

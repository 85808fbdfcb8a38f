"""Length-normalised DPO (Lambert et al. 2024, Tulu 3, arXiv 2411.15124).

Log-ratios are divided by the response's length, so that a pair does not count more for being long.
They are smaller by that factor: Tulu 3 takes a beta of 5.
"""

from __future__ import annotations

import torch

from minireason.train.objectives.dpo import dpo


def length_normalized_dpo(
    log_ratios_S: torch.Tensor, lengths_S: torch.Tensor, beta: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """DPO's rewards and losses of the mean log-ratio a token."""
    return dpo(log_ratios_S / lengths_S, lengths_S, beta)

"""Identity preference optimisation (Azar et al. 2023, arXiv 2310.12036, equation 17).

The margin is drawn to a finite target instead of to infinity; `beta` is the paper's tau.

1. Log-ratios are means over the response's tokens, as in TRL, whose developers had this from the
   paper's authors (huggingface/trl#1265); equation 17 read literally has sums, and then one tau
   would ask long responses for a smaller change a token than short ones.
"""

from __future__ import annotations

import torch


def ipo(
    log_ratios_S: torch.Tensor, lengths_S: torch.Tensor, beta: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rewards beta * mean log-ratio, and (chosen - rejected log-ratio - 1 / (2 beta))^2 a pair."""
    means_S = log_ratios_S / lengths_S
    return beta * means_S, (means_S[0::2] - means_S[1::2] - 1 / (2 * beta)).square()

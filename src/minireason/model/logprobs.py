"""Per-token log-probabilities without the logits: the one function every objective uses.

For a vocabulary of 200,064 the logits of one 25K-token sequence take 20 GB in float32. Here they
exist a chunk of tokens at a time, in the forward pass and again in the backward pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd.function import once_differentiable

LOGITS_PER_CHUNK = 1 << 24
"""Logits held at once (64 MiB in float32)."""


@dataclass(frozen=True, slots=True)
class HeadForm:
    """Logits are softcap * tanh(scale * hidden @ weight.T / softcap); softcap 0: not capped."""

    scale: float = 1.0
    softcap: float = 0.0


PLAIN = HeadForm()


class _TokenLogprobs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_ND: torch.Tensor,
        weight_VD: torch.Tensor,
        targets_N: torch.Tensor,
        temperature: float,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        num_tokens = len(targets_N)
        logprobs_N = hidden_ND.new_empty(num_tokens, dtype=torch.float32)
        entropy_N, lse_N = torch.empty_like(logprobs_N), torch.empty_like(logprobs_N)
        for rows in _chunks(num_tokens, weight_VD.shape[0]):
            logits_CV = (hidden_ND[rows] @ weight_VD.T).float() / temperature
            lse_N[rows] = logits_CV.logsumexp(-1)
            chosen_C = logits_CV.gather(-1, targets_N[rows, None]).squeeze(-1)
            logprobs_N[rows] = chosen_C - lse_N[rows]
            probs_CV = (logits_CV - lse_N[rows, None]).exp()
            entropy_N[rows] = lse_N[rows] - (probs_CV * logits_CV).sum(-1)
        ctx.save_for_backward(hidden_ND, weight_VD, targets_N, lse_N)
        ctx.temperature = temperature
        ctx.mark_non_differentiable(entropy_N)
        return logprobs_N, entropy_N

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_N: torch.Tensor, _: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, None, None]:
        hidden_ND, weight_VD, targets_N, lse_N = ctx.saved_tensors
        grad_hidden_ND = torch.empty_like(hidden_ND)
        grad_weight_VD = torch.zeros_like(weight_VD, dtype=torch.float32)
        for rows in _chunks(len(targets_N), weight_VD.shape[0]):
            logits_CV = (hidden_ND[rows] @ weight_VD.T).float() / ctx.temperature
            scale_C1 = (grad_N[rows] / ctx.temperature)[:, None]
            # d logprob / d logits = onehot(target) - softmax
            grad_CV = (logits_CV - lse_N[rows, None]).exp_().mul_(-scale_C1)
            grad_CV.scatter_add_(-1, targets_N[rows, None], scale_C1)
            grad_CV = grad_CV.to(hidden_ND.dtype)
            grad_hidden_ND[rows] = grad_CV @ weight_VD
            grad_weight_VD += grad_CV.T @ hidden_ND[rows]
        return grad_hidden_ND, grad_weight_VD.to(weight_VD.dtype), None, None


def _chunks(num_tokens: int, vocab_size: int) -> list[slice]:
    size = max(1, LOGITS_PER_CHUNK // vocab_size)
    return [slice(start, start + size) for start in range(0, num_tokens, size)]


def token_logprobs(
    hidden_ND: torch.Tensor,
    weight_VD: torch.Tensor,
    targets_N: torch.Tensor,
    temperature: float = 1.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability of each target under softmax(hidden @ weight.T / temperature), and entropy.

    Returns float32 `logprobs_N` (differentiable) and `entropy_N` (not), both in nats.
    """
    logprobs_N, entropy_N = _TokenLogprobs.apply(hidden_ND, weight_VD, targets_N, temperature)
    return logprobs_N, entropy_N

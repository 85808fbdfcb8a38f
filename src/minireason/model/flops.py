"""Floating-point operations of the model's matrix products, which training is measured by.

A weight multiplies each token once forward and twice backward, two operations a time; a layer's
attention does the same for every pair of a query and a key at or before it, once for the scores
and once for the values (PaLM, arXiv 2204.02311, appendix B, which counts all pairs; Korthikanti et
al., arXiv 2205.05198, appendix A). So for trained weights P, a head of VD and A = layers x heads x
head size:

    6 P tokens + 6 VD targets + 6 A sum(length^2)

1. The embedding is looked up, not multiplied, so a tied matrix counts once, as the head.
2. The head counts on target tokens alone: it is computed nowhere else.
3. What is computed a second time (checkpointed activations, the logits in the backward pass) is not
   counted: these are the operations that the result needs. Norms and activations are left out.
4. Frozen weights have no weight gradient: 4 instead of 6.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True, slots=True)
class FlopCost:
    """What a dense decoder multiplies by: weights of its layers, of its head, and attention.

    `weights` and `head` are per token, `attention` is layers x heads x head size.
    """

    weights: int
    trained_weights: int
    head: int
    trained_head: int
    attention: int

    def forward(self, lengths: Iterable[int], num_targets: int) -> float:
        """Operations of scoring sequences of these lengths: a reference model's pass."""
        num_tokens, num_pairs = _sizes(lengths)
        return 2.0 * (
            self.weights * num_tokens + self.head * num_targets + 2 * self.attention * num_pairs
        )

    def training(self, lengths: Iterable[int], num_targets: int) -> float:
        """Operations of the forward and the backward pass over sequences of these lengths."""
        lengths = list(lengths)
        num_tokens, num_pairs = _sizes(lengths)
        weight_gradients = self.trained_weights * num_tokens + self.trained_head * num_targets
        attention_again = 2 * self.attention * num_pairs
        return 2 * self.forward(lengths, num_targets) + 2.0 * (weight_gradients + attention_again)

    def training_per_token(self, length: int) -> float:
        """Operations a token of packed sequences of one length, all tokens targets."""
        return self.training([length], length) / length


def flop_cost(model: Any) -> FlopCost:
    """The cost of a transformers model; its weights may be sharded, or on the meta device."""
    head = model.get_output_embeddings()
    matrices = [
        module
        for module in model.modules()
        if isinstance(module, torch.nn.Linear) and module is not head
    ]
    config = model.config
    head_dim = getattr(config, "head_dim", None) or (
        config.hidden_size // config.num_attention_heads
    )
    return FlopCost(
        weights=sum(map(_size, matrices)),
        trained_weights=sum(_size(m) for m in matrices if m.weight.requires_grad),
        head=head.weight.numel(),
        trained_head=head.weight.numel() if head.weight.requires_grad else 0,
        attention=config.num_hidden_layers * config.num_attention_heads * head_dim,
    )


def _size(linear: torch.nn.Linear) -> int:
    """Not its weight's own count, which is that of bytes where it is packed in 4 bits."""
    return linear.in_features * linear.out_features


def _sizes(lengths: Iterable[int]) -> tuple[int, float]:
    """Tokens, and pairs of a token and one before it: half the square of each length."""
    lengths = list(lengths)
    return sum(lengths), sum(length * length for length in lengths) / 2

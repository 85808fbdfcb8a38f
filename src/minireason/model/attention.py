"""The attention function that training and sampling share, registered with transformers.

Which positions see which is always said by an explicit boolean mask: packed examples cannot leak
into each other by a default (transformers' packed detection is off as soon as a cache or an
all-ones mask is given), and a cache slot cannot see the slot's former owner.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from transformers import AttentionInterface

ATTENTION = "minireason"


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Grouped-query attention under an explicit mask.

    `query` [B, Hq, Tq, D], `key` and `value` [B, Hkv, Tk, D], `attention_mask` [B, 1, Tq, Tk],
    True where a query may look. Returns [B, Tq, Hq, D]. One query per sequence (decoding) folds
    the heads of a group into the query axis, so the keys are read once and never repeated.
    """
    if attention_mask is None:
        raise ValueError("attend needs an explicit attention mask; it was given None")
    batch, num_heads, query_length, head_dim = query.shape
    num_groups = num_heads // key.shape[1]
    if query_length == 1 and num_groups > 1:
        folded = query.view(batch, key.shape[1], num_groups, head_dim)
        out = F.scaled_dot_product_attention(folded, key, value, attention_mask, scale=scaling)
        return out.reshape(batch, 1, num_heads, head_dim), None
    if num_groups > 1:
        key = key.repeat_interleave(num_groups, dim=1)
        value = value.repeat_interleave(num_groups, dim=1)
    out = F.scaled_dot_product_attention(
        query, key, value, attention_mask, dropout_p=dropout, scale=scaling
    )
    return out.transpose(1, 2).contiguous(), None


AttentionInterface.register(ATTENTION, attend)

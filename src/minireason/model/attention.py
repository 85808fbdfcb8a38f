"""The attention function that training and sampling share, registered with transformers.

Which positions see which is always said by an explicit boolean mask: packed examples cannot leak
into each other by a default (transformers' packed detection is off as soon as a cache or an
all-ones mask is given), and a cache slot cannot see the slot's former owner. transformers hands a
4D mask through as it is, and builds none for an attention it does not know; then `attend` refuses.
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
    Masked keys and values must be finite. Raises ValueError without a 4D boolean mask.
    """
    if attention_mask is None or attention_mask.dim() != 4 or attention_mask.dtype != torch.bool:
        raise ValueError(
            "attend needs a boolean attention mask [B, 1, Tq, Tk]; it was given "
            f"{_said(attention_mask)}; pass attention_mask with four dimensions to the model"
        )
    batch, num_heads, query_length, head_dim = query.shape
    num_groups = num_heads // key.shape[1]
    if query_length == 1 and num_groups > 1:
        folded = query.reshape(batch, key.shape[1], num_groups, head_dim)
        out = F.scaled_dot_product_attention(
            folded, key, value, attention_mask, dropout_p=dropout, scale=scaling
        )
        return out.reshape(batch, 1, num_heads, value.shape[-1]), None
    # The CPU kernel reads a group's keys in place (a fifth faster over forward and backward). On
    # CUDA that flag with a mask leaves only the kernel that holds all the scores: repeat there.
    is_native = key.device.type == "cpu"
    if num_groups > 1 and not is_native:
        key, value = _repeat(key, num_groups), _repeat(value, num_groups)
    out = F.scaled_dot_product_attention(
        query,
        key,
        value,
        attention_mask,
        dropout_p=dropout,
        scale=scaling,
        enable_gqa=is_native and num_groups > 1,
    )
    return out.transpose(1, 2).contiguous(), None


def _repeat(states: torch.Tensor, num_groups: int) -> torch.Tensor:
    """[B, Hkv, T, D] -> [B, Hkv * num_groups, T, D], each head `num_groups` times in a row."""
    return states[:, :, None].expand(-1, -1, num_groups, -1, -1).flatten(1, 2)


def _said(mask: torch.Tensor | None) -> str:
    return "None" if mask is None else f"{mask.dtype} of shape {list(mask.shape)}"


AttentionInterface.register(ATTENTION, attend)

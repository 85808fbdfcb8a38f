"""Attention of queries to keys that lie side by side, by torch's kernels or written out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass(frozen=True, slots=True)
class ScoreForm:
    """What a layer does with its scores besides the softmax.

    `scale` multiplies query @ key (None: one over the root of the head size), `softcap` c bends a
    score s to c * tanh(s / c) (Gemma 2, arXiv 2408.00118, section 2), `window` is how many keys a
    query sees, its own included.
    """

    scale: float | None = None
    window: int | None = None
    softcap: float | None = None
    dropout: float = 0.0


def dense(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    form: ScoreForm,
) -> torch.Tensor:
    """Grouped-query attention under a mask [B, 1, Tq, Tk] (None: causal, Tq = Tk); no window.

    `query` [B, Hq, Tq, D], `key` and `value` [B, Hkv, Tk, D]; returns [B, Tq, Hq, D]. One query per
    sequence (decoding) folds the heads of a group into the query axis, so the keys are read once
    and never repeated.
    """
    if form.softcap:
        return _written_out(query, key, value, mask, form)
    batch, num_heads, query_length, head_dim = query.shape
    num_groups = num_heads // key.shape[1]
    if query_length == 1 and num_groups > 1 and mask is not None:
        folded = query.reshape(batch, key.shape[1], num_groups, head_dim)
        out = F.scaled_dot_product_attention(
            folded, key, value, mask, dropout_p=form.dropout, scale=form.scale
        )
        return out.reshape(batch, 1, num_heads, value.shape[-1])
    # The CPU kernel reads a group's keys in place (a fifth faster over forward and backward). On
    # CUDA that flag leaves only the kernel that holds all the scores: repeat there.
    is_native = key.device.type == "cpu"
    if num_groups > 1 and not is_native:
        key, value = repeat_heads(key, num_groups), repeat_heads(value, num_groups)
    out = F.scaled_dot_product_attention(
        query,
        key,
        value,
        mask,
        dropout_p=form.dropout,
        is_causal=mask is None,
        scale=form.scale,
        enable_gqa=is_native and num_groups > 1,
    )
    return out.transpose(1, 2)


def _written_out(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    form: ScoreForm,
) -> torch.Tensor:
    """The slow way, which holds all the scores, in float32: no fused kernel of torch caps them."""
    assert form.softcap
    num_groups = query.shape[1] // key.shape[1]
    key, value = repeat_heads(key, num_groups), repeat_heads(value, num_groups)
    scale = query.shape[-1] ** -0.5 if form.scale is None else form.scale
    with torch.autocast(query.device.type, enabled=False):
        scores = query.float() @ key.float().transpose(2, 3) * scale
    scores = torch.tanh(scores / form.softcap) * form.softcap
    if mask is None:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    weights = scores.masked_fill(~mask, float("-inf")).softmax(-1)
    weights = F.dropout(weights.to(value.dtype), form.dropout)
    return (weights @ value).transpose(1, 2)


def repeat_heads(states: torch.Tensor, num_groups: int) -> torch.Tensor:
    """[B, Hkv, T, D] -> [B, Hkv * num_groups, T, D], each head `num_groups` times in a row."""
    return states[:, :, None].expand(-1, -1, num_groups, -1, -1).flatten(1, 2)


def newest(mask: torch.Tensor, count: int) -> torch.Tensor:
    """Of the keys each query may see, the last `count`: a sliding window that knows no positions.

    Right wherever the keys a query sees are one run of positions that ends with its own, whatever
    padding lies around it.
    """
    since = mask.flip(-1).cumsum(-1, dtype=torch.int32).flip(-1)
    return mask & (since <= count)

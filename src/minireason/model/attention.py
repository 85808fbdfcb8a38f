"""The attention function that training and sampling share, registered with transformers.

Which positions see which is always said: in training by where the packed sequences begin and end,
in sampling by an explicit boolean mask. So examples cannot leak into each other by a default
(transformers' packed detection is off as soon as a cache or an all-ones mask is given), and a cache
slot cannot see the slot's former owner. transformers hands a 4D mask through as it is, and builds
none for an attention it does not know; then, and wherever a model asks for something that `attend`
does not do, `attend` refuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import AttentionInterface

from minireason.model.kernels import Slots, attend_packed, by_slots, serves_slots
from minireason.model.packed import Packed
from minireason.model.scores import ScoreForm, dense, newest

ATTENTION = "minireason"

# Passed along by the models' layers; none of it changes the scores.
_WITHOUT_EFFECT = {
    "cache_position",
    "output_attentions",
    "output_hidden_states",
    "output_router_logits",
    "past_key_values",
    "position_embeddings",
    "position_ids",
    "use_cache",
}


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    packed: Packed | None = None,
    spans: Sequence[tuple[int, int, int]] = (),
    slots: Slots | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Grouped-query attention under an explicit mask, or inside packed sequences.

    `query` [B, Hq, Tq, D], `key` and `value` [B, Hkv, Tk, D]; returns [B, Tq, Hq, D]. Either
    `packed` with B = 1, or `attention_mask` [B, 1, Tq, Tk], True where a query may look: at one run
    of positions that ends with its own. Masked keys and values must be finite. Rows of `query`
    beyond those of `key` only fill up the batch and give zeros. `spans` (first row, row after the
    last, span) say that rows look at no key beyond their span, so that none is read; then the mask
    may end before the keys. `slots` say the same as the mask, for a kernel that reads a cache
    whole. Raises ValueError without mask and `packed`, and for what a model asks beyond a scale, a
    window, a softcap and dropout.
    """
    _refuse_unknown(module, others)
    form = ScoreForm(scaling, sliding_window, softcap, dropout)
    if packed is not None:
        length = packed.num_tokens
        if attention_mask is not None or not len(query) == len(key) == 1 or key.shape[2] != length:
            raise ValueError(
                f"attend was given {length} packed tokens, keys of shape {list(key.shape)} and the "
                f"mask {_said(attention_mask)}; packed sequences are one row without mask or cache"
            )
        return attend_packed(query, key, value, packed, form).contiguous(), None
    if attention_mask is None or attention_mask.dim() != 4 or attention_mask.dtype != torch.bool:
        raise ValueError(
            "attend needs a boolean attention mask [B, 1, Tq, Tk]; it was given "
            f"{_said(attention_mask)}; pass attention_mask with four dimensions to the model"
        )
    if slots is not None and serves_slots(query, value, form):
        parts = [by_slots(query[: len(key)], key, value, slots, form)]
    else:
        if sliding_window is not None and attention_mask.shape[-1] > sliding_window:
            attention_mask = newest(attention_mask, sliding_window)
        parts = [
            dense(
                query[first:last],
                key[first:last, :, :span],
                value[first:last, :, :span],
                attention_mask[first:last, :, :, :span],
                form,
            )
            for first, last, span in spans or [(0, len(key), key.shape[2])]
        ]
    if len(key) < len(query):
        parts.append(torch.zeros_like(parts[0][:1]).expand(len(query) - len(key), -1, -1, -1))
    return torch.cat(parts).contiguous(), None


def _refuse_unknown(module: torch.nn.Module, others: dict[str, Any]) -> None:
    is_causal = others.pop("is_causal", None)
    if is_causal is False or getattr(module, "is_causal", True) is False:
        raise ValueError("the model's attention looks ahead; only causal models are supported")
    for name in others.keys() - _WITHOUT_EFFECT:
        if others[name] is not None:
            raise ValueError(
                f"the model's attention asks for {name}, which is not supported; "
                "give a model without it"
            )


def _said(mask: torch.Tensor | None) -> str:
    return "None" if mask is None else f"{mask.dtype} of shape {list(mask.shape)}"


AttentionInterface.register(ATTENTION, attend)

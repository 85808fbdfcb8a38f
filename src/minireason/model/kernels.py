"""Attention over packed sequences, and over the slots of a cache: which kernel serves a layer.

On CUDA of compute capability 8.0 and in 16 bits, one kernel call serves the whole row: torch's own
variable-length attention, else flash-attn, else FlexAttention; a capped score needs one of the
latter two. Everything else (a CPU, float32, older cards, odd head sizes) attends one sequence after
the other. Decoding asks the same of torch's kernel, which takes a sequence's place among the keys
(`cu_seq_k`) apart from how many of them it has (`seqused_k`): a slot is a sequence that is not yet
full, and no key beyond its length is read. Where that kernel does not serve, decoding attends under
a mask. The CUDA kernels follow their documentation; they have not been run on a GPU.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from minireason.model.packed import Packed
from minireason.model.scores import ScoreForm, dense

Kernel = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, Packed, ScoreForm], torch.Tensor]


def attend_packed(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    packed: Packed,
    form: ScoreForm,
) -> torch.Tensor:
    """Causal grouped-query attention inside each of the packed sequences.

    `query` [1, Hq, M, D], `key` and `value` [1, Hkv, M, D]; returns [1, M, Hq, D].
    """
    # Under autocast the rotary embedding leaves queries and keys in float32 beside 16-bit values.
    dtype, device = query.dtype, query.device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
    query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    return _kernel_for(query, value, form)(query, key, value, packed, form)


def _kernel_for(query: torch.Tensor, value: torch.Tensor, form: ScoreForm) -> Kernel:
    if not _is_for_flash(query, value) or (form.softcap and form.dropout):
        return by_sequence
    if _torch_varlen() is not None and not form.softcap and not form.dropout:
        return by_torch_varlen
    if _flash_attn_varlen() is not None:
        return by_flash_attn
    return by_sequence if form.dropout else by_flex_attention


def _is_for_flash(query: torch.Tensor, value: torch.Tensor) -> bool:
    head_dim = query.shape[-1]
    return (
        query.device.type == "cuda"
        and value.dtype in (torch.bfloat16, torch.float16)
        and torch.cuda.get_device_capability(query.device) >= (8, 0)
        and head_dim % 8 == 0
        and head_dim <= 256
        and head_dim == value.shape[-1]
    )


@dataclass(frozen=True, slots=True)
class Slots:
    """B sequences of one query each, whose keys begin the first B slots of a cache.

    `queries` and `starts` [B + 1] count by one and by the length of a slot, `used_B` are the keys
    that each has, none more than `longest`; int32, on the device.
    """

    queries: torch.Tensor
    starts: torch.Tensor
    used_B: torch.Tensor
    longest: int

    @classmethod
    def of(cls, positions_B: torch.Tensor, slot_length: int, longest: int) -> Slots:
        """Those of queries at these positions."""
        count = torch.arange(len(positions_B) + 1, dtype=torch.int32, device=positions_B.device)
        return cls(count, count * slot_length, (positions_B + 1).to(torch.int32), longest)


def serves_slots(query: torch.Tensor, value: torch.Tensor, form: ScoreForm) -> bool:
    """Whether `by_slots` can attend; else a mask says what is read."""
    if not _is_for_flash(query, value) or form.softcap or form.dropout:
        return False
    varlen = _torch_varlen()
    return varlen is not None and "seqused_k" in inspect.signature(varlen).parameters


def by_slots(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    slots: Slots,
    form: ScoreForm,
) -> torch.Tensor:
    """torch.nn.attention.varlen over whole slots, of which each query reads its own keys.

    `query` [B, Hq, 1, D], `key` and `value` [B, Hkv, L, D] in memory as [B, L, Hkv, D]; returns
    [B, 1, Hq, D].
    """
    # Not (-1, 0), which says the same of a single query: with any window the kernel neither reads a
    # group's keys once nor splits them among blocks.
    window = (-1, -1) if form.window is None else (form.window - 1, 0)
    out = _torch_varlen()(
        query[:, :, 0].to(value.dtype),
        *(states.transpose(1, 2).view(-1, *states.shape[1::2]) for states in (key, value)),
        slots.queries,
        slots.starts,
        1,
        slots.longest,
        scale=form.scale,
        window_size=window,
        enable_gqa=True,
        seqused_k=slots.used_B,
    )
    return out[:, None]


def by_sequence(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    packed: Packed,
    form: ScoreForm,
) -> torch.Tensor:
    """One call of torch's attention a sequence; causal by a flag, a window by a mask."""
    queries, keys, values = (states.split(packed.lengths, 2) for states in (query, key, value))
    out = [
        dense(q, k, v, _band(q, form), form) for q, k, v in zip(queries, keys, values, strict=True)
    ]
    return torch.cat(out, dim=1)


def _band(query: torch.Tensor, form: ScoreForm) -> torch.Tensor | None:
    """The mask of a causal window; None where the window takes in the whole sequence."""
    length = query.shape[2]
    if form.window is None or length <= form.window:
        return None
    ones = torch.ones(1, 1, length, length, dtype=torch.bool, device=query.device)
    return ones.tril().triu(1 - form.window)


def by_torch_varlen(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    packed: Packed,
    form: ScoreForm,
) -> torch.Tensor:
    """torch.nn.attention.varlen; its window counts the keys before the query's own."""
    out = _torch_varlen()(
        *(states[0].transpose(0, 1) for states in (query, key, value)),
        packed.starts,
        packed.starts,
        packed.longest,
        packed.longest,
        scale=form.scale,
        window_size=(_keys_before(form), 0),
        enable_gqa=True,
    )
    return out[None]


def by_flash_attn(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    packed: Packed,
    form: ScoreForm,
) -> torch.Tensor:
    """The flash-attn package, which also caps scores and drops weights."""
    out = _flash_attn_varlen()(
        *(states[0].transpose(0, 1) for states in (query, key, value)),
        cu_seqlens_q=packed.starts,
        cu_seqlens_k=packed.starts,
        max_seqlen_q=packed.longest,
        max_seqlen_k=packed.longest,
        dropout_p=form.dropout,
        softmax_scale=form.scale,
        causal=True,
        window_size=(_keys_before(form), 0),
        softcap=form.softcap or 0.0,
    )
    return out[None]


def by_flex_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    packed: Packed,
    form: ScoreForm,
) -> torch.Tensor:
    """FlexAttention, compiled, under a block mask that the layers share."""
    out = _flex_attention()(
        query,
        key,
        value,
        score_mod=_capping(form.softcap) if form.softcap else None,
        block_mask=packed.block_mask(form.window),
        scale=form.scale,
        enable_gqa=True,
    )
    return out.transpose(1, 2)


def _keys_before(form: ScoreForm) -> int:
    return -1 if form.window is None else form.window - 1


@cache
def _torch_varlen() -> Any:
    """torch's function, or None where it is older than its windows and grouped queries."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    needed = {"scale", "window_size", "enable_gqa"}
    return varlen_attn if needed <= inspect.signature(varlen_attn).parameters.keys() else None


@cache
def _flash_attn_varlen() -> Any:
    try:
        from flash_attn import flash_attn_varlen_func
    except (ImportError, OSError):  # not installed, or built for another torch
        return None
    is_new = "softcap" in inspect.signature(flash_attn_varlen_func).parameters
    return flash_attn_varlen_func if is_new else None


@cache
def _flex_attention() -> Any:
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention, dynamic=True)


@cache
def _capping(softcap: float) -> Callable[..., torch.Tensor]:
    """One function for each cap, so that every layer meets the same compiled kernel."""

    def cap(score: torch.Tensor, *_: Any) -> torch.Tensor:
        return torch.tanh(score / softcap) * softcap

    return cap

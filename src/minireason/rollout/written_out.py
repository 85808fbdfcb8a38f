"""One decoding step of the common decoder layer, written out for a CPU.

A token a sequence is so little work that much of a model's own forward goes into calls of small
operators. Where every layer is the common one (root-mean-square norm, rotary positions, grouped
queries, gated MLP), the step is done here with two fifths fewer calls, from the model's own modules
and the weights they have at that moment. Adapters are called as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedModel

from minireason.rollout.cache import SlotCache

COMMON = {"LlamaForCausalLM", "MistralForCausalLM", "Phi3ForCausalLM", "Qwen2ForCausalLM"}


def is_common(model: PreTrainedModel) -> bool:
    """Whether a model, as it is now, computes what is written out here."""
    config: Any = model.config
    window = getattr(config, "sliding_window", None)
    return (
        type(model).__name__ in COMMON  # one that is sharded has another name
        and model.device.type == "cpu"
        and model.dtype == torch.float32
        and not getattr(model, "is_quantized", False)
        and config.hidden_act == "silu"
        and (window is None or window >= config.max_position_embeddings)
        and not any(_is_wrapped(part) for part in model.modules())
        and all(type(one) is nn.Parameter for one in model.parameters())  # and none quantised
    )


def _is_wrapped(part: nn.Module) -> bool:
    """Whether more is done than its class says, such as autocast."""
    return bool("forward" in vars(part) or part._forward_hooks or part._forward_pre_hooks)


@dataclass(frozen=True, slots=True)
class _Place:
    """What all layers of a step share: the angles' cosines and signed sines, and the mask."""

    cos_B1R: torch.Tensor
    sin_B1R: torch.Tensor
    mask_B11L: torch.Tensor
    cache: SlotCache


class WrittenOut:
    """Decodes with the modules of a model that `is_common`."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model: Any = model
        config: Any = model.config
        self._num_heads = config.num_attention_heads
        self._num_kv_heads = config.num_key_value_heads
        self._head_dim = getattr(config, "head_dim", None) or config.hidden_size // self._num_heads

    def decode(
        self, tokens_B: torch.Tensor, positions_B: torch.Tensor, cache: SlotCache
    ) -> torch.Tensor:
        """As `forward.decode`: rows beyond those that are alive are computed, and not returned."""
        body = self._model.model
        hidden_BD = body.embed_tokens(tokens_B)
        cos_B1R, sin_B1R = body.rotary_emb(hidden_BD, positions_B[:, None])
        half = sin_B1R.shape[-1] // 2
        sin_B1R = torch.cat([-sin_B1R[..., :half], sin_B1R[..., half:]], -1)
        is_later = torch.arange(cache.span) > positions_B[: cache.num_live, None]
        mask_BL = torch.zeros(is_later.shape).masked_fill_(is_later, float("-inf"))
        place = _Place(cos_B1R, sin_B1R, mask_BL[:, None, None], cache)
        for number, layer in enumerate(body.layers):
            normed_BD = _norm(layer.input_layernorm, hidden_BD)
            read_BD = self._read(layer.self_attn, number, normed_BD, place)
            hidden_BD = _added(layer.self_attn.o_proj, read_BD, hidden_BD)
            normed_BD = _norm(layer.post_attention_layernorm, hidden_BD)
            hidden_BD = _added(layer.mlp.down_proj, _gated(layer.mlp, normed_BD), hidden_BD)
        normed_BD = _norm(body.norm, hidden_BD)
        return _linear(self._model.lm_head, normed_BD)[: cache.num_live]

    def _read(
        self, attention: Any, number: int, normed_BD: torch.Tensor, place: _Place
    ) -> torch.Tensor:
        """What the heads read from the cache, the new token stored: [B, heads * head size]."""
        num_rows, num_live = len(normed_BD), place.cache.num_live
        H, K = self._num_heads, self._num_kv_heads
        states_BHD = _projected(attention, normed_BD).view(num_rows, H + 2 * K, self._head_dim)
        _rotate(states_BHD[:, : H + K], place)
        states_BHD = states_BHD[:num_live]
        keys, values = place.cache.write(number, states_BHD[:, H : H + K], states_BHD[:, H + K :])
        keys, values = keys.transpose(1, 2), values.transpose(1, 2)
        parts = [
            F.scaled_dot_product_attention(
                # the heads of a group become its queries: its keys are read once
                states_BHD[first:last, :H].view(last - first, K, H // K, -1),
                keys[first:last, :, :span],
                values[first:last, :, :span],
                place.mask_B11L[first:last, :, :, :span],
            ).reshape(last - first, -1)
            for first, last, span in place.cache.spans
        ]
        if len(parts) == 1 and num_live == num_rows:
            return parts[0]
        if num_live < num_rows:
            parts.append(parts[0].new_zeros(num_rows - num_live, parts[0].shape[1]))
        return torch.cat(parts)


def _projected(attention: Any, normed_BD: torch.Tensor) -> torch.Tensor:
    """Queries, keys and values side by side."""
    if hasattr(attention, "qkv_proj"):
        return _linear(attention.qkv_proj, normed_BD)
    parts = attention.q_proj, attention.k_proj, attention.v_proj
    return torch.cat([_linear(part, normed_BD) for part in parts], -1)


def _rotate(states_BHD: torch.Tensor, place: _Place) -> None:
    """Turn the first dimensions of each head, in place: a to a cos - b sin, b to b cos + a sin."""
    turning = states_BHD[..., : place.cos_B1R.shape[-1]]
    half = turning.shape[-1] // 2
    swapped = torch.cat([turning[..., half:], turning[..., :half]], -1)
    turning.mul_(place.cos_B1R).addcmul_(swapped, place.sin_B1R)


def _gated(mlp: Any, normed_BD: torch.Tensor) -> torch.Tensor:
    if hasattr(mlp, "gate_up_proj"):
        gate, up = _linear(mlp.gate_up_proj, normed_BD).chunk(2, -1)
    else:
        gate, up = _linear(mlp.gate_proj, normed_BD), _linear(mlp.up_proj, normed_BD)
    return F.silu(gate).mul_(up)


def _norm(norm: Any, hidden_BD: torch.Tensor) -> torch.Tensor:
    """Over the root of mean square plus epsilon, which is a hypotenuse: a pass less."""
    rms_B1 = torch.linalg.vector_norm(hidden_BD, dim=-1, keepdim=True)
    rms_B1.mul_(hidden_BD.shape[-1] ** -0.5).hypot_(_root(norm.variance_epsilon))
    return (hidden_BD * norm.weight).div_(rms_B1)


@cache
def _root(epsilon: float) -> torch.Tensor:
    return torch.tensor(epsilon**0.5)


def _linear(linear: Any, states_BD: torch.Tensor) -> torch.Tensor:
    if type(linear) is not nn.Linear:  # with an adapter
        out: torch.Tensor = linear(states_BD)
        return out
    return F.linear(states_BD, linear.weight, linear.bias)


def _added(linear: Any, states_BD: torch.Tensor, residual_BD: torch.Tensor) -> torch.Tensor:
    if type(linear) is nn.Linear and linear.bias is None:
        return torch.addmm(residual_BD, states_BD, linear.weight.t())
    return residual_BD + _linear(linear, states_BD)

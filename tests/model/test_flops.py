"""Counted operations, beside what torch's own counter sees the model do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModelForCausalLM

from minireason.model.flops import flop_cost
from minireason.model.source import TINY_FOLDER

SHAPE = {
    "vocab_size": 97,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
LENGTH = 20


def build(kind: str, **changes: Any) -> Any:
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **SHAPE | changes)
    return AutoModelForCausalLM.from_config(config, attn_implementation="eager")


def counted(model: Any, num_targets: int, *, has_backward: bool = True) -> int:
    """What the counter sees of one sequence, without the rotary angles (no product of weights)."""
    ids_BT = torch.arange(LENGTH)[None]
    with FlopCounterMode(display=False) as counter:
        hidden_BTD = model.base_model(ids_BT, use_cache=False).last_hidden_state
        logits_NV = hidden_BTD[0, :num_targets] @ model.get_output_embeddings().weight.T
        if has_backward:
            logits_NV.logsumexp(-1).sum().backward()
    with FlopCounterMode(display=False) as angles:
        model.base_model.rotary_emb(hidden_BTD, torch.arange(LENGTH)[None])
    return counter.get_total_flops() - angles.get_total_flops()


def masked_half(model: Any, num_passes: int) -> float:
    """Scores and values of keys after the query: eager attention computes them, then masks them."""
    return num_passes * 2 * flop_cost(model).attention * LENGTH**2


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", ["phi3", "llama", "qwen2"])
def test_training_takes_what_torch_counts(kind: str, tied: bool) -> None:
    model = build(kind, tie_word_embeddings=tied)
    expected = counted(model, num_targets=7) - masked_half(model, num_passes=3)
    assert flop_cost(model).training([LENGTH], 7) == expected


@pytest.mark.parametrize("kind", ["phi3", "llama", "qwen2"])
def test_scoring_takes_what_torch_counts(kind: str) -> None:
    model = build(kind)
    with torch.no_grad():
        expected = counted(model, 7, has_backward=False) - masked_half(model, num_passes=1)
    assert flop_cost(model).forward([LENGTH], 7) == expected


def test_a_head_size_that_is_not_the_width_over_the_heads_counts() -> None:
    model = build("qwen3", head_dim=32)
    expected = counted(model, num_targets=7) - masked_half(model, num_passes=3)
    assert flop_cost(model).training([LENGTH], 7) == expected


def test_frozen_weights_have_no_weight_gradient() -> None:
    model = build("llama")
    for weight in model.base_model.layers.parameters():
        weight.requires_grad = False
    expected = counted(model, num_targets=7) - masked_half(model, num_passes=3)
    assert flop_cost(model).training([LENGTH], 7) == expected


def test_adapters_count_as_trained_and_what_they_adapt_as_frozen() -> None:
    peft = pytest.importorskip("peft", reason="adapters need peft: pip install 'minireason[lora]'")
    model = build("llama")
    before = flop_cost(model)
    settings = peft.LoraConfig(r=2, target_modules=["q_proj", "down_proj"])
    cost = flop_cost(peft.get_peft_model(model, settings))
    adapters = SHAPE["num_hidden_layers"] * 2 * ((48 + 48) + (80 + 48))
    assert (cost.weights, cost.trained_weights) == (before.weights + adapters, adapters)
    assert (cost.head, cost.trained_head) == (before.head, 0)


def test_packed_sequences_attend_within_themselves() -> None:
    cost = flop_cost(build("phi3"))
    apart = cost.training([8], 8) + cost.training([12], 12)
    assert cost.training([8, 12], 20) == apart < cost.training([20], 20)


def test_a_model_without_memory_for_its_weights_can_be_counted() -> None:
    config = AutoConfig.from_pretrained(TINY_FOLDER)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    # 4 layers of width 192, 3 heads of 64 that share one key, 512 inside; 800 tokens
    layer = 192 * (192 + 64 + 64) + 192 * 192 + 3 * 192 * 512
    cost = flop_cost(model)
    assert (cost.weights, cost.head, cost.attention) == (4 * layer, 800 * 192, 4 * 192)
    assert cost.training_per_token(100) == 6 * (4 * layer + 800 * 192 + 4 * 192 * 100)

"""Phi-4-mini beside a configuration of explicit numbers and the names of its published tensors."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from transformers import Phi3Config, Phi3ForCausalLM

from minireason.model.phi4_mini import LONG_FACTOR, SHORT_FACTOR, meta_model, phi4_mini_config
from minireason.model.rope import pin_rope


@pytest.fixture(scope="module")
def model() -> Any:
    return meta_model(phi4_mini_config())


def published_shapes() -> dict[str, tuple[int, ...]]:
    """The tensors of the published safetensors files; the head is the embedding."""
    shapes = {"model.embed_tokens.weight": (200064, 3072), "model.norm.weight": (3072,)}
    for i in range(32):
        layer = f"model.layers.{i}"
        shapes |= {
            f"{layer}.input_layernorm.weight": (3072,),
            f"{layer}.self_attn.qkv_proj.weight": ((24 + 8 + 8) * 128, 3072),
            f"{layer}.self_attn.o_proj.weight": (3072, 24 * 128),
            f"{layer}.post_attention_layernorm.weight": (3072,),
            f"{layer}.mlp.gate_up_proj.weight": (2 * 8192, 3072),
            f"{layer}.mlp.down_proj.weight": (3072, 8192),
        }
    return shapes


def test_it_has_the_published_number_of_parameters_and_no_weights(model: Any) -> None:
    assert sum(parameter.numel() for parameter in model.parameters()) == 3_836_021_760
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    assert sum(math.prod(shape) for shape in published_shapes().values()) == 3_836_021_760


def test_its_tensors_have_the_published_names_and_shapes(model: Any) -> None:
    found = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    assert found == published_shapes()
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_its_tensors_are_those_of_a_config_of_explicit_numbers(model: Any) -> None:
    config = Phi3Config(
        vocab_size=200_064,
        hidden_size=24 * 128,
        intermediate_size=8_192,
        num_hidden_layers=32,
        num_attention_heads=24,
        num_key_value_heads=8,
        tie_word_embeddings=True,
        pad_token_id=None,
    )
    with torch.device("meta"):
        stock = Phi3ForCausalLM(config)
    assert {k: v.shape for k, v in model.state_dict().items()} == {
        k: v.shape for k, v in stock.state_dict().items()
    }


def test_its_rotary_embedding_turns_96_of_128_dimensions_with_two_sets_of_factors(
    model: Any,
) -> None:
    rope = model.config.rope_parameters
    assert rope["original_max_position_embeddings"] == 4096
    assert len(model.model.rotary_emb.inv_freq) == 96 // 2
    assert (rope["short_factor"], rope["long_factor"]) == (SHORT_FACTOR, LONG_FACTOR)


def test_its_factors_are_those_of_the_published_file_by_number_ends_and_sum() -> None:
    assert len(LONG_FACTOR) == len(SHORT_FACTOR) == 48
    assert (LONG_FACTOR[0], LONG_FACTOR[-1]) == (1, 47.77)
    assert sum(LONG_FACTOR) == pytest.approx(844.763412405, abs=1e-9)
    assert sorted(LONG_FACTOR) == LONG_FACTOR and set(SHORT_FACTOR) == {1.0}


def test_the_factor_on_its_attention_is_that_of_the_paper_of_longrope(model: Any) -> None:
    expected = math.sqrt(1 + math.log(131072 / 4096) / math.log(4096))
    assert model.model.rotary_emb.attention_scaling == pytest.approx(expected)


def test_the_papers_run_pins_the_long_factors() -> None:
    config = phi4_mini_config()
    pin_rope(config, "auto", context=32768)
    assert config.rope_parameters["short_factor"] == LONG_FACTOR

"""What is done to the last hidden states is read from the config and proven, or refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PhiConfig,
    PhiForCausalLM,
)

from minireason.errors import MissingError
from minireason.model.attention import ATTENTION
from minireason.model.head import head_form
from minireason.model.logprobs import HeadForm

SHAPE: dict[str, Any] = {
    "vocab_size": 61,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "initializer_range": 0.5,
    "pad_token_id": 0,
    "attn_implementation": ATTENTION,
}


def model(config: Any, model_class: Any) -> Any:
    torch.manual_seed(0)
    return model_class(config).eval()


def llama() -> Any:
    return model(LlamaConfig(**SHAPE), LlamaForCausalLM)


@pytest.mark.parametrize(
    ("config", "model_class", "form"),
    [
        (LlamaConfig(**SHAPE), LlamaForCausalLM, HeadForm()),
        (GraniteConfig(**SHAPE, logits_scaling=8.0), GraniteForCausalLM, HeadForm(0.125)),
        (CohereConfig(**SHAPE, logit_scale=0.25), CohereForCausalLM, HeadForm(0.25)),
        (
            Gemma2Config(**SHAPE, final_logit_softcapping=4.0),
            Gemma2ForCausalLM,
            HeadForm(softcap=4.0),
        ),
    ],
    ids=["plain", "divided", "multiplied", "capped"],
)
def test_the_form_is_that_of_the_config(config: Any, model_class: Any, form: HeadForm) -> None:
    assert head_form(model(config, model_class)) == form


@pytest.mark.parametrize(("key", "value"), [("logits_scaling", 2.0), ("logit_scale", 0.5)])
def test_a_scale_that_the_model_does_not_apply_is_refused(key: str, value: float) -> None:
    mistaken = llama()
    setattr(mistaken.config, key, value)
    with pytest.raises(MissingError, match="scaled or capped"):
        head_form(mistaken)


@pytest.mark.parametrize("change", [lambda logits: logits * 1.01, lambda logits: logits.tanh()])
def test_a_scale_or_cap_that_the_config_does_not_say_is_refused(change: Any) -> None:
    odd = llama()
    odd.lm_head.register_forward_hook(lambda _, __, logits: change(logits))
    with pytest.raises(MissingError, match="scaled or capped"):
        head_form(odd)


def test_a_bias_is_refused() -> None:
    shape = {key: value for key, value in SHAPE.items() if key != "head_dim"}
    with pytest.raises(MissingError, match="one with a bias"):
        head_form(model(PhiConfig(**shape), PhiForCausalLM))


def test_weights_that_give_nan_are_refused() -> None:
    broken = llama()
    torch.nn.init.constant_(broken.lm_head.weight, float("nan"))
    with pytest.raises(MissingError):
        head_form(broken)

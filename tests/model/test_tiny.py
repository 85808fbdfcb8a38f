"""The tiny base model keeps Phi-4-mini's proportions and can be exported."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import Phi3ForCausalLM, PreTrainedTokenizerFast

from minireason.model.tiny import VOCAB_SIZE, build_model, build_tokenizer


@pytest.fixture(scope="module")
def model() -> Phi3ForCausalLM:
    return build_model(VOCAB_SIZE, seed=1)


def test_it_has_between_one_and_four_million_parameters(model: Phi3ForCausalLM) -> None:
    # embedding 800 * 192; a layer: qkv 192 * 320, out 192 * 192, gate and up 192 * 1024,
    # down 512 * 192, two norms of 192; a last norm of 192
    layer = 192 * 320 + 192 * 192 + 192 * 1024 + 512 * 192 + 2 * 192
    assert sum(p.numel() for p in model.parameters()) == 800 * 192 + 4 * layer + 192
    assert 1e6 < 800 * 192 + 4 * layer + 192 < 4e6


def test_it_has_phi_4_mini_s_proportions(model: Phi3ForCausalLM) -> None:
    config = model.config
    assert config.num_attention_heads == 3 * config.num_key_value_heads
    assert config.hidden_size // config.num_attention_heads == 64
    assert config.rope_parameters["partial_rotary_factor"] == 0.75
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_the_vocabulary_is_no_linear_s_width(model: Phi3ForCausalLM) -> None:
    widths = {
        layer.out_features
        for name, layer in model.named_modules()
        if isinstance(layer, torch.nn.Linear) and name != "lm_head"
    }
    assert widths == {320, 192, 1024} and VOCAB_SIZE not in widths


def test_a_rotary_half_is_a_multiple_of_eight(model: Phi3ForCausalLM) -> None:
    assert int(64 * 0.75) // 2 % 8 == 0 == len(model.model.rotary_emb.inv_freq) % 8


def test_the_weights_follow_from_the_seed_and_leave_the_global_generator_alone() -> None:
    state = torch.get_rng_state()
    one, same, other = (build_model(100, seed, num_layers=1) for seed in (1, 1, 2))
    assert torch.equal(one.lm_head.weight, same.lm_head.weight)
    assert not torch.equal(one.lm_head.weight, other.lm_head.weight)
    assert torch.equal(state, torch.get_rng_state())


def test_every_digit_is_a_token_of_its_own(tokenizer: PreTrainedTokenizerFast) -> None:
    tokens = tokenizer.tokenize("3141 = 59x0")
    assert [token for token in tokens if set(token) & set("0123456789")] == list("3141590")


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_any_text_comes_back_from_its_ids(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    ids = tokenizer.encode(text, add_special_tokens=False)
    if not any(special in text for special in tokenizer.all_special_tokens):
        assert tokenizer.decode(ids) == text


def test_the_same_corpus_gives_the_same_tokenizer() -> None:
    one, other = (build_tokenizer(["two plus two", "2 + 2 = 4"]) for _ in range(2))
    assert one.get_vocab() == other.get_vocab()


def test_the_template_writes_phi_4_s_form(tokenizer: PreTrainedTokenizerFast) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "1+1?"},
    ]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert text == "<|system|>Be brief.<|end|><|user|>1+1?<|end|><|assistant|>"


def test_the_template_marks_are_single_tokens(tokenizer: PreTrainedTokenizerFast) -> None:
    ids = tokenizer.encode("<|user|><|end|><|assistant|>", add_special_tokens=False)
    assert tokenizer.convert_ids_to_tokens(ids) == ["<|user|>", "<|end|>", "<|assistant|>"]

"""Models of every kind, saved, loaded, packed and sampled, beside transformers' eager forward.

Windows, caps and scales are set such that they matter at the lengths used here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from minireason.errors import MissingError
from minireason.model.load import LanguageModel, load_model, save_model
from minireason.model.packed import hidden_states
from minireason.rollout.engine import Engine
from minireason.rollout.request import Request
from minireason.rollout.sampling import SamplingParams

SHAPE: dict[str, Any] = {
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
MIXED = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 5}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "phi3": ("phi3", {}),
    "phi3 with a window": ("phi3", {"sliding_window": 5}),
    "llama": ("llama", {}),
    "smollm": ("llama", {"tie_word_embeddings": True}),
    "smollm3": ("smollm3", {"no_rope_layers": [1, 0]}),
    "qwen2": ("qwen2", {}),
    "qwen2 with windows": ("qwen2", {"use_sliding_window": True, **MIXED}),
    "qwen3": ("qwen3", {}),
    "gemma": ("gemma", {}),
    "gemma2": (
        "gemma2",
        {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0, **MIXED},
    ),
    "gemma3": ("gemma3_text", {"query_pre_attn_scalar": 5, **MIXED}),
    "mistral": ("mistral", {"sliding_window": 5}),
    "granite": (
        "granite",
        {"logits_scaling": 4.0, "attention_multiplier": 0.4, "residual_multiplier": 0.7},
    ),
    "cohere": ("cohere", {"logit_scale": 0.25}),
    "cohere2": ("cohere2", {"logit_scale": 0.25, **MIXED}),
}
SEQUENCES = [[7, 41, 3, 88, 12, 5, 64, 9, 33, 2, 71, 18], [4, 9], [60, 61, 7, 3, 2, 90, 14, 15, 6]]


def saved(name: str, tokenizer: PreTrainedTokenizerFast, folder: Path) -> Path:
    kind, changes = FAMILIES[name]
    shape = SHAPE if kind != "phi3" else {k: v for k, v in SHAPE.items() if k != "head_dim"}
    config = AutoConfig.for_model(kind, **shape | {"vocab_size": len(tokenizer)} | changes)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    save_model(LanguageModel(model, tokenizer), folder)
    return folder


@pytest.fixture(scope="module", params=FAMILIES)
def folder(
    request: Any, tokenizer: PreTrainedTokenizerFast, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return saved(request.param, tokenizer, tmp_path_factory.mktemp("family"))


def packed_row(sequences: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids, positions and segments of one row, with padding behind."""
    ids = [token for sequence in sequences for token in sequence]
    positions = [i for sequence in sequences for i in range(len(sequence))]
    segments = [n + 1 for n, sequence in enumerate(sequences) for _ in sequence]
    row = torch.tensor([ids, positions, segments])
    padded = torch.cat([row, torch.zeros(3, 3, dtype=torch.long)], dim=1)[:, None]
    return padded[0], padded[1], padded[2]


def logprobs(language_model: LanguageModel, sequences: list[list[int]]) -> torch.Tensor:
    """Of every token but the first of each sequence, from hidden states, head and its form."""
    ids_BT, positions_BT, segments_BT = packed_row(sequences)
    rows_N, columns_N = torch.nonzero((positions_BT > 0) & (segments_BT > 0), as_tuple=True)
    model, form = language_model.model, language_model.head
    hidden_ND = hidden_states(model, ids_BT, positions_BT, segments_BT, rows_N, columns_N - 1)
    logits_NV = form.scale * hidden_ND @ model.get_output_embeddings().weight.T
    if form.softcap:
        logits_NV = form.softcap * torch.tanh(logits_NV / form.softcap)
    return logits_NV.log_softmax(-1).gather(-1, ids_BT[rows_N, columns_N, None])[:, 0]


def eager_logprobs(model: Any, sequence: list[int]) -> torch.Tensor:
    ids = torch.tensor([sequence])
    logits = model(ids, use_cache=False).logits[0, :-1]
    return logits.log_softmax(-1).gather(-1, ids[0, 1:, None])[:, 0]


def test_packed_log_probabilities_and_gradients_equal_the_eager_forward_of_each_sequence(
    folder: Path,
) -> None:
    ours = load_model(str(folder))
    stock = AutoModelForCausalLM.from_pretrained(
        folder, attn_implementation="eager", dtype=torch.float32
    )
    found = logprobs(ours, SEQUENCES)
    expected = torch.cat([eager_logprobs(stock, sequence) for sequence in SEQUENCES])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    found.square().sum().backward()
    expected.square().sum().backward()
    for (name, one), other in zip(ours.model.named_parameters(), stock.parameters(), strict=True):
        scale = other.grad.abs().max().item()
        torch.testing.assert_close(one.grad, other.grad, atol=1e-4 * scale, rtol=1e-3, msg=name)


def test_sampling_and_scoring_agree(folder: Path) -> None:
    language_model = load_model(str(folder))
    params = [SamplingParams(1.0, 1.0, max_tokens=count, seed=count) for count in (14, 9, 3)]
    requests = [Request(ids, p) for ids, p in zip(SEQUENCES, params, strict=True)]
    completions = Engine(language_model.model, [], max_batch=2).generate(requests)
    for request, completion in zip(requests, completions, strict=True):
        scored = logprobs(language_model, [request.prompt_ids + completion.token_ids])
        sampled = torch.tensor(completion.logprobs)
        torch.testing.assert_close(scored[-len(sampled) :], sampled, atol=1e-5, rtol=1e-5)


def test_what_is_saved_is_loaded_by_plain_transformers(folder: Path, tmp_path: Path) -> None:
    language_model = load_model(str(folder))
    save_model(language_model, tmp_path)
    stock = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    found = logprobs(language_model, SEQUENCES[:1])
    torch.testing.assert_close(found, eager_logprobs(stock, SEQUENCES[0]), atol=1e-5, rtol=1e-5)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "gpt_oss": ({"num_local_experts": 2, "num_experts_per_tok": 1}, "asks for s_aux"),
    "mamba": ({"state_size": 4}, "packed sequence changes with the one before it"),
    "falcon_h1": (
        {"mamba_d_ssm": 32, "mamba_n_heads": 2, "mamba_d_head": 16, "initializer_range": 0.02},
        "packed sequence changes with the one before it",
    ),
    "gemma3_text": ({"use_bidirectional_attention": True}, "looks ahead"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_model_that_packing_cannot_serve_is_refused_at_load(
    kind: str, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    changes, said = REFUSED[kind]
    config = AutoConfig.for_model(kind, **SHAPE | {"vocab_size": len(tokenizer)} | changes)
    model = AutoModelForCausalLM.from_config(config)
    save_model(LanguageModel(model, tokenizer), tmp_path)
    with pytest.raises(MissingError, match=said) as error:
        load_model(str(tmp_path))
    assert str(tmp_path) in str(error.value)


def test_every_kind_is_one_that_transformers_calls_causal() -> None:
    known = transformers.models.auto.modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    assert {kind for kind, _ in FAMILIES.values()} <= known.keys()

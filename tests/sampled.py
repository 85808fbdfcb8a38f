"""Small random models, ragged requests and a plain forward to check a sampler against."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from minireason.model.attention import ATTENTION
from minireason.rollout.request import Completion, Request
from minireason.rollout.sampling import SamplingParams

VOCABULARY = 61
SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "initializer_range": 0.3,  # peaked enough that argmax is far from a tie
}


def phi3(attention: str = ATTENTION) -> PreTrainedModel:
    rope = {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.75}
    torch.manual_seed(0)
    return Phi3ForCausalLM(
        Phi3Config(
            **SHAPE, tie_word_embeddings=True, rope_parameters=rope, attn_implementation=attention
        )
    ).eval()


def qwen2(attention: str = ATTENTION) -> PreTrainedModel:
    torch.manual_seed(0)
    return Qwen2ForCausalLM(Qwen2Config(**SHAPE, attn_implementation=attention)).eval()


def llama(attention: str = ATTENTION) -> PreTrainedModel:
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**SHAPE, attn_implementation=attention)).eval()


def prompts(num: int, seed: int = 0) -> list[list[int]]:
    """Ragged random prompts of 1 to 20 tokens."""
    draw = random.Random(seed)
    return [[draw.randrange(3, VOCABULARY) for _ in range(draw.randint(1, 20))] for _ in range(num)]


def requests(num: int, seed: int = 0, **settings: Any) -> list[Request]:
    """Ragged prompts; every request has its own seed."""
    settings = {"temperature": 0.8, "top_p": 0.9, "max_tokens": 12} | settings
    return [
        Request(prompt, SamplingParams(**settings, seed=index))
        for index, prompt in enumerate(prompts(num, seed))
    ]


def teacher_forced(
    model: PreTrainedModel, prompt: list[int], response: list[int], temperature: float = 1.0
) -> list[float]:
    """The log-probability of each response token by one plain forward of this sequence alone."""
    tokens = torch.tensor([prompt + response])
    length = tokens.shape[1]
    mask = torch.ones(length, length, dtype=torch.bool).tril()[None, None]
    with torch.no_grad():
        logits = model(input_ids=tokens, attention_mask=mask, use_cache=False).logits[0]
    logprobs = (logits.float() / temperature).log_softmax(-1)[len(prompt) - 1 : -1]
    return logprobs.gather(-1, torch.tensor(response)[:, None])[:, 0].tolist()


def assert_same(ours: list[Completion], theirs: list[Completion]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        assert one.token_ids == other.token_ids
        assert one.finish_reason == other.finish_reason
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)

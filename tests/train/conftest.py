"""Small random models and sequences that the tests of training share."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from minireason.model.attention import ATTENTION
from minireason.train.packing import TokenSequence, Unit

VOCAB = 97
KINDS: dict[str, tuple[Any, Any]] = {
    "phi3": (Phi3Config, Phi3ForCausalLM),
    "llama": (LlamaConfig, LlamaForCausalLM),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM),
}
SHAPE: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": 64,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "initializer_range": 0.1,
    "tie_word_embeddings": True,
}
ROPE = {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.75}


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def make_model() -> Callable[..., Any]:
    """A new model with weights from `seed`; `kind`, `attention` and config keys may be given."""

    def make(kind: str = "phi3", attention: str = ATTENTION, seed: int = 0, **changes: Any) -> Any:
        config_class, model_class = KINDS[kind]
        rope = {"rope_parameters": ROPE} if kind == "phi3" else {}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            config = config_class(**SHAPE | rope | changes, attn_implementation=attention)
            return model_class(config).eval()

    return make


@pytest.fixture(scope="session")
def make_units() -> Callable[..., list[Unit]]:
    """Units of random ids whose second half, about, is the target; `pair` makes them of two."""

    def sequence(rng: random.Random, longest: int) -> TokenSequence:
        length = rng.randint(3, longest)
        ids = [rng.randrange(1, VOCAB) for _ in range(length)]
        return TokenSequence(ids, num_targets=rng.randint(1, length - 1))

    def make(count: int, seed: int = 0, longest: int = 12, pair: bool = False) -> list[Unit]:
        rng = random.Random(seed)
        return [[sequence(rng, longest) for _ in range(1 + pair)] for _ in range(count)]

    return make

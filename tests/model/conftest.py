"""A tokenizer and a small model to save, load and break."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import Phi3Config, Phi3ForCausalLM, PreTrainedTokenizerFast

from minireason.model.attention import ATTENTION
from minireason.model.load import LanguageModel, save_model
from minireason.model.tiny import build_tokenizer

CORPUS = [
    f"The sum of {i} and {j} is {i + j}, so the answer is {i + j}."
    for i in range(30)
    for j in range(9)
]


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer(CORPUS)


@pytest.fixture(scope="session")
def language_model(tokenizer: PreTrainedTokenizerFast) -> LanguageModel:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = Phi3Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
        tie_word_embeddings=True,
        attn_implementation=ATTENTION,
    )
    return LanguageModel(Phi3ForCausalLM(config).eval(), tokenizer)


@pytest.fixture
def folder(language_model: LanguageModel, tmp_path: Path) -> Path:
    """A saved model that a test may break."""
    save_model(language_model, tmp_path / "saved")
    return tmp_path / "saved"
